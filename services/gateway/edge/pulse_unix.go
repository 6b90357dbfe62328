//go:build unix

package main

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
)

// pulse tells whether an idle connection is open still, without waiting.
type pulse struct {
	raw   syscall.RawConn
	look  func(fd uintptr)
	quiet bool
}

func newPulse(conn net.Conn) *pulse {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	holder, ok := conn.(syscall.Conn)
	if !ok {
		return &pulse{}
	}
	raw, err := holder.SyscallConn()
	if err != nil {
		return &pulse{}
	}
	p := &pulse{raw: raw}
	p.look = func(fd uintptr) {
		var one [1]byte
		_, err := syscall.Read(int(fd), one[:])
		p.quiet = errors.Is(err, syscall.EAGAIN)
	}
	return p
}

// alive says whether the gateway has neither closed the connection nor said anything: an idle one has nothing to say.
// Only the one who uses the connection may ask.
func (p *pulse) alive() bool {
	return p.raw == nil || p.raw.Control(p.look) == nil && p.quiet
}

package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"penstock.dev/edge/http1"
)

const (
	// maxAnswerHeadBytes bounds the head of a gateway's answer.
	maxAnswerHeadBytes = 64 << 10
	// maxIdleGatewayConns bounds the connections kept to one gateway: streams that end together must all find a place.
	maxIdleGatewayConns = 16384
)

var errBadAnswer = errors.New("the gateway's answer is malformed")

// gatewayConn is a connection to a gateway, used for one request at a time.
type gatewayConn struct {
	net.Conn
	pulse *pulse
	// in[start:end] has been read and not used.
	in         []byte
	start, end int
	deadline   lateDeadline
	reused     bool
	idleSince  time.Time
	answer     http1.Answer
	// writing yields once when a large request has been written; nil where there is none under way.
	writing chan error
}

// written says whether the whole request has been written; without waiting.
func (g *gatewayConn) written() bool {
	if g.writing == nil {
		return true
	}
	select {
	case err := <-g.writing:
		return err == nil
	default:
		return false
	}
}

// lateDeadline arms a connection's read deadline as seldom as it can: one that is armed too early is armed anew when it
// has passed. A system timer for each request would cost more than its parsing.
type lateDeadline struct{ armed time.Time }

// by sees to it that a read on conn ends at due, or before.
func (d *lateDeadline) by(conn net.Conn, due time.Time) {
	if d.armed.IsZero() || due.Before(d.armed) {
		d.armed = due
		_ = conn.SetReadDeadline(due)
	}
}

// early says whether err is only that of a deadline that was armed for an earlier read; reads may then go on.
func (d *lateDeadline) early(conn net.Conn, err error, due time.Time) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(due) {
		return false
	}
	d.armed = due
	_ = conn.SetReadDeadline(due)
	return true
}

// read reads more of what the gateway says; after due, it fails with os.ErrDeadlineExceeded.
func (g *gatewayConn) read(due time.Time) error {
	if g.start == g.end {
		g.start, g.end = 0, 0
	}
	g.deadline.by(g.Conn, due)
	for {
		n, err := g.Conn.Read(g.in[g.end:])
		g.end += n
		if n > 0 {
			return nil
		}
		if !g.deadline.early(g.Conn, err, due) {
			return err
		}
	}
}

// readHead reads the head of an answer and takes it off what was read. Interim answers are passed over.
func (g *gatewayConn) readHead(due time.Time) error {
	for {
		size := http1.HeadEnd(g.in[g.start:g.end])
		if size == 0 {
			if !g.makeRoom() {
				return errBadAnswer
			}
			if err := g.read(due); err != nil {
				return whatEnded(err)
			}
			continue
		}
		head := g.in[g.start : g.start+size]
		g.start += size
		if !g.answer.Parse(head) || g.answer.Status == 101 {
			return errBadAnswer
		}
		if g.answer.Status >= 200 {
			return nil
		}
	}
}

func whatEnded(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// makeRoom sees to it that more of a head can be read; false where it is too large already.
func (g *gatewayConn) makeRoom() bool {
	if g.end < len(g.in) || g.start == g.end {
		return true
	}
	if g.start > 0 {
		g.end = copy(g.in, g.in[g.start:g.end])
		g.start = 0
		return true
	}
	if len(g.in) >= maxAnswerHeadBytes {
		return false
	}
	g.in = append(g.in, make([]byte, len(g.in))...)
	return true
}

// gatewayPool keeps the connections to one gateway that no request uses. The last one used is the first to be used again.
type gatewayPool struct {
	idleTimeout time.Duration
	mutex       sync.Mutex
	idle        []*gatewayConn
	waiting     []chan *gatewayConn
	reaping     bool
}

// take gives a connection that is open still, or nil.
func (p *gatewayPool) take() *gatewayConn {
	for {
		p.mutex.Lock()
		last := len(p.idle) - 1
		if last < 0 {
			p.mutex.Unlock()
			return nil
		}
		conn := p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
		p.mutex.Unlock()
		if time.Since(conn.idleSince) < p.idleTimeout && conn.pulse.alive() {
			return conn
		}
		conn.Close()
	}
}

// keep takes a connection back, for a request that waits for one or for a later one.
func (p *gatewayPool) keep(conn *gatewayConn) {
	conn.reused, conn.start, conn.end = true, 0, 0
	conn.idleSince = time.Now()
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if len(p.waiting) > 0 {
		p.waiting[0] <- conn
		p.waiting = p.waiting[1:]
		return
	}
	if len(p.idle) == maxIdleGatewayConns {
		conn.Close()
		return
	}
	p.idle = append(p.idle, conn)
	if !p.reaping {
		p.reaping = true
		time.AfterFunc(p.idleTimeout, p.reap)
	}
}

// reap closes what was not used for too long: the gateway would close it soon, and lose a request that is just sent.
func (p *gatewayPool) reap() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	// The oldest come first.
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].idleSince) >= p.idleTimeout {
		p.idle[old].Close()
		old++
	}
	p.idle = slices.Delete(p.idle, 0, old)
	if p.reaping = len(p.idle) > 0; p.reaping {
		time.AfterFunc(p.idleTimeout-time.Since(p.idle[0].idleSince), p.reap)
	}
}

func (p *gatewayPool) closeIdle() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, conn := range p.idle {
		conn.Close()
	}
	p.idle = nil
}

// connect gives a new connection, or one that another request gives back while it is being made: behind TLS, those of
// a burst would else wait for their handshakes while connections lie idle. A connection that comes too late is kept.
func (p *gatewayPool) connect(ctx context.Context, dial func(context.Context) (net.Conn, error)) (*gatewayConn, error) {
	given := make(chan *gatewayConn, 1)
	p.mutex.Lock()
	p.waiting = append(p.waiting, given)
	p.mutex.Unlock()
	dialing, stop := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() {
		defer stop()
		conn, err := dial(dialing)
		if err != nil {
			failed <- err
			return
		}
		p.offer(given, &gatewayConn{Conn: conn, pulse: newPulse(conn), in: make([]byte, proxyBufferBytes)})
	}()
	select {
	case conn := <-given:
		return conn, nil
	case err := <-failed:
		return p.withdraw(given, err)
	case <-ctx.Done():
		stop()
		return p.withdraw(given, ctx.Err())
	}
}

// offer gives a new connection to the request that it was made for, or keeps it where that one waits no more.
func (p *gatewayPool) offer(given chan *gatewayConn, conn *gatewayConn) {
	p.mutex.Lock()
	at := slices.Index(p.waiting, given)
	if at >= 0 {
		p.waiting = slices.Delete(p.waiting, at, at+1)
		given <- conn
	}
	p.mutex.Unlock()
	if at < 0 {
		p.keep(conn)
	}
}

// withdraw ends the waiting, unless a connection was given in the same moment.
func (p *gatewayPool) withdraw(given chan *gatewayConn, err error) (*gatewayConn, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if at := slices.Index(p.waiting, given); at >= 0 {
		p.waiting = slices.Delete(p.waiting, at, at+1)
		return nil, err
	}
	return <-given, nil
}

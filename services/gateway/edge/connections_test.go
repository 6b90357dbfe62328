package main

import (
	"fmt"
	"io"
	"net"
	"testing"
)

// addressed is a connection that says where it comes from.
type addressed struct {
	net.Conn
	from string
}

func (a addressed) RemoteAddr() net.Addr { return place(a.from) }
func (a addressed) Close() error         { return nil }

type place string

func (place) Network() string  { return "tcp" }
func (n place) String() string { return string(n) }

func TestNoAddressHasAllConnections(t *testing.T) {
	all := newConnections(16, nil)
	var held []net.Conn
	enter := func(from string) bool {
		conn := all.admit(addressed{from: from})
		if conn == nil {
			return false
		}
		held = append(held, conn)
		return true
	}
	for range 8 {
		equal(t, "while there is room", enter("10.0.0.1:1"), true)
	}
	equal(t, "one address has more than its share", enter("10.0.0.1:2"), false)
	for range 2 {
		equal(t, "another", enter("[2001:db8::1]:1"), true)
	}
	equal(t, "another of the same network", enter("[2001:db8::2]:1"), false)
	for _, from := range []string{"10.0.0.2:1", "10.0.0.2:2", "10.0.0.3:1", "10.0.0.3:2", "10.0.0.4:1", "10.0.0.4:2"} {
		equal(t, from, enter(from), true)
	}
	equal(t, "more than all", enter("10.0.0.5:1"), false)
	for _, conn := range held {
		conn.Close()
		conn.Close()
	}
	equal(t, "nobody", all.all+len(all.of), 0)
}

func TestATrustedProxyBringsEverybodysConnections(t *testing.T) {
	proxies, err := parseTrusted("10.0.0.0/8")
	must(t, err)
	all := newConnections(16, proxies)
	for i := range 16 {
		equal(t, "the proxy's", all.admit(addressed{from: fmt.Sprint("10.0.0.1:", i+1)}) != nil, true)
	}
	equal(t, "more than all", all.admit(addressed{from: "10.0.0.1:99"}) == nil, true)
}

func TestAConnectionTooManyIsClosedAndOthersGoOn(t *testing.T) {
	edge := start(t, func(c *config) { c.maxConnections = 2 })
	edge.gateway.wire = echo
	first, in := edge.dial(t, post("/v1/a", "Content-Length: 1")+"1")
	answerTo(t, in)
	equal(t, "connections", edge.plain.connections.all, 1)
	_, refused := edge.dial(t, "")
	if _, err := refused.ReadByte(); err == nil || err == io.ErrNoProgress {
		t.Errorf("not closed: %v", err)
	}
	_, err := io.WriteString(first, post("/v1/b", "Content-Length: 1")+"2")
	must(t, err)
	_, body := answerTo(t, in)
	equal(t, "body", body, "/v1/b 2")
	first.Close()
	eventually(t, "it is counted out", func() bool {
		edge.plain.connections.mutex.Lock()
		defer edge.plain.connections.mutex.Unlock()
		return edge.plain.connections.all == 0
	})
	_, in = edge.dial(t, post("/v1/c", "Content-Length: 1")+"3")
	_, body = answerTo(t, in)
	equal(t, "there is room again", body, "/v1/c 3")
}

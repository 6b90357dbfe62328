package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"penstock.dev/edge/http1"
)

const (
	callerBufferBytes = 4 << 10
	// ownFieldsBytes is more than what the edge's own fields take: the request's id, the trace, and their names.
	ownFieldsBytes = 1 << 10
	// maxAddressBytes is the longest form of an address, IPv4 within IPv6.
	maxAddressBytes = 45
	// maxPlainHeadBytes bounds a plain request's head; a larger one is the whole server's, whatever it allows.
	maxPlainHeadBytes = 8 << 10
	// lingerFor is how long a refused caller is read on, so that the refusal is not lost to what it still sends.
	lingerFor = 500 * time.Millisecond
)

// caller is a connection that brings plain requests.
//
// Two goroutines take turns at it. The one that leads reads the next request; then it gives the lead away and serves
// the request, while the other reads on: that is how a caller is seen to leave. There is one request at a time: whoever
// has read the beginning of the next waits until the one before has been answered.
type caller struct {
	conn     net.Conn
	listener *plainListener
	remote   string        // the connection's other end
	address  string        // that of its requests, unless a trusted proxy says more
	trusted  bool          // the other end is a trusted proxy
	believed bool          // its word on sampling counts
	turn     chan struct{} // the lead; closed when the connection is over
	free     chan struct{} // the right to serve a request
	// The leader's own:
	in         []byte // in[start:end] has been read and not used
	start, end int
	deadline   lateDeadline
	request    http1.Request
	chosen     []chosenField
	lastPost   bool
	pair       bool
	// idleSince is when the last request ended, in Unix nanoseconds; 0 before the first, and while there is one.
	idleSince atomic.Int64
	opened    time.Time
	// The server's own:
	writeArmed time.Time
	// ended says, to who takes the right to serve, that the last answer has ended the connection: what was read behind
	// it is no request any more.
	ended bool

	mutex    sync.Mutex
	upstream io.Closer // what must end when the caller leaves
	left     bool
}

// chosenField is one that goes on to the gateway, under the name that the edge writes.
type chosenField struct {
	name  string
	value []byte
}

func newCaller(l *plainListener, conn net.Conn) *caller {
	cfg, remote := l.front.cfg, conn.RemoteAddr().String()
	c := &caller{
		conn: conn, listener: l, remote: remote, address: cfg.clients.of(remote, nil), in: make([]byte, callerBufferBytes),
		trusted: cfg.clients.trustsPeer(remote), believed: cfg.believesSampling(remote),
		turn: make(chan struct{}, 1), free: make(chan struct{}, 1), opened: time.Now(),
	}
	c.turn <- struct{}{}
	c.free <- struct{}{}
	return c
}

// lead serves the connection until it is over, in turn with another goroutine like this one.
func (c *caller) lead() {
	for range c.turn {
		p := c.next()
		if p == nil {
			close(c.turn)
			return
		}
		if !c.pair {
			// A connection that is handed over never needs the second one.
			c.pair = true
			go c.lead()
		}
		c.turn <- struct{}{}
		keep := p.serve()
		c.idleSince.Store(time.Now().UnixNano())
		// A drain closes what is idle already, and this what becomes idle in the same moment.
		if !keep || c.listener.front.inFlight.closed.Load() {
			c.ended = true
			c.conn.Close()
		}
		c.free <- struct{}{}
	}
}

// next reads the next request, body and all; nil where the connection is over, here or altogether.
func (c *caller) next() (p *passage) {
	admitted := false
	defer func() {
		if c.survived(recover()) {
			if p = nil; admitted {
				c.dismiss()
			}
			c.over()
		}
	}()
	size, ok := c.readHead()
	if !ok {
		return nil
	}
	if admitted = c.admit(size); !admitted {
		c.handOver()
		return nil
	}
	p = c.begin()
	c.start += size
	c.lastPost = !c.request.Get
	if err := c.readBody(p); err != nil {
		admitted = false // the passage counts it out
		p.fail(err)
		c.linger()
		return nil
	}
	return p
}

// admit counts the request in and takes the memory for its body; false where it is the whole server's.
func (c *caller) admit(size int) bool {
	f := c.listener.front
	if size > f.cfg.maxHeaderBytes || !c.request.Parse(c.in[c.start:c.start+size]) || !c.choose() || !f.inFlight.enter() {
		return false
	}
	if !c.listener.gateways.holding.reserve(c.request.Length) {
		f.inFlight.leave()
		return false
	}
	return true
}

// dismiss takes back what admit did, for a request that has no passage.
func (c *caller) dismiss() {
	c.listener.gateways.holding.release(c.request.Length)
	c.listener.front.inFlight.leave()
}

// survived logs a panic as net/http does: it ends one connection, not the edge. False where there was none.
func (c *caller) survived(panicked any) bool {
	if panicked != nil {
		c.listener.front.logger.Error("panic", "error", fmt.Sprint(panicked), "stack", string(debug.Stack()))
	}
	return panicked != nil
}

// clientAddress is where the request that was just read comes from.
func (c *caller) clientAddress() string {
	if !c.trusted {
		return c.address
	}
	var forwarded []string
	for _, field := range c.request.Fields {
		if string(field.Name) == "x-forwarded-for" {
			forwarded = append(forwarded, string(field.Value))
		}
	}
	return c.listener.front.cfg.clients.of(c.remote, forwarded)
}

// choose finds the fields that go on; false where the request is one that the whole server has to judge.
func (c *caller) choose() bool {
	cfg := c.listener.front.cfg
	if c.request.Length > maxReplayBytes || c.request.Length > cfg.maxBodyBytes {
		return false
	}
	c.chosen = c.chosen[:0]
	size := maxAddressBytes + len(cfg.gatewayToken) + ownFieldsBytes
	for _, field := range c.request.Fields {
		name, ok := allowedByLowerName[string(field.Name)]
		if !ok {
			if string(field.Name) == "origin" && len(cfg.origins) > 0 {
				return false
			}
			continue
		}
		if len(field.Value) == 0 {
			return false
		}
		size += len(name) + len(field.Value) + fieldOverheadBytes
		c.chosen = append(c.chosen, chosenField{name, field.Value})
	}
	return size <= maxForwardedBytes
}

// readHead reads until there is the whole head of a request and no other is served, and gives its length.
func (c *caller) readHead() (size int, ok bool) {
	serving := true // another goroutine, perhaps
	var due time.Time
	for {
		read := c.in[c.start:c.end]
		if len(read) > 0 {
			if serving {
				<-c.free
				if c.ended {
					c.over()
					return 0, false
				}
				serving = false
				c.idleSince.Store(0)
				due = time.Now().Add(c.listener.front.cfg.headerTimeout)
			}
			if size = http1.HeadEnd(read); size > 0 {
				return size, true
			}
			if !http1.MayBecomePlain(read) || !c.makeRoom() {
				c.handOver()
				return 0, false
			}
		} else {
			c.start, c.end = 0, 0
		}
		if err := c.read(due); err != nil {
			c.leave()
			if serving {
				<-c.free
			}
			c.over()
			return 0, false
		}
	}
}

// makeRoom sees to it that more of a head can be read; false where it is too large already.
func (c *caller) makeRoom() bool {
	switch {
	case c.start > 0:
		c.end = copy(c.in, c.in[c.start:c.end])
		c.start = 0
	case c.end < len(c.in):
	case len(c.in) >= maxPlainHeadBytes:
		return false
	default:
		c.in = append(c.in, make([]byte, len(c.in))...)
	}
	return true
}

// read reads more. due is when a head that has begun must be whole; where none has begun, it is zero, and what counts is
// how long the connection has been idle.
func (c *caller) read(due time.Time) error {
	for {
		until := due
		if due.IsZero() {
			until = c.idleUntil()
		}
		c.deadline.by(c.conn, until)
		n, err := c.conn.Read(c.in[c.end:])
		c.end += n
		if n > 0 {
			return nil
		}
		if due.IsZero() {
			// It may have become idle only while this read waited.
			until = c.idleUntil()
		}
		if !c.deadline.early(c.conn, err, until) {
			return err
		}
	}
}

// idleUntil is when an idle connection closes; while a request is served, that much from now.
func (c *caller) idleUntil() time.Time {
	cfg := c.listener.front.cfg
	since := c.idleSince.Load()
	switch {
	case since > 0:
		return time.Unix(0, since).Add(cfg.idleTimeout)
	case !c.pair:
		return c.opened.Add(cfg.headerTimeout)
	}
	return time.Now().Add(cfg.idleTimeout)
}

// readBody reads the body behind the head that p has already. It ends with what came of the next request left in c.in.
func (c *caller) readBody(p *passage) error {
	missing := int(c.request.Length)
	n := min(missing, c.end-c.start)
	p.out = append(p.out, c.in[c.start:c.start+n]...)
	c.start += n
	cfg := c.listener.front.cfg
	for received := n; received < missing; {
		p.out = roomFor(p.out, missing-received)
		earned := time.Duration(float64(received) / float64(cfg.bodyMinRate) * float64(time.Second))
		due := p.started.Add(cfg.bodyTimeout + earned)
		c.deadline.by(c.conn, due)
		n, err := c.conn.Read(p.out[len(p.out):min(cap(p.out), len(p.out)+missing-received)])
		p.out = p.out[:len(p.out)+n]
		received += n
		if n == 0 && !c.deadline.early(c.conn, err, due) {
			return err
		}
	}
	return nil
}

// roomFor gives a buffer room for what is missing, and not more at once than it holds already: a length alone costs nothing.
func roomFor(buffer []byte, missing int) []byte {
	if len(buffer) < cap(buffer) {
		return buffer
	}
	grown := make([]byte, len(buffer), len(buffer)+min(missing, max(len(buffer), smallBodyBytes)))
	copy(grown, buffer)
	return grown
}

func (c *caller) handOver() {
	read := c.in[c.start:c.end]
	// Old callers send a line's end after a body. net/http forgives it, on a connection that it knows from the beginning.
	for n := 0; c.lastPost && n < 4 && len(read) > 0 && (read[0] == '\r' || read[0] == '\n'); n++ {
		read = read[1:]
	}
	c.listener.forget(c)
	c.listener.handOver(c.conn, read)
}

func (c *caller) over() {
	c.listener.forget(c)
	c.conn.Close()
}

// linger closes the connection when the caller has read the answer, and sent what it was sending.
func (c *caller) linger() {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = c.conn.SetReadDeadline(time.Now().Add(lingerFor))
		_, _ = io.Copy(io.Discard, c.conn)
	}
	c.over()
}

// isIdle says whether the caller waits with its next request.
func (c *caller) isIdle() bool { return c.idleSince.Load() > 0 }

// depend names what ends when the caller leaves, in place of what was named before; false where it has left already.
func (c *caller) depend(upstream io.Closer) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.upstream = upstream
	return !c.left
}

// leave ends what the caller's request depends on.
func (c *caller) leave() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.left = true
	if c.upstream != nil {
		c.upstream.Close()
	}
}

func (c *caller) hasLeft() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.left
}

// write writes to the caller, within the time that one write has.
func (c *caller) write(data []byte) error {
	timeout := c.listener.front.cfg.writeTimeout
	// Not armed for each token: a system timer costs more than the check.
	if now := time.Now(); now.Sub(c.writeArmed) > timeout/8 {
		c.writeArmed = now
		_ = c.conn.SetWriteDeadline(now.Add(timeout))
	}
	_, err := c.conn.Write(data)
	return err
}

func isTooSlow(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

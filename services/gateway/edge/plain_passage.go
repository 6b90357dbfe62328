package main

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const (
	// atOnceBytes fit into a socket's buffer: a larger request is written by another goroutine, so that an answer that
	// comes before its end can be read.
	atOnceBytes = 32 << 10
)

// passage is one plain request on its way to a gateway, and its answer on the way back.
type passage struct {
	*caller
	path    string
	get     bool
	started time.Time
	due     time.Time // when the answer must have ended
	id      string
	parent  string
	span    trace.Span
	held    int64
	from    string // where the request comes from
	shown   credential
	// out is the request as the gateway gets it, and later the beginning of the answer as the caller gets it.
	out     []byte
	pooled  *[]byte
	status  int
	written int64
}

var passageBuffers = sync.Pool{New: func() any { buffer := make([]byte, 0, callerBufferBytes); return &buffer }}

// begin makes the passage of the request that was just read, and writes its head for the gateway.
func (c *caller) begin() *passage {
	p := &passage{
		caller: c, path: string(c.request.Path), get: c.request.Get, started: time.Now(), held: c.request.Length,
		from: c.clientAddress(), pooled: passageBuffers.Get().(*[]byte),
	}
	var given, own traceFields
	ids, timeout := 0, ""
	for _, field := range c.chosen {
		switch field.name {
		case "Authorization", "X-Api-Key", "Api-Key":
			p.shown = c.listener.front.guesses.add(p.shown, field.name, field.value)
		case headerRequestID:
			ids++
			p.id = string(field.value)
		case headerTimeout:
			timeout = string(field.value)
		case headerTraceparent:
			given.add(&given.parent, field.value)
		case headerTracestate:
			given.add(&given.state, field.value)
		}
	}
	p.due = answerDue(c.listener.front.cfg, p.started, timeout)
	if ids != 1 || !validRequestID(p.id) {
		p.id = newRequestID()
	}
	p.span = c.listener.front.tracing.startSpan(&given, &own, c.believed)
	p.parent = own.parent
	p.out = c.appendHead((*p.pooled)[:0], p, &own)
	return p
}

// traceFields carries a trace's identity as its two fields; of a field that comes again, the first counts.
type traceFields struct{ parent, state string }

var _ propagation.TextMapCarrier = (*traceFields)(nil)

func (*traceFields) add(field *string, value []byte) {
	if *field == "" {
		*field = string(value)
	}
}

// Get implements propagation.TextMapCarrier.
func (t *traceFields) Get(key string) string {
	if key == "traceparent" {
		return t.parent
	}
	return t.state
}

// Set implements propagation.TextMapCarrier.
func (t *traceFields) Set(key, value string) {
	if key == "traceparent" {
		t.parent = value
	} else {
		t.state = value
	}
}

// Keys implements propagation.TextMapCarrier.
func (*traceFields) Keys() []string { return []string{"traceparent", "tracestate"} }

func (c *caller) appendHead(out []byte, p *passage, own *traceFields) []byte {
	method := "POST "
	if p.get {
		method = "GET "
	}
	out = append(append(out, method...), p.path...)
	out = append(out, " HTTP/1.1\r\n"...)
	out = appendField(out, "Host", c.listener.gateways.targets[0].host)
	agent := false
	for _, field := range c.chosen {
		switch field.name {
		case headerRequestID, headerTraceparent, headerTracestate:
			continue
		case "User-Agent":
			if agent {
				continue
			}
			agent = true
		}
		out = append(append(append(append(out, field.name...), ": "...), field.value...), "\r\n"...)
	}
	out = appendField(out, headerRequestID, p.id)
	out = appendField(out, headerClientAddress, p.from)
	if token := c.listener.front.cfg.gatewayToken; token != "" {
		out = appendField(out, headerEdgeToken, token)
	}
	out = appendField(out, headerTraceparent, own.parent)
	if own.state != "" {
		out = appendField(out, headerTracestate, own.state)
	}
	if !p.get {
		out = append(out, "Content-Length: "...)
		out = append(strconv.AppendInt(out, c.request.Length, 10), "\r\n"...)
	}
	return append(out, "\r\n"...)
}

func appendField(out []byte, name, value string) []byte {
	return append(append(append(append(out, name...), ": "...), value...), "\r\n"...)
}

// serve gives the request to a gateway and the answer to the caller. keep: the caller may send another.
func (p *passage) serve() (keep bool) {
	defer func() {
		if p.survived(recover()) {
			keep = false
		}
		p.end()
	}()
	if !p.listener.front.guesses.admits(p.from, p.shown) {
		return p.sendFailure(&failureGuesses)
	}
	gateways := round{balancer: p.listener.gateways, backends: *p.listener.gateways.backends.Load()}
	for {
		to := gateways.next()
		to.outstanding.Add(1)
		conn, err := p.ask(to)
		marks := p.marksOf(conn)
		if marks.leaving {
			to.avoid()
		}
		switch {
		case err == nil && marks.refused && gateways.hasMore():
			conn.Close()
		case err == nil:
			p.letGo()
			return p.pass(conn, to, marks)
		case p.hasLeft() || !gateways.goesOn(err, p.get):
			to.outstanding.Add(-1)
			return p.refuse(err)
		}
		to.outstanding.Add(-1)
	}
}

// ask sends the request to a gateway and reads the head of its answer.
func (p *passage) ask(to *backend) (*gatewayConn, error) {
	conn := to.pool.take()
	for {
		if conn == nil {
			fresh, err := p.connect(to)
			if err != nil {
				return nil, err
			}
			conn = fresh
		}
		sent, err := p.exchange(conn)
		if err == nil {
			return conn, nil
		}
		conn.Close()
		// The gateway closed a kept connection in the moment of its use. What was not sent, or changes nothing, goes again.
		if p.hasLeft() || !conn.reused || sent > 0 && !(p.get && conn.end == 0) || errors.Is(err, errBadAnswer) || isTooSlow(err) {
			return nil, err
		}
		conn = nil
	}
}

func (p *passage) connect(to *backend) (*gatewayConn, error) {
	ctx, cancel := context.WithDeadline(context.Background(), p.due)
	defer cancel()
	if !p.depend(closing(cancel)) {
		return nil, context.Canceled
	}
	return to.pool.connect(ctx, to.dial)
}

// closing is a function that is called to close something.
type closing func()

// Close implements io.Closer.
func (c closing) Close() error {
	c()
	return nil
}

// exchange writes the request and reads the head of the answer. sent is how much of the request may have gone.
func (p *passage) exchange(conn *gatewayConn) (sent int, err error) {
	if !p.depend(conn) {
		return 0, context.Canceled
	}
	conn.writing = nil
	if len(p.out) <= atOnceBytes {
		if sent, err = conn.Write(p.out); err != nil && sent == 0 {
			return 0, err
		}
		// A gateway that answers before it has read all may close; its answer counts.
		return len(p.out), conn.readHead(p.due)
	}
	written := make(chan error, 1)
	conn.writing = written
	go func(request []byte) {
		_, err := conn.Write(request)
		written <- err
	}(p.out)
	return len(p.out), conn.readHead(p.due)
}

// letGo lets the request's memory go, as its answer may take minutes.
func (p *passage) letGo() {
	p.listener.gateways.holding.release(p.held)
	p.held = 0
	if cap(p.out) > atOnceBytes {
		p.out = nil // its writer may not have ended yet
	}
	p.out = p.out[:0]
}

// giveBack lets another passage have the buffer.
func (p *passage) giveBack() {
	if p.pooled != nil && p.out != nil && cap(p.out) <= atOnceBytes {
		*p.pooled = p.out[:0]
		passageBuffers.Put(p.pooled)
	}
	p.pooled, p.out = nil, nil
}

// end gives back what the passage took, tells of it and counts it out.
func (p *passage) end() {
	p.listener.gateways.holding.release(p.held)
	p.depend(nil)
	p.giveBack()
	f := p.listener.front
	f.guesses.heard(p.from, p.shown, p.status)
	method := http.MethodPost
	if p.get {
		method = http.MethodGet
	}
	route := wireRoute(p.path)
	f.tracing.end(p.span, method, route, p.status, p.id)
	f.tell(method, route, p.status, p.written, p.started, p.id)
	f.inFlight.leave()
}

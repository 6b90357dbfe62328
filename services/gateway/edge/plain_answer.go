package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"penstock.dev/edge/http1"
)

// gatherBytes of an answer of known length go out in one write.
const gatherBytes = 16 << 10

// marks are what a gateway says about itself, to the edge alone.
type marks struct{ refused, leaving bool }

func (p *passage) marksOf(conn *gatewayConn) (m marks) {
	if conn == nil {
		return m
	}
	for _, field := range conn.answer.Fields {
		switch string(field.Name) {
		case "x-penstock-refused":
			m.refused = m.refused || len(field.Value) > 0
		case "x-penstock-leaving":
			m.leaving = m.leaving || len(field.Value) > 0
		}
	}
	return m
}

// pass gives the caller the answer whose head conn has read. keep: it was whole, and the caller's connection goes on.
func (p *passage) pass(conn *gatewayConn, from *backend, m marks) (keep bool) {
	counted := true
	// Taken off before the caller has seen the end, so that its next request finds the right count.
	release := func() {
		if counted {
			counted = false
			from.outstanding.Add(-1)
		}
	}
	defer release()
	answer := &conn.answer
	p.status = answer.Status
	last := p.listener.front.inFlight.closed.Load()
	framed := answer.Chunked || answer.Length >= 0 || !answer.HasBody()
	p.out = p.appendAnswerHead(p.out[:0], answer, last)
	var whole bool
	switch {
	case !answer.HasBody():
		release()
		whole = p.send(p.out)
	case answer.Length >= 0:
		whole = p.passWhole(conn, answer.Length, release)
	default:
		whole = p.passStream(conn, answer.Chunked, release)
	}
	// A connection that the caller's leaving has closed is not kept.
	mine := p.depend(nil)
	if whole && mine && framed && !answer.Closes && !m.leaving && conn.start == conn.end && conn.written() {
		from.pool.keep(conn)
	} else {
		conn.Close()
	}
	return whole && !last
}

// passWhole passes a body of known length.
func (p *passage) passWhole(conn *gatewayConn, left int64, release func()) bool {
	for {
		ready := conn.in[conn.start:conn.end]
		if int64(len(ready)) > left {
			ready = ready[:left]
		}
		conn.start += len(ready)
		left -= int64(len(ready))
		p.out = append(p.out, ready...)
		if left == 0 {
			release()
			return p.send(p.out)
		}
		if len(p.out) >= gatherBytes {
			if !p.send(p.out) {
				return false
			}
			p.out = p.out[:0]
		}
		if err := conn.read(p.due); err != nil {
			return false
		}
	}
}

// passStream passes a body whose end only it knows: what is ready goes out in one write, at once.
func (p *passage) passStream(conn *gatewayConn, chunked bool, release func()) bool {
	var chunks http1.Chunks
	var end passedEnd
	// The answer's head goes when more is read.
	isTold := chunked && hasEventStream(&conn.answer)
	for {
		ready := conn.in[conn.start:conn.end]
		used, ended, ok := len(ready), false, true
		if chunked {
			if used, ended, ok = chunks.Scan(ready); ended {
				release()
			}
		}
		conn.start += used
		if !ok || !p.sendPart(ready[:used], chunked) {
			return false
		}
		if ended {
			return true
		}
		if isTold {
			end.pass(ready[:used])
		}
		err := conn.read(p.due)
		if !chunked && errors.Is(err, io.EOF) {
			release()
			return p.send([]byte("0\r\n\r\n"))
		}
		if err != nil {
			// The gateway's connection is of no more use; the caller's is.
			conn.answer.Closes = true
			return isTold && chunks.Between() && end.isAt(endOfEventChunk) && p.tellCut(err)
		}
	}
}

// sendPart sends a part of a stream, behind the head where that has not gone yet. A body that comes without chunks is
// given some.
func (p *passage) sendPart(part []byte, chunked bool) bool {
	if p.out == nil && chunked {
		return len(part) == 0 || p.send(part)
	}
	if !chunked && len(part) > 0 {
		p.out = append(strconv.AppendInt(p.out, int64(len(part)), 16), "\r\n"...)
		p.out = append(append(p.out, part...), "\r\n"...)
	} else {
		p.out = append(p.out, part...)
	}
	sent := len(p.out) == 0 || p.send(p.out)
	// The stream may last: another passage can use the buffer.
	p.giveBack()
	return sent
}

func (p *passage) send(data []byte) bool {
	p.written += int64(len(data))
	return p.write(data) == nil
}

// appendAnswerHead writes the head that the caller gets.
func (p *passage) appendAnswerHead(out []byte, answer *http1.Answer, last bool) []byte {
	out = appendStatus(out, answer.Status)
	var id, parent, date bool
	for _, field := range answer.Fields {
		switch string(field.Name) {
		case "server", "x-penstock-refused", "x-penstock-leaving":
			continue
		case "x-request-id":
			id = true
		case "traceparent":
			parent = true
		case "date":
			date = true
		}
		out = append(append(append(append(out, field.Name...), ": "...), field.Value...), "\r\n"...)
	}
	if answer.Length < 0 && answer.HasBody() {
		out = append(out, "transfer-encoding: chunked\r\n"...)
	}
	if !id {
		out = appendField(out, headerRequestID, p.id)
	}
	if !parent {
		out = appendField(out, headerTraceparent, p.parent)
	}
	if !date {
		out = appendField(out, "Date", p.listener.date.text())
	}
	if last {
		out = appendField(out, "Connection", "close")
	}
	return append(out, "\r\n"...)
}

func appendStatus(out []byte, status int) []byte {
	out = strconv.AppendInt(append(out, "HTTP/1.1 "...), int64(status), 10)
	return append(append(append(out, ' '), http.StatusText(status)...), "\r\n"...)
}

// refuse answers for a gateway that did not.
func (p *passage) refuse(err error) (keep bool) {
	var timeout net.Error
	switch {
	case p.hasLeft():
		p.status = statusClientClosed
		return false
	case errors.As(err, &timeout) && timeout.Timeout() && !isDialError(err) || errors.Is(err, os.ErrDeadlineExceeded):
		return p.sendFailure(&failureTimeout)
	}
	return p.sendFailure(&failureUnreachable)
}

// fail ends the passage of a request whose body did not come.
func (p *passage) fail(err error) {
	defer p.end()
	if isTooSlow(err) {
		p.sendFailure(&failureTooSlow)
		return
	}
	p.status = statusClientClosed
}

func (p *passage) sendFailure(f *failure) (keep bool) {
	p.status = f.httpStatus
	body := f.body(p.path)
	out := appendStatus(nil, f.httpStatus)
	out = appendField(out, "Content-Type", "application/json")
	out = appendField(out, "X-Content-Type-Options", "nosniff")
	out = appendField(out, "Content-Length", strconv.Itoa(len(body)))
	if f.retryAfter {
		out = appendField(out, "Retry-After", "1")
	}
	last := f.closes || p.listener.front.inFlight.closed.Load()
	if last {
		out = appendField(out, "Connection", "close")
	}
	out = appendField(out, headerRequestID, p.id)
	out = appendField(out, headerTraceparent, p.parent)
	out = appendField(out, "Date", p.listener.date.text())
	return p.send(append(append(out, "\r\n"...), body...)) && !last
}

// dateClock writes the time once a second.
type dateClock struct{ last atomic.Pointer[writtenDate] }

type writtenDate struct {
	second int64
	text   string
}

func (d *dateClock) text() string {
	now := time.Now()
	if last := d.last.Load(); last != nil && last.second == now.Unix() {
		return last.text
	}
	d.last.Store(&writtenDate{now.Unix(), now.UTC().Format(http.TimeFormat)})
	return d.last.Load().text
}

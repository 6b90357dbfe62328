package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"

	"penstock.dev/edge/http1"
)

var (
	endOfEvent      = []byte("\n\n")
	endOfEventChunk = []byte("\n\n\r\n")
)

// lastEvent is how the edge ends a stream whose gateway has gone away in the middle: with an error, and no [DONE].
func lastEvent(path string) []byte {
	event := []byte("data: ")
	if strings.HasPrefix(path, "/v1/messages") || isResponses(path) {
		event = []byte("event: error\ndata: ")
	}
	return append(append(event, failureCut.event(path)...), endOfEvent...)
}

// isResponses tells whether a path's streams are of OpenAI's Responses, whose events all have a type.
func isResponses(path string) bool {
	return strings.Contains(path+"/", "/responses/")
}

// event is the failure as a stream tells it; its number and its response are the gateway's to know, so it has neither.
func (f *failure) event(path string) []byte {
	if !isResponses(path) {
		return f.body(path)
	}
	detail := map[string]any{"message": f.message, "type": f.openAIType, "param": nil, "code": f.openAICode}
	body, _ := json.Marshal(map[string]any{
		"type": "error", "code": f.openAICode, "message": f.message, "param": nil, "error": detail,
	}) // strings and nil always marshal
	return body
}

func hasEventStream(answer *http1.Answer) bool {
	for _, field := range answer.Fields {
		if string(field.Name) == "content-type" {
			return isEventStream(string(field.Value))
		}
	}
	return false
}

func isEventStream(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "text/event-stream"
}

// passedEnd is the end of what has been passed of a stream.
type passedEnd struct {
	bytes  [4]byte
	passed bool
}

func (e *passedEnd) pass(part []byte) {
	e.passed = e.passed || len(part) > 0
	part = part[max(0, len(part)-len(e.bytes)):]
	copy(e.bytes[:], e.bytes[len(part):])
	copy(e.bytes[len(e.bytes)-len(part):], part)
}

// isAt tells whether something may follow: nothing has been passed, or this at last.
func (e *passedEnd) isAt(end []byte) bool { return !e.passed || bytes.HasSuffix(e.bytes[:], end) }

// toldStream is an event stream's body that ends with an error event where its gateway goes away.
type toldStream struct {
	io.ReadCloser
	request *http.Request
	end     passedEnd
	last    []byte
	isCut   bool
}

func (s *toldStream) Read(into []byte) (int, error) {
	if s.isCut {
		n := copy(into, s.last)
		if s.last = s.last[n:]; n == 0 {
			return 0, io.EOF
		}
		return n, nil
	}
	n, err := s.ReadCloser.Read(into)
	s.end.pass(into[:n])
	if err == nil || err == io.EOF || !s.end.isAt(endOfEvent) || s.request.Context().Err() != nil {
		return n, err
	}
	s.isCut, s.last = true, lastEvent(s.request.URL.Path)
	return n, nil
}

// tellCut ends a stream that broke off with err, and tells whether it could.
func (p *passage) tellCut(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) || p.hasLeft() {
		return false
	}
	event := lastEvent(p.path)
	out := append(strconv.AppendInt(p.out[:0], int64(len(event)), 16), "\r\n"...)
	return p.send(append(append(out, event...), "\r\n0\r\n\r\n"...))
}

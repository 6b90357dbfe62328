package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
)

const (
	// maxReplayBytes bounds what is kept of a body, so that another gateway can be given it.
	maxReplayBytes = 1 << 20
	// smallBodyBytes are allocated at once; a larger body gets room as it comes, so that a length alone costs nothing.
	smallBodyBytes = 16 << 10
)

// holding is the memory that bodies may take while no gateway has them.
//
// The transport takes a body that it can read from memory whole: it writes it with the head, and asks for
// nothing more. One that it still reads while the answer comes depends on what the answer does to its source.
type holding struct {
	maxBytes int64
	bytes    atomic.Int64
}

// heldBody is a request's body on its way to a gateway: all of it in memory, or its beginning and a source.
type heldBody struct {
	of       *holding
	reserved int64
	data     []byte
	// rest is what comes after data; nil where data is the whole.
	rest io.Reader
}

// take reads a body into memory, where it is small enough and there is room, and else leaves it at its source.
func (h *holding) take(request *http.Request) (*heldBody, error) {
	body := &heldBody{of: h}
	if request.Body == nil || request.Body == http.NoBody {
		return body, nil
	}
	announced := request.ContentLength
	if announced > maxReplayBytes || !body.reserve(announced) {
		body.rest = request.Body
		return body, nil
	}
	err := body.fill(request.Body, announced)
	if err != nil {
		body.release()
	}
	return body, err
}

func (b *heldBody) reserve(announced int64) bool {
	if announced < 0 {
		announced = maxReplayBytes
	}
	if !b.of.reserve(announced) {
		return false
	}
	b.reserved = announced
	return true
}

// reserve takes memory, which must be released; false where there is none left.
func (h *holding) reserve(bytes int64) bool {
	if h.bytes.Add(bytes) > h.maxBytes {
		h.release(bytes)
		return false
	}
	return true
}

func (h *holding) release(bytes int64) { h.bytes.Add(-bytes) }

// fill reads to the body's end, or until there is more than may be kept.
func (b *heldBody) fill(source io.Reader, announced int64) error {
	room := smallBodyBytes
	if announced >= 0 {
		room = int(min(announced+1, smallBodyBytes))
	}
	b.data = make([]byte, 0, room)
	for len(b.data) <= maxReplayBytes {
		if len(b.data) == cap(b.data) {
			b.data = slices.Grow(b.data, len(b.data))
		}
		n, err := source.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	b.rest = source
	return nil
}

// whole says whether another gateway would be given the body from its beginning.
func (b *heldBody) whole() bool { return b.rest == nil }

// attach gives one attempt's request the body. detach, called when the answer's head is there, lets its memory go,
// as an answer may take minutes.
func (b *heldBody) attach(out *http.Request) (detach func()) {
	detach = func() {}
	switch {
	case b.rest != nil:
		out.Body = io.NopCloser(io.MultiReader(bytes.NewReader(b.data), b.rest))
	case len(b.data) == 0:
		out.Body, out.ContentLength = http.NoBody, 0
	default:
		reader := bytes.NewReader(b.data)
		out.Body, out.ContentLength = io.NopCloser(reader), int64(len(b.data))
		out.TransferEncoding = nil
		if len(b.data) > smallBodyBytes {
			var wrote atomic.Bool
			trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { wrote.Store(true) }}
			*out = *out.WithContext(httptrace.WithClientTrace(out.Context(), trace))
			detach = func() {
				// The transport refers to the reader until the answer ends.
				if wrote.Load() {
					reader.Reset(nil)
				}
			}
		}
	}
	return detach
}

// release lets the body go; no gateway will be given it.
func (b *heldBody) release() {
	b.of.release(b.reserved)
	b.reserved, b.data = 0, nil
}

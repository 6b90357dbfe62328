package main

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
)

// compressionOf names what a body is compressed with, by any of its names (RFC 9110, 8.4.1); "" for what is not undone.
// The gateway undoes the same.
func compressionOf(encoding string) string {
	switch name := strings.TrimPrefix(strings.ToLower(encoding), "x-"); name {
	case "gzip", "deflate":
		return name
	}
	return ""
}

const zlibMethod, methodBits = 8, 0x0f

// newInflater reads what was compressed. Some clients send "deflate" without zlib's head: no two have ever agreed on it
// (RFC 9110, 8.4.1.2).
func newInflater(compression string, from io.Reader) (io.Reader, error) {
	if compression == "gzip" {
		return gzip.NewReader(from)
	}
	buffered := bufio.NewReader(from)
	if first, err := buffered.Peek(1); err == nil && first[0]&methodBits != zlibMethod {
		return flate.NewReader(buffered), nil
	}
	return zlib.NewReader(buffered)
}

// inflatedBody is a body of the typed API that came compressed: bounded by what it becomes, however little it was.
type inflatedBody struct {
	*guardedBody
	compression string
	reader      io.Reader
	inflated    int64
}

// inflate puts the inflated body in place of the request's.
func inflate(r *http.Request, compression string) {
	if guarded, ok := r.Body.(*guardedBody); ok {
		r.Body = &inflatedBody{guardedBody: guarded, compression: compression}
	}
	r.Header.Del("Content-Encoding")
	r.ContentLength = -1
}

// Read gives what is inflated.
func (b *inflatedBody) Read(p []byte) (int, error) {
	if b.reader == nil {
		reader, err := newInflater(b.compression, b.guardedBody)
		if err != nil {
			return 0, b.broken(err)
		}
		b.reader = reader
	}
	n, err := b.reader.Read(p)
	b.inflated += int64(n)
	if b.inflated > b.maxBytes {
		b.fail(errBodyTooLarge)
		return 0, errBodyTooLarge
	}
	if err != nil && err != io.EOF {
		err = b.broken(err)
	}
	return n, err
}

// broken notes that what arrived is not what it says; what failed before, such as the caller's time, stays the reason.
func (b *inflatedBody) broken(err error) error {
	if b.err() == nil {
		b.fail(errBodyNotInflated)
	}
	return err
}

func (g *guardedBody) fail(err error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.failure = err
}

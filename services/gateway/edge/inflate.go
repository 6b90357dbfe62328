package main

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
)

// isGzip says whether a body comes as gzip, by either of its names (RFC 9110, 8.4.1.3).
func isGzip(encoding string) bool {
	return strings.EqualFold(encoding, "gzip") || strings.EqualFold(encoding, "x-gzip")
}

// inflatedBody is a body of the typed API that came as gzip: bounded by what it becomes, however little it was.
type inflatedBody struct {
	*guardedBody
	reader   *gzip.Reader
	inflated int64
}

// inflate puts the inflated body in place of the request's.
func inflate(r *http.Request) {
	if guarded, ok := r.Body.(*guardedBody); ok {
		r.Body = &inflatedBody{guardedBody: guarded}
	}
	r.Header.Del("Content-Encoding")
	r.ContentLength = -1
}

// Read gives what is inflated.
func (b *inflatedBody) Read(p []byte) (int, error) {
	if b.reader == nil {
		reader, err := gzip.NewReader(b.guardedBody)
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

// broken notes that what arrived is no gzip; what failed before, such as the caller's time, stays the reason.
func (b *inflatedBody) broken(err error) error {
	if b.err() == nil {
		b.fail(errBodyNoGzip)
	}
	return err
}

func (g *guardedBody) fail(err error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.failure = err
}

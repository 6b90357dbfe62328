package main

import (
	"net/http"
	"time"
)

// responseWriter adds the headers that every answer carries, bounds each write in
// time, and remembers what was sent.
type responseWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	// common is added to the headers unless the gateway has set them.
	common map[string]string
	// body is the request's, nil where it has none.
	body         *guardedBody
	writeTimeout time.Duration
	// Over HTTP/2 a write deadline resets the stream when it passes, also between
	// writes; there the server's WriteByteTimeout does this work.
	deadlines bool
	armed     time.Time
	status    int
	bytes     int64
}

func newResponseWriter(w http.ResponseWriter, r *http.Request, timeout time.Duration) *responseWriter {
	rw := &responseWriter{
		ResponseWriter: w, control: http.NewResponseController(w), writeTimeout: timeout, deadlines: r.ProtoMajor == 1,
	}
	// The connection may carry a deadline of its previous request, and a 100 Continue is written before any answer.
	rw.arm()
	return rw
}

// arm renews the write deadline; not on each token, as one system timer costs more than the check.
func (w *responseWriter) arm() {
	if !w.deadlines {
		return
	}
	if now := time.Now(); now.Sub(w.armed) > w.writeTimeout/8 {
		w.armed = now
		_ = w.control.SetWriteDeadline(now.Add(w.writeTimeout))
	}
}

func (w *responseWriter) WriteHeader(status int) {
	w.arm()
	if status >= 200 && w.status == 0 {
		w.status = status
		header := w.Header()
		if w.body.breaksOff() {
			header["Connection"] = []string{"close"}
		}
		for name, value := range w.common {
			if _, ok := header[name]; !ok {
				header[name] = []string{value}
			}
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.arm()
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// FlushError is what http.ResponseController looks for.
func (w *responseWriter) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.arm()
	return w.control.Flush()
}

func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

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
	// Over HTTP/2 a write deadline resets the stream when it passes, also between writes; there a timer watches each
	// write. The server's own WriteByteTimeout watches the connection alone, which a reader keeps going that gives one
	// of its streams no window.
	deadlines bool
	armed     time.Time
	stall     *time.Timer
	status    int
	bytes     int64
}

func newResponseWriter(w http.ResponseWriter, r *http.Request, timeout time.Duration) *responseWriter {
	rw := &responseWriter{
		ResponseWriter: w, control: http.NewResponseController(w), writeTimeout: timeout, deadlines: r.ProtoMajor == 1,
	}
	if rw.deadlines {
		// The connection may carry a deadline of its previous request, and a 100 Continue is written before any answer.
		rw.arm()
	}
	return rw
}

// arm renews the write deadline; not on each token, as one system timer costs more than the check.
func (w *responseWriter) arm() {
	if !w.deadlines {
		if w.stall == nil {
			w.stall = time.AfterFunc(w.writeTimeout, w.cut)
		}
		w.stall.Reset(w.writeTimeout)
		return
	}
	if now := time.Now(); now.Sub(w.armed) > w.writeTimeout/8 {
		w.armed = now
		_ = w.control.SetWriteDeadline(now.Add(w.writeTimeout))
	}
}

// written stops the watch over a write that has ended.
func (w *responseWriter) written() {
	if w.stall != nil {
		w.stall.Stop()
	}
}

// cut resets the stream: a deadline that has passed does so at once.
func (w *responseWriter) cut() { _ = w.control.SetWriteDeadline(time.Now().Add(-time.Second)) }

// close ends the watch; what the server still has to write gets a last deadline.
func (w *responseWriter) close() {
	w.written()
	if !w.deadlines {
		_ = w.control.SetWriteDeadline(time.Now().Add(w.writeTimeout))
	}
}

func (w *responseWriter) WriteHeader(status int) {
	defer w.written()
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
	defer w.written()
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
	defer w.written()
	return w.control.Flush()
}

func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

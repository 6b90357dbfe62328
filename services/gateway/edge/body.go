package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

var (
	errBodyTooLarge    = errors.New("the request body is larger than the limit")
	errBodyTooSlow     = errors.New("the request body arrived too slowly")
	errBodyBroken      = errors.New("the request body is not framed as its headers say")
	errBodyNotInflated = errors.New("the request body is not compressed as its headers say")
)

// refusedLingerFor is how long a caller may go on sending who is refused before its body has come.
const refusedLingerFor = 3 * time.Second

// guardedBody bounds a request body in size and in time. Its deadline rolls with
// what has arrived, so that a large upload over a slow line passes and a trickle
// does not. It remembers why it failed, because neither the reverse proxy nor
// grpc-gateway hands a body's error on.
type guardedBody struct {
	io.ReadCloser
	control  *http.ResponseController
	maxBytes int64
	minRate  int64
	started  time.Time
	timeout  time.Duration
	received int64
	// length is what the head says; -1 where it says none.
	length int64
	// isHTTP1 says that the connection's next bytes would be the next request's.
	isHTTP1 bool
	// reading is held while somebody reads: the proxy may, beside the answer.
	reading  sync.Mutex
	mutex    sync.Mutex
	failure  error
	ended    bool
	closed   bool
	released bool
}

// guardBody puts the guard in place of the request's body, if it has one, and
// refuses at once a body that says that it is too large.
func guardBody(w http.ResponseWriter, r *http.Request, cfg *config) *guardedBody {
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	g := &guardedBody{
		ReadCloser: r.Body, control: http.NewResponseController(w), maxBytes: maxBytesOf(r, cfg),
		minRate: cfg.bodyMinRate, started: time.Now(), timeout: cfg.bodyTimeout,
		length: r.ContentLength, isHTTP1: r.ProtoMajor == 1,
	}
	if r.ContentLength > g.maxBytes {
		g.failure = errBodyTooLarge
	}
	// Set even if nobody reads: after the handler, net/http itself reads what is left.
	_ = g.control.SetReadDeadline(g.started.Add(g.timeout))
	r.Body = g
	return g
}

// maxBytesOf bounds a body: an uploaded file, or a batch of messages, may be larger than what a model is asked, as nobody
// keeps it in memory.
func maxBytesOf(r *http.Request, cfg *config) int64 {
	path := strings.TrimSuffix(r.URL.Path, "/")
	if strings.HasPrefix(path, rawPrefix) {
		return max(cfg.maxUploadBytes, cfg.maxBodyBytes)
	}
	isFile := strings.HasSuffix(path, "/files") && !strings.Contains(path, "/vector_stores/")
	isUpload := isFile || strings.HasSuffix(path, "/messages/batches")
	if r.Method == http.MethodPost && isUpload && !strings.HasPrefix(path, typedPrefix) {
		return max(cfg.maxUploadBytes, cfg.maxBodyBytes)
	}
	return cfg.maxBodyBytes
}

// Read is called by one goroutine, which may outlive the request's handler.
func (g *guardedBody) Read(p []byte) (int, error) {
	g.reading.Lock()
	defer g.reading.Unlock()
	if err := g.err(); err != nil {
		return 0, err
	}
	if g.isOver() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := g.ReadCloser.Read(p)
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.received += int64(n)
	g.ended = g.ended || errors.Is(err, io.EOF) || g.length >= 0 && g.received >= g.length
	switch {
	case g.released:
		// The connection's deadline is the next request's.
	case g.received > g.maxBytes:
		g.failure = errBodyTooLarge
		return 0, g.failure
	case err == nil:
		earned := time.Duration(float64(g.received) / float64(g.minRate) * float64(time.Second))
		_ = g.control.SetReadDeadline(g.started.Add(g.timeout + earned))
	case errors.Is(err, os.ErrDeadlineExceeded):
		g.failure = errBodyTooSlow
		return n, g.failure
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, http.ErrBodyReadAfterClose):
		// Not framed as it says: where the next request would begin is not known.
		g.failure = errBodyBroken
		return n, g.failure
	default:
		// At the end of the body the deadline must go: from here on net/http reads
		// ahead to learn that the caller has left, and a deadline would look like that.
		_ = g.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// Close has nobody read on, and waits for nobody: since Go 1.27 a proxy closes the body before it lets an answer go, and
// closing that of HTTP/1 waits for whoever reads. The server closes it once the handler has returned.
func (g *guardedBody) Close() error {
	g.mutex.Lock()
	g.closed = true
	g.mutex.Unlock()
	if g.isHTTP1 {
		return nil
	}
	return g.ReadCloser.Close()
}

// release is called when the handler returns: nobody reads from here on but net/http, which must not do so beside
// another (golang/go#68560).
func (g *guardedBody) release() {
	if g == nil {
		return
	}
	g.mutex.Lock()
	g.released = true
	rest := g.isHTTP1 && !g.ended
	g.mutex.Unlock()
	if !rest {
		return
	}
	_ = g.control.SetReadDeadline(time.Now())
	g.reading.Lock()
	defer g.reading.Unlock()
	// What is left is read for a moment, so that the answer is not lost to what the caller still sends.
	_ = g.control.SetReadDeadline(time.Now().Add(lingerFor))
}

// letCome reads what a refused caller still sends, once it has its answer: a connection that is closed before would be
// reset, and the answer lost. Over HTTP/2 the stream alone is reset, and says so.
func (g *guardedBody) letCome(w *responseWriter) {
	if g == nil || !g.breaksOff() || w.FlushError() != nil {
		return
	}
	g.reading.Lock()
	defer g.reading.Unlock()
	_ = g.control.SetReadDeadline(time.Now().Add(refusedLingerFor))
	if n, err := io.Copy(io.Discard, io.LimitReader(g.ReadCloser, g.maxBytes)); err == nil && n < g.maxBytes {
		g.mutex.Lock()
		g.ended = true
		g.mutex.Unlock()
	}
}

func (g *guardedBody) isOver() bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.released || g.closed
}

// breaksOff says whether an answer that begins now ends the connection: where the body has not come to its end, nobody
// knows where the next request begins.
func (g *guardedBody) breaksOff() bool {
	if g == nil {
		return false
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.isHTTP1 && !g.ended
}

// err tells why the body could not be read: one of the errBody… errors, or nil.
func (g *guardedBody) err() error {
	if g == nil {
		return nil
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.failure
}

package main

import (
	"context"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
)

const (
	typedPrefix = "/api/v1/"
	adminPrefix = "/api/v1/admin/"
	promptsRoot = "/api/v1/prompts"
	// What is kept; a search is not among it.
	knowledgePrefix = "/api/v1/knowledge/"
	wirePrefix      = "/v1/"
	// What passes to an upstream as it is.
	rawPrefix    = "/passthrough/"
	unknownRoute = "unknown"
)

// wireRoots are beginnings of paths on which the gateway serves wire formats, too: for SDKs whose base URL is told
// without /v1, and for Azure's.
var wireRoots = []string{
	"/chat/completions", "/completions", "/embeddings", "/models", "/responses", "/messages", "/vector_stores", "/files",
	"/openai/", "/engines/", "/rerank", "/v2/rerank", "/moderations", rawPrefix,
}

// isWire says whether a path is the gateway's HTTP port to judge.
func isWire(path string) bool {
	if strings.HasPrefix(path, wirePrefix) {
		return true
	}
	for _, root := range wireRoots {
		if rest, ok := strings.CutPrefix(path, root); ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(root, "/")) {
			return true
		}
	}
	return false
}

// front is the first handler: it bounds, names, filters and counts every request
// and hands it to the surface that its path belongs to.
type front struct {
	cfg      *config
	logger   *slog.Logger
	tracing  *tracing
	inFlight *inFlight
	probes   *probes
	pages    *pages
	cors     *cors
	typed    http.Handler
	wire     http.Handler
	guesses  *guesses
}

// exchange is what one request and its answer leave on their way through.
type exchange struct {
	// route is the path with its variables unfilled; "unknown" where there is none.
	route string
	// timeout is the caller's own, 0 where there is none.
	timeout time.Duration
	body    *guardedBody
	// header and trailer are the gateway's metadata on the typed API.
	header, trailer metadata.MD
	// sent is called when the gateway has the request of a stream; nil where nobody wants to know.
	sent func()
}

type exchangeKey struct{}

// exchangeOf never returns nil: a probe's call belongs to no exchange.
func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{}
}

func (x *exchange) timeoutOr(standard time.Duration) time.Duration {
	if x.timeout > 0 {
		return x.timeout
	}
	return standard
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := guardBody(w, r, f.cfg)
	defer body.release()
	if probe := f.probes.handler(r); probe != nil {
		f.answerNow(probe, w, r)
		return
	}
	if page := f.pages.handler(r); page != nil {
		f.answerNow(page, w, r)
		return
	}
	if f.cors.answer(w, r) {
		return
	}
	mendSlashes(r)
	admitted := f.inFlight.enter()
	if admitted {
		defer f.inFlight.leave()
	}
	started := time.Now()
	header := allowedHeaders(r.Header)
	if strings.HasPrefix(r.URL.Path, rawPrefix) {
		header = rawHeaders(r.Header)
	}
	id := requestID(header)
	header[headerRequestID] = []string{id}
	addClientAddress(header, r.RemoteAddr, f.cfg.gatewayToken)
	if forwarded := r.Header[headerForwardedFor]; forwarded != nil {
		header[headerClientAddress] = []string{f.cfg.clients.of(r.RemoteAddr, forwarded)}
	}
	call := &exchange{route: unknownRoute, body: body}
	ctx, span := f.tracing.start(context.WithValue(r.Context(), exchangeKey{}, call), header, f.cfg.believesSampling(r.RemoteAddr))
	out := newResponseWriter(w, r, f.cfg.writeTimeout)
	out.body = body
	out.common = map[string]string{headerRequestID: id, headerTraceparent: header.Get(headerTraceparent)}

	shown := f.guesses.in(header)
	// Deferred, because the proxy panics on purpose when the gateway dies in the middle of an answer.
	defer func() {
		out.close()
		f.guesses.heard(header.Get(headerClientAddress), shown, out.status)
		f.tracing.end(span, r.Method, call.route, out.status, id)
		f.tell(r.Method, call.route, out.status, out.bytes, started, id)
	}()

	if refusal := f.refusal(r, header, admitted, body); refusal != nil {
		_ = out.control.EnableFullDuplex()
		refusal.write(out, r)
		body.letCome(out)
		return
	}
	forwarded := r.WithContext(ctx)
	forwarded.Header = header
	if strings.HasPrefix(r.URL.Path, typedPrefix) {
		f.typed.ServeHTTP(out, forwarded)
		return
	}
	call.route = wireRoute(r.URL.Path)
	f.wire.ServeHTTP(out, forwarded)
}

// isMethod says whether a text is a token as RFC 9110, 5.6.2 has it.
func isMethod(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// answerNow gives an answer that is at hand: all of it has the time of one write.
func (f *front) answerNow(handler http.HandlerFunc, w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(f.cfg.writeTimeout))
	handler(w, r)
}

// mendSlashes reads the doubled slashes of a base URL that ends in one as one.
func mendSlashes(r *http.Request) {
	for r.URL.RawPath == "" && strings.Contains(r.URL.Path, "//") {
		r.URL.Path = strings.ReplaceAll(r.URL.Path, "//", "/")
	}
}

// tell logs a request that has ended.
func (f *front) tell(method, route string, status int, bytes int64, started time.Time, id string) {
	if f.logger.Enabled(context.Background(), slog.LevelDebug) {
		f.logger.Debug("request", "method", method, "route", route, "status", status, "bytes", bytes,
			"duration_ms", time.Since(started).Milliseconds(), "request_id", id)
	}
}

// refusal is the answer to a request that goes no further, or nil.
func (f *front) refusal(r *http.Request, forwarded http.Header, admitted bool, body *guardedBody) *failure {
	p := r.URL.Path
	known := strings.HasPrefix(p, typedPrefix) || isWire(p)
	encoding := r.Header.Get("Content-Encoding")
	switch {
	case !admitted:
		return &failureDraining
	// HTTP/2's server lets any method pass; nothing behind it would send one that is no token.
	case !isMethod(r.Method):
		return &failureNoMethod
	// A path that a later hop would read differently must not pass as one of ours.
	case !known || path.Clean(p) != strings.TrimSuffix(p, "/"):
		return &failureNotFound
	case headerBytes(forwarded) > maxForwardedBytes:
		return &failureHead
	case body.err() != nil:
		return bodyFailure(body.err())
	case encoding != "" && !strings.EqualFold(encoding, "identity") && compressionOf(encoding) == "":
		return &failureEncoding
	case !f.guesses.admits(forwarded.Get(headerClientAddress), f.guesses.in(forwarded)):
		return &failureGuesses
	}
	return nil
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
	"sync"
	"time"
)

// statusClientClosed is nginx's 499: the caller left, so nobody reads it but the log.
const statusClientClosed = 499

// answerGrace is how much longer than the caller's own timeout an answer is waited for: the gateway ends it by itself.
const answerGrace = 10 * time.Second

// proxyBufferBytes is held by every open stream; token chunks are far smaller.
const proxyBufferBytes = 8 << 10

// newWireHandler proxies the wire formats to the gateway's HTTP port, byte for byte and at once.
func newWireHandler(ctx context.Context, cfg *config, trust *tls.Config, logger *slog.Logger) (http.Handler, *balancer, error) {
	targets, err := parseHTTPTargets(cfg.gatewayHTTP)
	if err != nil {
		return nil, nil, err
	}
	gateways := newBalancer(cfg, targets, trust)
	if gateways.hasNames() {
		go gateways.follow(ctx, logger)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme = targets[0].scheme
			p.Out.URL.Host = targets[0].host
			p.Out.Host = targets[0].host
		},
		Transport: gateways,
		// Without an interval the proxy flushes each write of an event stream and of any answer of
		// unknown length, and leaves whole answers to one write: an interval of -1 would cost those a second.
		FlushInterval: 0,
		BufferPool:    newBufferPool(),
		ModifyResponse: func(response *http.Response) error {
			response.Header.Del("Server")
			response.Header.Del(refusedHeader)
			if isEventStream(response.Header.Get("Content-Type")) {
				response.Body = &toldStream{ReadCloser: response.Body, request: response.Request}
			}
			return nil
		},
		ErrorHandler: proxyFailed,
		// A caller that leaves and a gateway that dies are both logged by their status.
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithDeadline(r.Context(), answerDue(cfg, time.Now(), r.Header.Get(headerTimeout)))
		defer cancel()
		r = r.WithContext(ctx)
		// By itself the server reads a body to its end, and closes it, before it writes an answer's head. The transport
		// may still be sending that body, would take this for a failure, and cut the answer.
		_ = http.NewResponseController(w).EnableFullDuplex()
		proxy.ServeHTTP(w, r)
	}), gateways, nil
}

// answerDue is when an answer must have ended, its last byte included, whatever the gateway does, or does not.
func answerDue(cfg *config, started time.Time, timeout string) time.Time {
	limit := cfg.responseTimeout
	if own := durationOf(timeout); own > 0 {
		limit = min(limit, own+answerGrace)
	}
	return started.Add(limit)
}

func newTransport(cfg *config, target httpTarget, trust *tls.Config) *http.Transport {
	dialer := &net.Dialer{Timeout: cfg.connectTimeout}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if target.socket != "" {
				return dialer.DialContext(ctx, "unix", target.socket)
			}
			return dialer.DialContext(ctx, network, address)
		},
		DialTLSContext: newHandshakes(cfg, dialer, trust).dial,
		// Every stream holds a connection; those that end together must all find a place.
		MaxIdleConns:        0,
		MaxIdleConnsPerHost: 16384,
		// A POST on a connection that the gateway is just closing cannot be sent again,
		// so this side must close first. The gateway closes after 75 s.
		IdleConnTimeout:       cfg.gatewayIdleTimeout,
		ResponseHeaderTimeout: cfg.responseTimeout,
		DisableCompression:    true,
		Proxy:                 nil,
	}
}

func proxyFailed(w http.ResponseWriter, r *http.Request, err error) {
	var timeout net.Error
	body := exchangeOf(r.Context()).body
	switch {
	case body.err() != nil:
		bodyFailure(body.err()).write(w, r)
	case errors.Is(r.Context().Err(), context.DeadlineExceeded):
		failureTimeout.write(w, r)
	case r.Context().Err() != nil:
		w.WriteHeader(statusClientClosed)
	case errors.As(err, &timeout) && timeout.Timeout() && !isDialError(err) || errors.Is(err, os.ErrDeadlineExceeded):
		failureTimeout.write(w, r)
	default:
		failureUnreachable.write(w, r)
	}
}

func isDialError(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}

// wireRoute names the path for spans and logs without what callers put into it.
func wireRoute(path string) string {
	switch path = strings.TrimSuffix(path, "/"); path {
	case "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models", "/v1/responses", "/v1/messages",
		"/v1/messages/count_tokens", "/v1/rerank", "/v2/rerank", "/v1/moderations", "/v1/responses/input_tokens",
		"/v1/responses/compact":
		return path
	}
	if strings.HasPrefix(path, rawPrefix) {
		return rawPrefix + "*"
	}
	if strings.HasPrefix(path, "/v1/models/") {
		return "/v1/models/{id}"
	}
	return storesRoute(path)
}

// storesRoute names the paths of vector stores, files, batches and kept responses: every second segment behind the first is an id.
func storesRoute(path string) string {
	if rest, ok := strings.CutPrefix(path, messageBatches); ok && (rest == "" || rest[0] == '/') {
		if route := storesRoute(wirePrefix + "batches" + rest); route != "/v1/*" {
			return messageBatches + strings.TrimPrefix(route, wirePrefix+"batches")
		}
	}
	segments := strings.Split(strings.TrimPrefix(path, wirePrefix), "/")
	files := segments[0] == "files" && len(segments) <= 3
	stores := segments[0] == "vector_stores" && len(segments) <= 5
	batches := segments[0] == "batches" && len(segments) <= 3
	responses := segments[0] == "responses" && len(segments) <= 3
	if !files && !stores && !batches && !responses {
		return "/v1/*"
	}
	for i, segment := range segments {
		switch {
		case i%2 == 1:
			segments[i] = "{id}"
		case !storesNames[segment]:
			return "/v1/*"
		}
	}
	return wirePrefix + strings.Join(segments, "/")
}

// messageBatches are Anthropic's batches, whose names are as those of OpenAI's behind this.
const messageBatches = wirePrefix + "messages/batches"

var storesNames = map[string]bool{
	"batches": true, "files": true, "vector_stores": true, "content": true, "search": true, "file_batches": true, "cancel": true,
	"responses": true, "input_items": true, "results": true,
}

type bufferPool struct{ pool sync.Pool }

func newBufferPool() *bufferPool {
	return &bufferPool{pool: sync.Pool{New: func() any { return new([proxyBufferBytes]byte) }}}
}

// Get lends a buffer for one answer.
func (b *bufferPool) Get() []byte { return b.pool.Get().(*[proxyBufferBytes]byte)[:] }

// Put takes it back.
func (b *bufferPool) Put(buffer []byte) { b.pool.Put((*[proxyBufferBytes]byte)(buffer)) }

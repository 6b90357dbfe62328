package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// edge is the wired program: a listener, the handler chain, and what they need to stop.
type edge struct {
	cfg      *config
	listener net.Listener
	server   *http.Server
	gateway  *gatewayConns
	tracing  *tracing
	inFlight *inFlight
	plain    *plainListener
}

func newEdge(ctx context.Context, cfg *config, logger *slog.Logger) (*edge, error) {
	tracing, err := newTracing(ctx, cfg, logger)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	if cfg.gatewayProofs, err = newGatewayProofs(cfg, logger); err != nil {
		return nil, err
	}
	trust := gatewayTrust(cfg)
	if cfg.gatewayToken, err = readToken(cfg.gatewayTokenFile); err != nil {
		return nil, err
	}
	gateway, err := dialGateway(cfg, trust)
	if err != nil {
		return nil, fmt.Errorf("gateway target: %w", err)
	}
	typed, err := newTypedHandler(ctx, cfg, gateway)
	if err != nil {
		return nil, fmt.Errorf("typed API: %w", err)
	}
	wire, gateways, err := newWireHandler(ctx, cfg, trust, logger)
	if err != nil {
		return nil, err
	}
	tlsConfig, err := listenerTLS(cfg, logger)
	if err != nil {
		return nil, err
	}
	listener, err := listen(cfg.listen)
	if err != nil {
		return nil, err
	}
	requests := newInFlight()
	front := &front{
		cfg: cfg, logger: logger, tracing: tracing, inFlight: requests, typed: typed, wire: wire,
		probes: newProbes(cfg, gateway, requests), pages: newPages(cfg.servePages), cors: &cors{origins: cfg.origins},
		guesses: newGuesses(cfg),
	}
	plain := newPlainListener(listener, front, gateways, tlsConfig)
	return &edge{
		cfg: cfg, listener: plain, gateway: gateway, tracing: tracing, inFlight: requests, plain: plain,
		server: newServer(cfg, front, tlsConfig, logger),
	}, nil
}

func newServer(cfg *config, handler http.Handler, tlsConfig *tls.Config, logger *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(tlsConfig != nil)
	return &http.Server{
		Handler:           handler,
		TLSConfig:         tlsConfig,
		Protocols:         protocols,
		ReadHeaderTimeout: cfg.headerTimeout,
		IdleTimeout:       cfg.idleTimeout,
		MaxHeaderBytes:    cfg.maxHeaderBytes,
		// 100 streams a connection is Envoy's advice for an edge; it also bounds rapid resets (CVE-2023-44487).
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 100, WriteByteTimeout: cfg.writeTimeout,
			SendPingTimeout: cfg.writeTimeout, PingTimeout: cfg.writeTimeout,
		},
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

func loadTLS(cfg *config) (*tls.Config, error) {
	if cfg.tlsCert == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(cfg.tlsCert, cfg.tlsKey)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
	}, nil
}

// listenerTLS is what the edge shows its callers: the certificate of today, at each handshake.
func listenerTLS(cfg *config, logger *slog.Logger) (*tls.Config, error) {
	config, err := loadTLS(cfg)
	if config == nil {
		return nil, err
	}
	pair, err := newRenewedPair(logger, cfg.tlsCert, cfg.tlsKey)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	// With one beside it, who names no host would be shown that.
	config.Certificates = nil
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get(), nil }
	return config, nil
}

// gatewayTrust is how the gateway must prove itself; nil where no authority is named.
func gatewayTrust(cfg *config) *tls.Config {
	if cfg.gatewayProofs == nil {
		return nil
	}
	return cfg.gatewayProofs.today(&tls.Config{ServerName: cfg.gatewayName, MinVersion: tls.VersionTLS12})
}

func listen(address string) (net.Listener, error) {
	network, address, err := splitAddress(address)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen(network, address)
	if network != "unix" || err == nil {
		return listener, err
	}
	// A socket that nobody answers was left by a process that was killed.
	if conn, dialErr := net.Dial(network, address); dialErr == nil {
		conn.Close()
		return nil, err
	}
	if info, statErr := os.Lstat(address); statErr != nil || info.Mode()&os.ModeSocket == 0 {
		return nil, err
	}
	if err := os.Remove(address); err != nil {
		return nil, err
	}
	return net.Listen(network, address)
}

func (e *edge) address() string { return e.listener.Addr().String() }

// serve takes connections, and gives the server those that bring more than plain requests.
func (e *edge) serve() error {
	go e.plain.serve()
	return e.server.Serve(e.plain)
}

// drain gives notice, refuses new requests, waits until those in flight have ended or the grace
// period is over, closes everything and returns how many requests it cut.
func (e *edge) drain(ctx context.Context) int64 {
	// Until a balancer has seen that this edge is not ready, it sends requests here, and they are served.
	e.inFlight.giveNotice()
	time.Sleep(e.cfg.drainNotice)
	ended := e.inFlight.close()
	e.server.SetKeepAlivesEnabled(false)
	e.plain.closeIdle()
	ctx, cancel := context.WithTimeout(ctx, e.cfg.grace)
	defer cancel()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	cut := e.inFlight.count()
	if cut == 0 {
		// The last handler has returned; its connection may still have to be flushed.
		flush, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := e.server.Shutdown(flush); errors.Is(err, context.DeadlineExceeded) {
			e.server.Close()
		}
	} else {
		e.server.Close()
	}
	e.plain.closeAll()
	e.gateway.close()
	e.tracing.shutdown()
	return cut
}

// inFlight counts requests and, once closed, admits no more.
type inFlight struct {
	requests atomic.Int64
	leaving  atomic.Bool
	closed   atomic.Bool
	once     sync.Once
	ended    chan struct{}
}

func newInFlight() *inFlight { return &inFlight{ended: make(chan struct{})} }

// enter reports whether the request is admitted; an admitted one must leave.
func (f *inFlight) enter() bool {
	// Counted before the look at closed: close looks at the count after it has set closed, so one sees the other.
	f.requests.Add(1)
	if f.closed.Load() {
		f.leave()
		return false
	}
	return true
}

func (f *inFlight) leave() {
	if f.requests.Add(-1) == 0 && f.closed.Load() {
		f.once.Do(func() { close(f.ended) })
	}
}

// close admits no more requests; the channel is closed when the last one has left.
func (f *inFlight) close() <-chan struct{} {
	f.leaving.Store(true)
	f.closed.Store(true)
	if f.requests.Load() == 0 {
		f.once.Do(func() { close(f.ended) })
	}
	return f.ended
}

// giveNotice says that close is near; requests are still admitted.
func (f *inFlight) giveNotice() { f.leaving.Store(true) }

func (f *inFlight) isLeaving() bool { return f.leaving.Load() }

func (f *inFlight) count() int64 { return f.requests.Load() }

package main

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"penstock.dev/proto/openapi"
)

// probes answers what needs no key: is the process alive, is the gateway ready, what is the API.
// They are neither counted, traced nor refused while draining.
type probes struct {
	cfg      *config
	health   healthv1.HealthClient
	inFlight *inFlight
	// servedAt is when the gateway last said that it serves, in nanoseconds; 0 if its last answer was another.
	servedAt atomic.Int64
}

func newProbes(cfg *config, gateway *gatewayConns, requests *inFlight) *probes {
	return &probes{cfg: cfg, health: healthv1.NewHealthClient(gateway), inFlight: requests}
}

// handler returns nil for a path that is no probe's.
func (p *probes) handler(r *http.Request) http.HandlerFunc {
	var probe http.HandlerFunc
	switch r.URL.Path {
	case "/healthz":
		probe = alive
	case "/readyz":
		probe = p.ready
	case "/openapi.json":
		probe = document
	default:
		return nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return readOnly
	}
	return probe
}

func alive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok"))
}

func document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	writeJSON(w, http.StatusOK, openapi.Document)
}

func (p *probes) ready(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if p.inFlight.isLeaving() || !p.serving(r.Context()) {
		writeJSON(w, http.StatusServiceUnavailable, []byte(`{"status":"NOT_SERVING"}`))
		return
	}
	writeJSON(w, http.StatusOK, []byte(`{"status":"SERVING"}`))
}

func (p *probes) serving(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.readinessTimeout)
	defer cancel()
	answer, err := p.health.Check(ctx, &healthv1.HealthCheckRequest{})
	now := time.Now()
	switch {
	case status.Code(err) == codes.DeadlineExceeded:
		// Late and not gone: a gateway in a burst answers each in its turn, and to take it out would move the burst on.
		return now.Sub(time.Unix(0, p.servedAt.Load())) < p.cfg.readinessMemory
	case err == nil && answer.GetStatus() == healthv1.HealthCheckResponse_SERVING:
		p.servedAt.Store(now.UnixNano())
		return true
	default:
		p.servedAt.Store(0)
		return false
	}
}

package main

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// refusedHeader marks an answer of a gateway that did nothing for the request, and asked nobody: it drains, or is full.
const refusedHeader = "X-Penstock-Refused"

// leavingHeader marks the answers of a gateway that is about to end.
const leavingHeader = "X-Penstock-Leaving"

// avoidFor is how long a gateway that is about to end gets no request while another is there.
const avoidFor = 3 * time.Second

// A gateway that has left a name gets no request for longer than this.
const resolveEvery = 5 * time.Second

// backend is one address of a gateway.
type backend struct {
	host        string
	secured     bool
	transport   *http.Transport
	pool        gatewayPool
	outstanding atomic.Int64
	avoidUntil  atomic.Int64 // Unix nanoseconds
}

func newBackend(cfg *config, host string, target httpTarget, trust *tls.Config) *backend {
	return &backend{
		host: host, secured: target.scheme == "https", transport: newTransport(cfg, target, trust),
		pool: gatewayPool{idleTimeout: cfg.gatewayIdleTimeout},
	}
}

// dial makes a connection to the gateway, over TLS where that is its way.
func (b *backend) dial(ctx context.Context) (net.Conn, error) {
	dial, port := b.transport.DialContext, "80"
	if b.secured {
		dial, port = b.transport.DialTLSContext, "443"
	}
	address := b.host
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), port)
	}
	return dial(ctx, "tcp", address)
}

// avoid keeps requests away from a gateway that is about to end.
func (b *backend) avoid() {
	b.avoidUntil.Store(time.Now().Add(avoidFor).UnixNano())
	// It closes them soon, and a request that is just being written would be lost.
	b.closeIdle()
}

func (b *backend) closeIdle() {
	b.transport.CloseIdleConnections()
	b.pool.closeIdle()
}

// balancer gives each request to the gateway with the fewest. What reached no
// gateway, or was refused by one before anything was done, goes to another;
// what may have been begun is never sent twice.
type balancer struct {
	cfg      *config
	trust    *tls.Config
	targets  []httpTarget
	lookup   func(ctx context.Context, host string) ([]string, error)
	backends atomic.Pointer[[]*backend]
	turn     atomic.Uint32
	holding  holding
}

func newBalancer(cfg *config, targets []httpTarget, trust *tls.Config) *balancer {
	b := &balancer{cfg: cfg, trust: trust, targets: targets, lookup: net.DefaultResolver.LookupHost}
	b.holding.maxBytes = cfg.maxHeldBytes
	b.backends.Store(&[]*backend{})
	b.resolve(context.Background())
	return b
}

// hasNames says whether a target is a name, whose addresses may change.
func (b *balancer) hasNames() bool {
	for _, target := range b.targets {
		if name, _, err := net.SplitHostPort(target.host); err == nil && net.ParseIP(name) == nil {
			return true
		}
	}
	return false
}

// follow asks for the names' addresses again and again until ctx ends.
func (b *balancer) follow(ctx context.Context, logger *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(resolveEvery):
			if err := b.resolve(ctx); err != nil {
				logger.Warn("the gateway's name cannot be resolved; its last addresses stand", "error", err)
			}
		}
	}
}

// resolve puts the addresses of today in place; where a name cannot be resolved, those of yesterday stand.
func (b *balancer) resolve(ctx context.Context) error {
	known := map[string]*backend{}
	for _, old := range *b.backends.Load() {
		known[old.host] = old
	}
	var found []*backend
	var failure error
	for _, target := range b.targets {
		hosts, err := b.hostsOf(ctx, target)
		if err != nil {
			failure = err
			hosts = []string{target.host}
		}
		for _, host := range hosts {
			if old := known[host]; old != nil {
				found = append(found, old)
				delete(known, host)
			} else {
				found = append(found, newBackend(b.cfg, host, target, b.trustOf(target)))
			}
		}
	}
	if failure != nil && len(*b.backends.Load()) > 0 {
		return failure
	}
	b.backends.Store(&found)
	for _, gone := range known {
		gone.closeIdle()
	}
	return failure
}

func (b *balancer) hostsOf(ctx context.Context, target httpTarget) ([]string, error) {
	name, port, err := net.SplitHostPort(target.host)
	if target.socket != "" || err != nil || net.ParseIP(name) != nil {
		return []string{target.host}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.cfg.connectTimeout)
	defer cancel()
	addresses, err := b.lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	hosts := make([]string, len(addresses))
	for i, address := range addresses {
		hosts[i] = net.JoinHostPort(address, port)
	}
	return hosts, nil
}

// trustOf keeps the name that the certificate must be for, as the connection is made to an address.
func (b *balancer) trustOf(target httpTarget) *tls.Config {
	if target.scheme != "https" {
		return nil
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if b.trust != nil {
		trust = b.trust.Clone()
	}
	if name, _, err := net.SplitHostPort(target.host); err == nil && trust.ServerName == "" {
		trust.ServerName = name
	}
	return trust
}

// RoundTrip implements http.RoundTripper.
func (b *balancer) RoundTrip(request *http.Request) (*http.Response, error) {
	backends := *b.backends.Load()
	body, err := b.holding.take(request)
	if err != nil {
		return nil, err
	}
	defer body.release()
	gateways := round{balancer: b, backends: backends}
	for {
		response, err := send(gateways.next(), request, body)
		switch {
		case request.Context().Err() == nil && gateways.goesOn(err, request.Method == http.MethodGet):
		case err == nil && response.Header.Get(refusedHeader) != "" && body.whole() && gateways.hasMore():
			response.Body.Close()
		default:
			return response, err
		}
	}
}

// round is the way of one request from gateway to gateway.
type round struct {
	balancer *balancer
	backends []*backend
	tried    []*backend
}

func (r *round) next() *backend {
	chosen := r.balancer.pick(r.backends, r.tried)
	if len(r.backends) > 1 {
		r.tried = append(r.tried, chosen)
	}
	return chosen
}

func (r *round) hasMore() bool { return len(r.tried) < len(r.backends) && len(r.backends) > 1 }

// goesOn says whether another gateway is asked after a failure: for what was not sent, or changes nothing.
func (r *round) goesOn(err error, changesNothing bool) bool {
	return err != nil && r.hasMore() && (changesNothing || isDialError(err))
}

// pick gives the backend with the fewest requests of those not tried; equals take turns, and those that leave come last.
func (b *balancer) pick(backends, tried []*backend) *backend {
	if len(backends) == 1 {
		return backends[0]
	}
	var chosen *backend
	var chosenLeaves bool
	now := time.Now().UnixNano()
	offset := int(b.turn.Add(1))
	for i := range backends {
		candidate := backends[(offset+i)%len(backends)]
		leaves := candidate.avoidUntil.Load() > now
		fewer := chosen == nil || candidate.outstanding.Load() < chosen.outstanding.Load()
		if !slices.Contains(tried, candidate) && (chosen == nil || leaves == chosenLeaves && fewer || chosenLeaves && !leaves) {
			chosen, chosenLeaves = candidate, leaves
		}
	}
	return chosen
}

func send(to *backend, request *http.Request, body *heldBody) (*http.Response, error) {
	url := *request.URL
	url.Host = to.host
	out := *request
	out.URL = &url
	detach := body.attach(&out)
	to.outstanding.Add(1)
	response, err := to.transport.RoundTrip(&out)
	detach()
	if err != nil {
		to.outstanding.Add(-1)
		return nil, err
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		// Nobody asked for that: Upgrade does not go on.
		response.Body.Close()
		to.outstanding.Add(-1)
		return nil, errBadAnswer
	}
	if response.Header.Get(leavingHeader) != "" {
		response.Header.Del(leavingHeader)
		to.avoid()
	}
	response.Body = &countedBody{ReadCloser: response.Body, count: &to.outstanding}
	return response, nil
}

// countedBody takes its request off the count when the answer has ended.
type countedBody struct {
	io.ReadCloser
	count *atomic.Int64
	once  sync.Once
}

func (c *countedBody) Close() error {
	c.once.Do(func() { c.count.Add(-1) })
	return c.ReadCloser.Close()
}

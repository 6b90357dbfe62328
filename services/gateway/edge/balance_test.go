package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	gatewayv1 "penstock.dev/proto/penstock/gateway/v1"
)

// several starts gateways that answer the wire formats with the given handlers, and an edge before them.
func several(t *testing.T, handlers ...http.HandlerFunc) *running {
	t.Helper()
	var targets []string
	for _, handler := range handlers {
		backend := httptest.NewServer(handler)
		t.Cleanup(backend.Close)
		targets = append(targets, backend.URL)
	}
	return start(t, func(c *config) { c.gatewayHTTP = strings.Join(targets, ",") })
}

func named(name string, seen *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, name+" "+string(body))
	}
}

func refusing(seen *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		io.Copy(io.Discard, r.Body)
		w.Header().Set(refusedHeader, "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func TestGatewaysTakeTurns(t *testing.T) {
	var first, second atomic.Int64
	edge := several(t, named("first", &first), named("second", &second))
	for range 20 {
		equal(t, "status", edge.send(t, "POST", "/v1/chat/completions", "{}").StatusCode, 200)
	}
	if first.Load() < 5 || second.Load() < 5 {
		t.Errorf("first %d, second %d", first.Load(), second.Load())
	}
}

func TestTheGatewayWithFewerRequestsIsAsked(t *testing.T) {
	held := make(chan struct{})
	var busy, idle atomic.Int64
	edge := several(t, func(w http.ResponseWriter, r *http.Request) {
		if busy.Add(1) == 1 {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-held
		}
	}, named("idle", &idle))
	defer close(held)
	for busy.Load() == 0 {
		edge.send(t, "GET", "/v1/models", "")
	}
	before := idle.Load()
	for range 10 {
		readAll(t, edge.send(t, "GET", "/v1/models", ""))
	}
	equal(t, "asked the idle one", idle.Load()-before, int64(10))
}

func TestAGatewayThatIsGoneOrRefusesIsPassedOver(t *testing.T) {
	var refused, served atomic.Int64
	backend := httptest.NewServer(refusing(&refused))
	defer backend.Close()
	other := httptest.NewServer(named("served", &served))
	defer other.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	gone := "http://" + listener.Addr().String()
	listener.Close()
	edge := start(t, func(c *config) { c.gatewayHTTP = strings.Join([]string{gone, backend.URL, other.URL}, ",") })
	body := strings.Repeat("0123456789", 50_000)
	for range 12 {
		response := edge.send(t, "POST", "/v1/chat/completions", body)
		equal(t, "status", response.StatusCode, 200)
		equal(t, "whole body", readAll(t, response) == "served "+body, true)
	}
	if refused.Load() == 0 {
		t.Error("nobody refused")
	}
}

func TestARefusalByEveryGatewayReachesTheCaller(t *testing.T) {
	var seen atomic.Int64
	edge := several(t, refusing(&seen), refusing(&seen))
	response := edge.send(t, "POST", "/v1/chat/completions", "{}")
	equal(t, "status", response.StatusCode, 503)
	equal(t, "asked", seen.Load(), int64(2))
	equal(t, "header", response.Header.Get(refusedHeader), "")
}

func TestAnOverloadThatIsNotTheGatewaysOwnIsAnAnswerLikeAnyOther(t *testing.T) {
	var seen atomic.Int64
	overloaded := func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	edge := several(t, overloaded, overloaded, overloaded)
	response := edge.send(t, "POST", "/v1/chat/completions", "{}")
	equal(t, "status", response.StatusCode, 503)
	equal(t, "asked", seen.Load(), int64(1))
}

func TestABodyTooLargeToKeepIsSentOnce(t *testing.T) {
	var refused, other atomic.Int64
	edge := several(t, refusing(&refused), refusing(&other))
	response := edge.send(t, "POST", "/v1/chat/completions", strings.Repeat("a", maxReplayBytes+1))
	equal(t, "status", response.StatusCode, 503)
	equal(t, "asked", refused.Load()+other.Load(), int64(1))
}

func TestAFailureThatIsNoRefusalIsNotSentTwice(t *testing.T) {
	var seen atomic.Int64
	broken := func(w http.ResponseWriter, r *http.Request) { seen.Add(1); panic(http.ErrAbortHandler) }
	edge := several(t, broken, broken)
	equal(t, "status", edge.send(t, "POST", "/v1/chat/completions", "{}").StatusCode, 503)
	equal(t, "asked", seen.Load(), int64(1))
}

func TestWhatChangesNothingIsAskedOfAnother(t *testing.T) {
	var seen, other atomic.Int64
	broken := func(w http.ResponseWriter, r *http.Request) { seen.Add(1); panic(http.ErrAbortHandler) }
	edge := several(t, broken, named("other", &other))
	for range 4 {
		equal(t, "status", edge.send(t, "GET", "/v1/models", "").StatusCode, 200)
	}
	equal(t, "answered", other.Load(), int64(4))
	equal(t, "asked the broken one", seen.Load() > 0, true)
}

func TestANamesAddressesAreFollowed(t *testing.T) {
	target, err := parseHTTPTargets("http://gateway.test:80")
	must(t, err)
	balancer := newBalancer(&config{connectTimeout: patience}, target, nil)
	answer := []string{"10.0.0.1", "10.0.0.2"}
	var failure error
	balancer.lookup = func(context.Context, string) ([]string, error) { return answer, failure }
	hosts := func() string {
		var all []string
		for _, b := range *balancer.backends.Load() {
			all = append(all, b.host)
		}
		return strings.Join(all, " ")
	}
	must(t, balancer.resolve(context.Background()))
	equal(t, "both", hosts(), "10.0.0.1:80 10.0.0.2:80")
	kept := (*balancer.backends.Load())[1]
	answer = []string{"10.0.0.2", "10.0.0.3"}
	must(t, balancer.resolve(context.Background()))
	equal(t, "moved", hosts(), "10.0.0.2:80 10.0.0.3:80")
	equal(t, "its connections stay", (*balancer.backends.Load())[0] == kept, true)
	failure = errors.New("no answer")
	if balancer.resolve(context.Background()) == nil {
		t.Error("the failure is not told")
	}
	equal(t, "yesterday's stand", hosts(), "10.0.0.2:80 10.0.0.3:80")
}

func TestTypedCallsReachEveryListedGateway(t *testing.T) {
	edge := start(t)
	edge.gateway.chat = func(context.Context, *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		return &gatewayv1.ChatResponse{Model: "m"}, nil
	}
	second := start(t, func(c *config) { c.gatewayGRPC = edge.edge.cfg.gatewayGRPC + ", " + edge.edge.cfg.gatewayGRPC })
	equal(t, "status", second.send(t, "POST", "/api/v1/chat", "{}").StatusCode, 200)
}

func TestAGatewayThatLeavesIsAvoided(t *testing.T) {
	var leaving, staying atomic.Int64
	edge := several(t, func(w http.ResponseWriter, r *http.Request) {
		leaving.Add(1)
		w.Header().Set(leavingHeader, "1")
	}, named("staying", &staying))
	for leaving.Load() == 0 {
		equal(t, "header", edge.send(t, "GET", "/v1/models", "").Header.Get(leavingHeader), "")
	}
	before := staying.Load()
	for range 10 {
		readAll(t, edge.send(t, "GET", "/v1/models", ""))
	}
	equal(t, "asked the one that stays", staying.Load()-before, int64(10))
	equal(t, "asked the one that leaves", leaving.Load(), int64(1))
}

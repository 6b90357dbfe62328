package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

func TestProbes(t *testing.T) {
	edge := start(t)
	equal(t, "alive", readAll(t, edge.send(t, "GET", "/healthz", "")), "ok")
	equal(t, "ready", readAll(t, edge.send(t, "GET", "/readyz", "")), `{"status":"SERVING"}`)
	edge.gateway.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	response := edge.send(t, "GET", "/readyz", "")
	equal(t, "not ready", response.StatusCode, 503)
	equal(t, "not ready", readAll(t, response), `{"status":"NOT_SERVING"}`)
	equal(t, "alive still", edge.send(t, "GET", "/healthz", "").StatusCode, 200)
	equal(t, "document", decode(t, readAll(t, edge.send(t, "GET", "/openapi.json", "")))["openapi"], any("3.1.0"))
	equal(t, "method", edge.send(t, "POST", "/readyz", "{}").StatusCode, 405)
}

// A gateway in a burst answers late; one that hangs for good is not ready.
func TestReadinessRemembersAGatewayThatIsLate(t *testing.T) {
	for memory, want := range map[time.Duration]int{time.Minute: 200, 0: 503} {
		edge := start(t, func(c *config) { c.readinessMemory, c.readinessTimeout = memory, time.Second })
		edge.gateway.health.late.Store(true)
		equal(t, "late from the start", edge.send(t, "GET", "/readyz", "").StatusCode, 503)
		edge.gateway.health.late.Store(false)
		edge.untilReady(t)
		edge.gateway.health.late.Store(true)
		equal(t, "late", edge.send(t, "GET", "/readyz", "").StatusCode, want)
		edge.gateway.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
		edge.gateway.health.late.Store(false)
		equal(t, "not serving", edge.send(t, "GET", "/readyz", "").StatusCode, 503)
		edge.gateway.health.late.Store(true)
		equal(t, "late after it did not serve", edge.send(t, "GET", "/readyz", "").StatusCode, 503)
	}
}

func TestDrainLetsRequestsEndAndTakesNoMore(t *testing.T) {
	edge := start(t, func(c *config) { c.drainNotice = 0 })
	entered, finish := make(chan struct{}), make(chan struct{})
	edge.gateway.wire = func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "one ")
		w.(http.Flusher).Flush()
		close(entered)
		<-finish
		io.WriteString(w, "two")
	}
	response := edge.send(t, "GET", "/v1/models", "")
	soon(t, "the request", entered, patience)
	drained := make(chan int64, 1)
	go func() { drained <- edge.drain(context.Background()) }()
	for deadline := time.Now().Add(patience); !edge.inFlight.closed.Load() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	equal(t, "ready", edge.send(t, "GET", "/readyz", "").StatusCode, 503)
	for _, path := range []string{"/v1/models", "/api/v1/models"} {
		refused := edge.send(t, "GET", path, "")
		equal(t, path, refused.StatusCode, 503)
		equal(t, path, refused.Header.Get("Retry-After"), "1")
		equal(t, "connection closes", refused.Close, true)
	}
	select {
	case <-drained:
		t.Fatal("stopped before the request had ended")
	default:
	}
	close(finish)
	equal(t, "whole answer", readAll(t, response), "one two")
	equal(t, "cut", soon(t, "the end", drained, patience), 0)
	if _, err := edge.client.Get(edge.base + "/healthz"); err == nil {
		t.Error("still listening")
	}
}

func TestDrainGivesNoticeBeforeItRefuses(t *testing.T) {
	const notice = 5 * time.Second
	edge := start(t, func(c *config) { c.drainNotice = notice })
	edge.gateway.wire = func(http.ResponseWriter, *http.Request) {}
	drained := make(chan int64, 1)
	began := time.Now()
	go func() { drained <- edge.drain(context.Background()) }()
	for edge.send(t, "GET", "/readyz", "").StatusCode != 503 {
		time.Sleep(time.Millisecond)
	}
	equal(t, "served", edge.send(t, "GET", "/v1/models", "").StatusCode, 200)
	equal(t, "cut", soon(t, "the end", drained, patience), 0)
	equal(t, "notice", time.Since(began) >= notice, true)
}

func TestDrainEndsWithTheGracePeriod(t *testing.T) {
	edge := start(t, func(c *config) { c.drainNotice, c.grace = 0, 50*time.Millisecond })
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	response := edge.send(t, "GET", "/v1/models", "")
	equal(t, "cut", edge.drain(context.Background()), 1)
	if _, err := io.ReadAll(response.Body); err == nil {
		t.Error("a cut answer ended as if it were whole")
	}
}

func TestConfiguration(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	environment := func(name string) (string, bool) {
		value, ok := map[string]string{"PENSTOCK_EDGE_IDLE_TIMEOUT": "5s", "PENSTOCK_EDGE_MAX_BODY_BYTES": "7"}[name]
		return value, ok
	}
	cfg, err := parseConfig([]string{"--max-body-bytes=9"}, environment)
	must(t, err)
	equal(t, "from the environment", cfg.idleTimeout, 5*time.Second)
	equal(t, "the flag wins", cfg.maxBodyBytes, 9)
	for _, bad := range [][]string{
		{"--listen", "nowhere"}, {"--listen", "unix:"}, {"--gateway-http", "ftp://x"}, {"--gateway-name", "x"}, {"--gateway-http", "http://x/path"},
		{"--grace", "-1s"}, {"--drain-notice", "-1s"}, {"--idle-timeout", "0s"}, {"--trace-sample-ratio", "2"}, {"--trace-sample-ratio", "NaN"}, {"--tls-cert", "x"}, {"x"},
		{"--gateway-connections", "0"}, {"--unknown"}, {"--log-level", "loud"}, {"--gateway-grpc", ""},
	} {
		_, err := parseConfig(bad, none)
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v", bad, err)
		}
	}
	_, err = parseConfig(nil, func(name string) (string, bool) { return "soon", name == "PENSTOCK_EDGE_GRACE" })
	if err == nil || !strings.Contains(err.Error(), "PENSTOCK_EDGE_GRACE") {
		t.Errorf("a bad variable: %v", err)
	}
	equal(t, "usage", run([]string{"--unknown"}), exitUsage)
	equal(t, "version", run([]string{"--version"}), 0)
	var help strings.Builder
	printHelp(&help)
	equal(t, "help", strings.Contains(help.String(), "-gateway-grpc target"), true)
}

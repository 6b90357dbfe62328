package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	gatewayv1 "penstock.dev/proto/penstock/gateway/v1"
	llmv1 "penstock.dev/proto/penstock/llm/v1"
)

// patience bounds every wait for something that must happen.
const patience = 60 * time.Second

// fakeGateway is a gateway whose answers a test writes.
type fakeGateway struct {
	gatewayv1.UnimplementedChatServiceServer
	gatewayv1.UnimplementedModelServiceServer
	gatewayv1.UnimplementedAdminServiceServer
	chat     func(context.Context, *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error)
	stream   func(*gatewayv1.StreamChatRequest, grpc.ServerStreamingServer[gatewayv1.StreamChatResponse]) error
	getModel func(context.Context, *gatewayv1.GetModelRequest) (*gatewayv1.GetModelResponse, error)
	list     func(context.Context) (*gatewayv1.ListModelsResponse, error)
	update   func(*gatewayv1.UpdateTenantRequest) (*gatewayv1.UpdateTenantResponse, error)
	wire     http.HandlerFunc
	health   *lateHealth
}

// lateHealth says nothing while it is late.
type lateHealth struct {
	*health.Server
	late atomic.Bool
}

func (h *lateHealth) Check(ctx context.Context, r *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	if h.late.Load() {
		<-ctx.Done()
		// An answer could still overtake the caller's own clock.
		return nil, ctx.Err()
	}
	return h.Server.Check(ctx, r)
}

func (g *fakeGateway) Chat(ctx context.Context, r *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
	if g.chat == nil {
		return g.UnimplementedChatServiceServer.Chat(ctx, r)
	}
	return g.chat(ctx, r)
}

func (g *fakeGateway) StreamChat(r *gatewayv1.StreamChatRequest, s grpc.ServerStreamingServer[gatewayv1.StreamChatResponse]) error {
	if g.stream == nil {
		return g.UnimplementedChatServiceServer.StreamChat(r, s)
	}
	return g.stream(r, s)
}

func (g *fakeGateway) ListModels(ctx context.Context, r *gatewayv1.ListModelsRequest) (*gatewayv1.ListModelsResponse, error) {
	if g.list == nil {
		return g.UnimplementedModelServiceServer.ListModels(ctx, r)
	}
	return g.list(ctx)
}

func (g *fakeGateway) UpdateTenant(_ context.Context, r *gatewayv1.UpdateTenantRequest) (*gatewayv1.UpdateTenantResponse, error) {
	return g.update(r)
}

func (g *fakeGateway) GetModel(ctx context.Context, r *gatewayv1.GetModelRequest) (*gatewayv1.GetModelResponse, error) {
	if g.getModel == nil {
		return g.UnimplementedModelServiceServer.GetModel(ctx, r)
	}
	return g.getModel(ctx, r)
}

// running is an edge in front of a fake gateway.
type running struct {
	*edge
	gateway *fakeGateway
	base    string
	client  *http.Client
}

func start(t *testing.T, adjust ...func(*config)) *running {
	t.Helper()
	r := newUnserved(t, adjust...)
	go r.serve()
	return r
}

// serveOnly has all requests served as they are, or by the whole server alone.
func (r *running) serveOnly(whole bool) {
	if whole {
		go r.server.Serve(r.plain.Listener)
	} else {
		go r.serve()
	}
}

// newUnserved makes an edge that listens and does not yet serve.
func newUnserved(t *testing.T, adjust ...func(*config)) *running {
	t.Helper()
	gateway := &fakeGateway{health: &lateHealth{Server: health.NewServer()}}
	grpcListener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64<<20), grpc.MaxHeaderListSize(16<<10))
	gatewayv1.RegisterChatServiceServer(server, gateway)
	gatewayv1.RegisterModelServiceServer(server, gateway)
	gatewayv1.RegisterAdminServiceServer(server, gateway)
	healthv1.RegisterHealthServer(server, gateway.health)
	go server.Serve(grpcListener)
	t.Cleanup(server.Stop)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { gateway.wire(w, r) }))
	t.Cleanup(func() { backend.CloseClientConnections(); backend.Close() })

	args := []string{"--listen", "127.0.0.1:0", "--gateway-grpc", grpcListener.Addr().String(), "--gateway-http", backend.URL,
		"--gateway-connections", "2", "--trace-sample-ratio", "1"}
	cfg, err := parseConfig(args, func(string) (string, bool) { return "", false })
	must(t, err)
	for _, change := range adjust {
		change(cfg)
	}
	e, err := newEdge(context.Background(), cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	must(t, err)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		e.server.Close()
		e.plain.Close()
		e.plain.closeAll()
		e.gateway.close()
	})
	return &running{edge: e, gateway: gateway, base: "http://" + e.address(), client: &http.Client{Transport: transport}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send makes one request; extra headers come as name, value, name, value.
func (r *running) send(t *testing.T, method, path, body string, headers ...string) *http.Response {
	t.Helper()
	request, err := http.NewRequest(method, r.base+path, strings.NewReader(body))
	must(t, err)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	response, err := r.client.Do(request)
	must(t, err)
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// untilReady returns once the edge says that it is ready.
func (r *running) untilReady(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); r.send(t, "GET", "/readyz", "").StatusCode != 200; {
		if time.Now().After(deadline) {
			t.Fatal("never ready")
		}
	}
}

func readAll(t *testing.T, response *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return string(body)
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	return value
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// soon fails the test unless the channel yields in time.
func soon[T any](t *testing.T, what string, c <-chan T, limit time.Duration) T {
	t.Helper()
	select {
	case value := <-c:
		return value
	case <-time.After(limit):
		t.Fatalf("%s did not happen within %v", what, limit)
		panic("unreachable")
	}
}

func delta(text string) *gatewayv1.StreamChatResponse {
	return &gatewayv1.StreamChatResponse{Event: &llmv1.GenerationEvent{
		Event: &llmv1.GenerationEvent_TextDelta{TextDelta: &llmv1.TextDelta{Text: text}}}}
}

// dial opens a raw connection to the edge and writes to it.
func (r *running) dial(t *testing.T, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", r.address())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, text)
	must(t, err)
	return conn, bufio.NewReader(conn)
}

func post(path string, extra ...string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: edge\r\n%s\r\n", path, strings.Join(append(extra, ""), "\r\n"))
}

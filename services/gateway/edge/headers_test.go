package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	gatewayv1 "penstock.dev/proto/penstock/gateway/v1"
)

var forwardedByBoth = []string{
	"Authorization", "Bearer psk_x", "X-Api-Key", "k1", "Api-Key", "k2", "Idempotency-Key", "i1",
	"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate", "a=b",
	"X-Request-Id", "req.1_A-z", "X-Penstock-Cache", "no-store", "X-Penstock-Priority", "low",
	"X-Penstock-Recovery", "off", "X-Penstock-Degrade", "off", "X-Penstock-Hedge", "off", "X-Penstock-Team", "search",
	"X-Penstock-Compress", "on", "X-Penstock-Policy", "cost", "X-Penstock-Feature", "rag",
	"Prefer", "respond-async", "X-Penstock-Idempotency", "wait", "X-Penstock-When-Limited", "queue",
	"X-Stainless-Read-Timeout", "600", "X-Stainless-Retry-Count", "1", "Openai-Organization", "o", "Openai-Project", "p",
	"Openai-Beta", "b", "Anthropic-Version", "2023-06-01", "Anthropic-Beta", "x",
}

var spoofed = []string{
	"X-Forwarded-For", "1.2.3.4", "X-Forwarded-Host", "evil", "X-Forwarded-Proto", "https", "Forwarded", "for=1.2.3.4",
	"X-Real-Ip", "1.2.3.4", "X-Tenant-Id", "t1", "Grpc-Metadata-Penstock-Tenant", "t1", "Grpc-Metadata-Authorization", "Bearer other",
	"Grpc-Metadata-X-Forwarded-For", "9.9.9.9", "Penstock-Tenant", "t1", "X-Penstock-Tenant", "t1", "Cookie", "a=b", "Grpc-Timeout", "1n",
	"Grpc-Trace-Bin", "AAAA", "Te", "trailers", "Upgrade", "websocket", "Connection", "Upgrade", "X-Http-Method-Override", "DELETE",
	"X-Penstock-Client-Address", "1.2.3.4", "X-Penstock-Edge-Token", "guess", "Grpc-Metadata-X-Penstock-Client-Address", "1.2.3.4",
	"X-Stainless-Os", "Linux", "Baggage", "tenant=t1", "Accept-Encoding", "gzip", "Proxy-Authorization", "x", "X_api_key", "z",
}

func TestTheWireFormatsForwardTheAllowedHeadersOnly(t *testing.T) {
	edge := start(t)
	seen := make(chan *http.Request, 1)
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) { seen <- r.Clone(context.Background()) }
	headers := append(slices.Clone(forwardedByBoth), "Accept", "application/json", "Content-Type", "application/json",
		"User-Agent", "sdk/1", "X-Penstock-Timeout", "30s")
	response := edge.send(t, "POST", "/v1/chat/completions?a=b", `{}`, append(slices.Clone(headers), spoofed...)...)
	equal(t, "status", response.StatusCode, 200)
	got := soon(t, "the request", seen, patience)
	for i := 0; i < len(headers); i += 2 {
		if name := headers[i]; name != "Traceparent" {
			equal(t, name, strings.Join(got.Header[name], "|"), headers[i+1])
		}
		got.Header.Del(headers[i])
	}
	got.Header.Del("Content-Length")
	equal(t, "address", strings.Join(got.Header["X-Penstock-Client-Address"], "|"), "127.0.0.1")
	got.Header.Del("X-Penstock-Client-Address")
	equal(t, "other headers", len(got.Header), 0)
	if len(got.Header) > 0 {
		t.Log(got.Header)
	}
	equal(t, "query", got.URL.RawQuery, "a=b")
	equal(t, "host", "http://"+got.Host, edge.cfg.gatewayHTTP)
}

func TestTheTypedAPIForwardsTheAllowedHeadersOnly(t *testing.T) {
	edge := start(t)
	seen := make(chan metadata.MD, 1)
	edge.gateway.chat = func(ctx context.Context, _ *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		seen <- md
		return &gatewayv1.ChatResponse{}, nil
	}
	response := edge.send(t, "POST", "/api/v1/chat", `{}`, append(slices.Clone(forwardedByBoth), spoofed...)...)
	equal(t, "status", response.StatusCode, 200)
	got := soon(t, "the call", seen, patience)
	for i := 0; i < len(forwardedByBoth); i += 2 {
		key := strings.ToLower(forwardedByBoth[i])
		if key != "traceparent" {
			equal(t, key, strings.Join(got[key], "|"), forwardedByBoth[i+1])
		}
		delete(got, key)
	}
	var rest []string
	for key := range got {
		rest = append(rest, key)
	}
	sort.Strings(rest)
	equal(t, "transport's own metadata", strings.Join(rest, " "), ":authority content-type grpc-accept-encoding user-agent x-penstock-client-address")
	equal(t, "address", strings.Join(got["x-penstock-client-address"], "|"), "127.0.0.1")
}

func TestTheEdgeProvesItselfOnBothPaths(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	token := strings.Repeat("a1", 16)
	must(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
	edge := start(t, func(c *config) { c.gatewayTokenFile = file })
	seen := make(chan []string, 1)
	edge.gateway.wire = func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header["X-Penstock-Edge-Token"] }
	edge.gateway.chat = func(ctx context.Context, _ *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		seen <- md["x-penstock-edge-token"]
		return &gatewayv1.ChatResponse{}, nil
	}
	for _, path := range []string{"/v1/chat/completions", "/api/v1/chat"} {
		response := edge.send(t, "POST", path, `{}`, spoofed...)
		equal(t, path, strings.Join(soon(t, "the request", seen, patience), "|"), token)
		equal(t, "kept from the caller", response.Header.Get("X-Penstock-Edge-Token"), "")
	}
}

func TestATokenThatIsNoneStopsTheStart(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"short": "abc", "blank": strings.Repeat(" ", 64), "binary": strings.Repeat("\x00", 64), "two": strings.Repeat("a", 32) + " b"} {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, []byte(content), 0o600))
		_, err := readToken(file)
		equal(t, name, err != nil, true)
	}
	_, err := readToken(filepath.Join(dir, "absent"))
	equal(t, "absent", err != nil, true)
}

func TestWhereACallerComesFrom(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::1", "[fe80::1%eth0]:80": "fe80::1%eth0", "@": "unknown", "": "unknown",
	} {
		header := http.Header{}
		addClientAddress(header, remote, "")
		equal(t, remote, header.Get(headerClientAddress), want)
		equal(t, "token", len(header), 1)
	}
}

func TestRequestIDs(t *testing.T) {
	edge := start(t)
	seen := make(chan []string, 1)
	edge.gateway.wire = func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header["X-Request-Id"] }
	for given, kept := range map[string]bool{
		"abc.DEF_1-2": true, strings.Repeat("a", 128): true, strings.Repeat("a", 129): false, "a b": false, "a/b": false, "ü": false, "": false,
	} {
		response := edge.send(t, "GET", "/v1/models", "", "X-Request-Id", given)
		forwarded := soon(t, "the request", seen, patience)
		equal(t, "ids", len(forwarded), 1)
		equal(t, "kept "+given, forwarded[0] == given, kept)
		equal(t, "valid", validRequestID(forwarded[0]), true)
		equal(t, "returned", strings.Join(response.Header["X-Request-Id"], "|"), forwarded[0])
	}
	edge.send(t, "GET", "/v1/models", "", "X-Request-Id", "a", "X-Request-Id", "b")
	equal(t, "two ids", len(soon(t, "the request", seen, patience)[0]), 32)
}

func TestTheGatewaysRequestIDWins(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-request-id", "theirs")
		w.Header().Set("Server", "uvicorn")
	}
	response := edge.send(t, "GET", "/v1/models", "")
	equal(t, "id", strings.Join(response.Header["X-Request-Id"], "|"), "theirs")
	equal(t, "server", response.Header.Get("Server"), "")
}

func TestTracesContinueOrStartHere(t *testing.T) {
	edge := start(t)
	seen := make(chan http.Header, 1)
	edge.gateway.wire = func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }
	const trace = "0af7651916cd43dd8448eb211c80319c"
	response := edge.send(t, "GET", "/v1/models", "", "Traceparent", "00-"+trace+"-b7ad6b7169203331-00", "Tracestate", "a=b")
	got := soon(t, "the request", seen, patience)
	parent := strings.Split(got.Get("Traceparent"), "-")
	equal(t, "trace", parent[1], trace)
	equal(t, "own span", parent[2] != "b7ad6b7169203331", true)
	equal(t, "the caller's decision", parent[3], "00")
	equal(t, "state", got.Get("Tracestate"), "a=b")
	equal(t, "returned", response.Header.Get("Traceparent"), got.Get("Traceparent"))

	edge.send(t, "GET", "/v1/models", "", "Traceparent", "00-nonsense", "Tracestate", "a=b")
	got = soon(t, "the request", seen, patience)
	equal(t, "length", len(got.Get("Traceparent")), 55)
	equal(t, "sampled", strings.HasSuffix(got.Get("Traceparent"), "-01"), true)
	equal(t, "state without a parent", got.Get("Tracestate"), "")
}

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	gatewayv1 "penstock.dev/proto/penstock/gateway/v1"
)

func refusedFor(code codes.Code, reason string) error {
	info, _ := anypb.New(&errdetails.ErrorInfo{Reason: reason, Domain: errorDomain})
	return status.ErrorProto(&spb.Status{Code: int32(code), Message: "refused", Details: []*anypb.Any{info}})
}

func chatOf(text string) string {
	return `{"input":{"model":"fast","messages":[{"role":"ROLE_USER","parts":[{"text":"` + text + `"}]}]}}`
}

func reasonOf(t *testing.T, response *http.Response) string {
	t.Helper()
	details := decode(t, readAll(t, response))["details"].([]any)
	return details[0].(map[string]any)["reason"].(string)
}

func TestALargeBodyOfAStrangerIsNotRead(t *testing.T) {
	edge := start(t)
	edge.gateway.list = func(context.Context) (*gatewayv1.ListModelsResponse, error) {
		return nil, refusedFor(codes.Unauthenticated, "INVALID_CREDENTIALS")
	}
	// The rest never comes: only one who does not wait for it can answer.
	for _, framing := range []string{"Content-Length: 20000000", "Transfer-Encoding: chunked"} {
		text := strings.Repeat(" ", strangersBytes)
		if strings.HasPrefix(framing, "T") {
			text = fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
		}
		_, in := edge.dial(t, post("/api/v1/chat", framing, "Content-Type: application/json")+text)
		response, err := http.ReadResponse(in, nil)
		must(t, err)
		equal(t, framing, response.StatusCode, http.StatusUnauthorized)
		equal(t, "reason", reasonOf(t, response), "INVALID_CREDENTIALS")
	}
}

func TestALargeBodyPassesOnceItsKeyIsKnown(t *testing.T) {
	edge := start(t)
	var asked atomic.Int64
	seen := make(chan int, 1)
	edge.gateway.chat = func(_ context.Context, r *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		seen <- len(r.GetInput().GetMessages()[0].GetParts()[0].GetText())
		return &gatewayv1.ChatResponse{}, nil
	}
	for what, answer := range map[string]error{
		"known": nil, "known for something else": refusedFor(codes.PermissionDenied, "SCOPE_MISSING"),
	} {
		edge.gateway.list = func(ctx context.Context) (*gatewayv1.ListModelsResponse, error) {
			asked.Add(1)
			md, _ := metadata.FromIncomingContext(ctx)
			equal(t, "key", strings.Join(md.Get("authorization"), "|"), "Bearer k")
			equal(t, "address", strings.Join(md.Get("x-penstock-client-address"), "|"), "127.0.0.1")
			return &gatewayv1.ListModelsResponse{}, answer
		}
		response := edge.send(t, "POST", "/api/v1/chat", chatOf(strings.Repeat("[{,", 4<<20)), "Authorization", "Bearer k")
		equal(t, what, response.StatusCode, http.StatusOK)
		equal(t, "text", soon(t, "the call", seen, patience), 12<<20)
	}
	equal(t, "asked", asked.Load(), 2)
	edge.send(t, "POST", "/api/v1/chat", chatOf("small"), "Authorization", "Bearer k")
	equal(t, "asked for a small one", asked.Load(), 2)
	edge.gateway.list = func(context.Context) (*gatewayv1.ListModelsResponse, error) {
		return nil, refusedFor(codes.PermissionDenied, reasonAddress)
	}
	equal(t, "from elsewhere", edge.send(t, "POST", "/api/v1/chat", chatOf(strings.Repeat("x", 1<<20))).StatusCode, http.StatusForbidden)
}

func TestElementsAndDepthAreBounded(t *testing.T) {
	edge := start(t, func(c *config) { c.maxJSONElements, c.maxJSONDepth = 1000, 10 })
	edge.gateway.chat = func(context.Context, *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		return &gatewayv1.ChatResponse{}, nil
	}
	for what, body := range map[string]string{
		"empty objects": `{"input":{"messages":[` + strings.Repeat("{},", 1000) + `{}]}}`,
		"numbers":       `{"nobody":[` + strings.Repeat("1,", 1000) + `1]}`,
		"members":       `{"a":1` + strings.Repeat(`,"b":1`, 1000) + `}`,
		"depth":         strings.Repeat("[", 11),
		"objects":       strings.Repeat(`{"a":`, 11),
		"patch":         `{"models":[` + strings.Repeat(`"m",`, 1000) + `"m"]}`,
	} {
		method, path := "POST", "/api/v1/chat"
		if what == "patch" {
			method, path = "PATCH", "/api/v1/admin/tenants/acme"
		}
		response := edge.send(t, method, path, body)
		equal(t, what, response.StatusCode, http.StatusBadRequest)
		equal(t, what, reasonOf(t, response), "INVALID_REQUEST")
	}
	for _, text := range []string{strings.Repeat("[{,", 2000), strings.Repeat(`\"[`, 2000), strings.Repeat(`\\`, 2000), strings.Repeat("💧,", 2000)} {
		equal(t, "text", edge.send(t, "POST", "/api/v1/chat", chatOf(text)).StatusCode, http.StatusOK)
	}
}

func TestTooManyElementsAreRefusedBeforeTheRestHasCome(t *testing.T) {
	edge := start(t, func(c *config) { c.maxJSONElements = 100_000 })
	for _, framing := range []string{"Content-Length: 20000000", "Transfer-Encoding: chunked"} {
		text := `{"input":{"messages":[` + strings.Repeat("{},", 300_000)
		if strings.HasPrefix(framing, "T") {
			text = fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
		}
		_, in := edge.dial(t, post("/api/v1/chat", framing, "Content-Type: application/json", "Authorization: Bearer k")+text)
		response, err := http.ReadResponse(in, nil)
		must(t, err)
		equal(t, framing, response.StatusCode, http.StatusBadRequest)
		equal(t, "reason", reasonOf(t, response), "INVALID_REQUEST")
	}
}

func TestGarbageIsATypedError(t *testing.T) {
	edge := start(t)
	for _, body := range []string{
		"{", "null", "[]", `"x"`, "\xff\xfe{\x00}\x00", "\xef\xbb\xbf{}", `{"input":` + strings.Repeat("1", 1_000_00) + "}",
		`{"input":{"sampling":{"max_output_tokens":1e99999999}}}`, `{"input":{"sampling":{"temperature":NaN}}}`,
		`{"input":{"sampling":{"max_output_tokens":` + strings.Repeat("9", 100_000) + `}}}`, `{} {}`, `"unterminated`,
	} {
		response := edge.send(t, "POST", "/api/v1/chat", body)
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("%.40q: %d", body, response.StatusCode)
			continue
		}
		equal(t, "reason", reasonOf(t, response), "INVALID_REQUEST")
	}
}

func TestOneAddressDoesNotTakeAllMemoryForBodies(t *testing.T) {
	edge := start(t, func(c *config) { c.maxTypedBytes, c.maxTypedBytesOf = 3<<20, 1536<<10 })
	entered, finish := make(chan struct{}, 10), make(chan struct{})
	edge.gateway.chat = func(context.Context, *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		entered <- struct{}{}
		<-finish
		return &gatewayv1.ChatResponse{}, nil
	}
	status := make(chan int, 2)
	large := chatOf(strings.Repeat("x", 1<<20))
	go func() { status <- edge.send(t, "POST", "/api/v1/chat", large).StatusCode }()
	soon(t, "the first", entered, patience)
	response := edge.send(t, "POST", "/api/v1/chat", large)
	equal(t, "second", response.StatusCode, http.StatusServiceUnavailable)
	equal(t, "retry", response.Header.Get("Retry-After"), "1")
	equal(t, "reason", reasonOf(t, response), "OVERLOADED")
	go func() { status <- edge.send(t, "POST", "/api/v1/chat", chatOf("small")).StatusCode }()
	soon(t, "a small one", entered, patience)
	close(finish)
	equal(t, "first", soon(t, "its end", status, patience), 200)
	equal(t, "small", soon(t, "its end", status, patience), 200)
	// One that is alone passes, though it is larger than the share.
	equal(t, "alone", edge.send(t, "POST", "/api/v1/chat", chatOf(strings.Repeat("x", 4<<20))).StatusCode, 200)
}

func TestSharesOfAddresses(t *testing.T) {
	all := newShares(100, 60)
	one, two, three := &share{of: all, site: "a"}, &share{of: all, site: "a"}, &share{of: all, site: "b"}
	equal(t, "one", one.take(50), true)
	equal(t, "more than an address's", two.take(20), false)
	equal(t, "another address", three.take(50), true)
	equal(t, "more than all", two.take(1), false)
	one.release()
	one.release()
	equal(t, "given back", two.take(50), true)
	two.release()
	three.release()
	equal(t, "nothing left", all.taken+int64(len(all.takenOf)), 0)
}

func TestWhatCountsAsOneAddress(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "::ffff:10.0.0.1": "10.0.0.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64", "unknown": "unknown", "": "",
	} {
		equal(t, address, siteOf(address), want)
	}
}

func TestWhoIsRefusedWhileItSendsGetsItsAnswer(t *testing.T) {
	edge := start(t, func(c *config) { c.maxBodyBytes = 32 << 20 })
	edge.gateway.list = func(context.Context) (*gatewayv1.ListModelsResponse, error) {
		return nil, refusedFor(codes.Unauthenticated, "INVALID_CREDENTIALS")
	}
	for path, want := range map[string]int{"/api/v1/chat": 401, "/nowhere": 404} {
		// More than all buffers on the way hold, so that it cannot be sent unless it is read.
		body := strings.Repeat(" ", 20<<20)
		conn, in := edge.dial(t, post(path, fmt.Sprintf("Content-Length: %d", len(body)), "Content-Type: application/json"))
		_, err := conn.Write([]byte(body))
		must(t, err)
		response, err := http.ReadResponse(in, nil)
		must(t, err)
		equal(t, path, response.StatusCode, want)
		equal(t, "closes", response.Close, true)
		_ = readAll(t, response)
	}
}

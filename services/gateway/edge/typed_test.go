package main

import (
	"bufio"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"penstock.dev/proto/openapi"
	gatewayv1 "penstock.dev/proto/penstock/gateway/v1"
	llmv1 "penstock.dev/proto/penstock/llm/v1"
)

func refused(code codes.Code, details ...*anypb.Any) error {
	info, _ := anypb.New(&errdetails.ErrorInfo{Reason: "X", Domain: errorDomain})
	return status.ErrorProto(&spb.Status{Code: int32(code), Message: "refused", Details: append([]*anypb.Any{info}, details...)})
}

func retryIn(delay time.Duration) *anypb.Any {
	detail, _ := anypb.New(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
	return detail
}

func TestAWholeAnswerAndItsMetadata(t *testing.T) {
	edge := start(t)
	edge.gateway.chat = func(ctx context.Context, r *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		grpc.SetHeader(ctx, metadata.Pairs("x-penstock-cache", "miss", "idempotent-replayed", "true", "x-penstock-degraded", "stale", "age", "60", "x-ratelimit-limit-requests", "10", "penstock-tenant", "t", "x-request-id", "gw"))
		grpc.SetTrailer(ctx, metadata.Pairs("x-penstock-cost-usd", "0.01", "x-internal", "1"))
		return &gatewayv1.ChatResponse{Model: r.GetInput().GetModel(), Usage: &llmv1.TokenUsage{InputTokens: 3}}, nil
	}
	// Unary calls stay JSON even for a caller that would take events.
	for _, accept := range []string{"*/*", "text/event-stream"} {
		response := edge.send(t, "POST", "/api/v1/chat", `{"input":{"model":"fast"}}`, "Accept", accept)
		body := decode(t, readAll(t, response))
		equal(t, "model", body["model"], any("fast"))
		equal(t, "names of the contract", body["usage"].(map[string]any)["input_tokens"], any(3.0))
		equal(t, "type", response.Header.Get("Content-Type"), "application/json")
		for name, want := range map[string]string{
			"x-penstock-cache": "miss", "idempotent-replayed": "true", "x-penstock-degraded": "stale", "age": "60", "x-ratelimit-limit-requests": "10", "x-penstock-cost-usd": "0.01", "x-request-id": "gw",
			"penstock-tenant": "", "x-internal": "", "grpc-metadata-penstock-tenant": "", "grpc-metadata-content-type": "",
		} {
			equal(t, name, strings.Join(response.Header.Values(name), "|"), want)
		}
	}
}

func TestAnotherRequestUnderAnIdempotencyKeyIsUnprocessable(t *testing.T) {
	edge := start(t)
	for reason, want := range map[string]int{reasonKeyReused: http.StatusUnprocessableEntity, "RESOURCE_STATE": http.StatusBadRequest} {
		edge.gateway.chat = func(context.Context, *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
			info, _ := anypb.New(&errdetails.ErrorInfo{Reason: reason, Domain: errorDomain})
			return nil, status.ErrorProto(&spb.Status{Code: int32(codes.FailedPrecondition), Details: []*anypb.Any{info}})
		}
		equal(t, reason, edge.send(t, "POST", "/api/v1/chat", `{"input":{"model":"fast"}}`).StatusCode, want)
	}
}

func TestAPatchChangesTheFieldsThatItNames(t *testing.T) {
	edge := start(t)
	seen := make(chan *gatewayv1.UpdateTenantRequest, 1)
	edge.gateway.update = func(r *gatewayv1.UpdateTenantRequest) (*gatewayv1.UpdateTenantResponse, error) {
		seen <- r
		return &gatewayv1.UpdateTenantResponse{Tenant: r.GetTenant()}, nil
	}
	response := edge.send(t, "PATCH", "/api/v1/admin/tenants/acme", `{"tier": "pro", "models": []}`)
	equal(t, "status", response.StatusCode, http.StatusOK)
	got := soon(t, "the call", seen, patience)
	equal(t, "name", got.GetTenant().GetName(), "acme")
	equal(t, "tier", got.GetTenant().GetTier(), "pro")
	paths := got.GetUpdateMask().GetPaths()
	slices.Sort(paths)
	equal(t, "mask", strings.Join(paths, " "), "models tier")
	edge.send(t, "PATCH", "/api/v1/admin/tenants/acme?update_mask=regions", `{"tier": "pro"}`)
	equal(t, "the caller's own mask", strings.Join(soon(t, "the call", seen, patience).GetUpdateMask().GetPaths(), " "), "regions")
	equal(t, "unknown field", edge.send(t, "PATCH", "/api/v1/admin/tenants/acme", `{"teir": "pro"}`).StatusCode, http.StatusBadRequest)
	equal(t, "no body", edge.send(t, "PATCH", "/api/v1/admin/tenants/acme", ``).StatusCode, http.StatusOK)
}

func TestErrorsKeepTheirDetails(t *testing.T) {
	edge := start(t)
	violation, _ := anypb.New(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "input.model"}}})
	unknown := &anypb.Any{TypeUrl: "type.googleapis.com/never.heard.Of", Value: []byte{1}}
	for _, c := range []struct {
		err        error
		httpStatus int
		retryAfter string
		details    int
	}{
		{refused(codes.InvalidArgument, violation), 400, "", 2},
		{refused(codes.Unauthenticated), 401, "", 1},
		{refused(codes.PermissionDenied), 403, "", 1},
		{refused(codes.NotFound), 404, "", 1},
		{refused(codes.AlreadyExists), 409, "", 1},
		{refused(codes.ResourceExhausted, retryIn(1200*time.Millisecond)), 429, "2", 2},
		{refused(codes.ResourceExhausted, retryIn(0)), 429, "1", 2},
		{refused(codes.FailedPrecondition), 400, "", 1},
		{refused(codes.Internal), 500, "", 1},
		{refused(codes.Unavailable, retryIn(3*time.Second)), 503, "3", 2},
		{refused(codes.DeadlineExceeded), 504, "", 1},
		{refused(codes.NotFound, unknown), 404, "", 1},
	} {
		edge.gateway.chat = func(ctx context.Context, _ *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
			grpc.SetTrailer(ctx, metadata.Pairs("x-ratelimit-remaining-requests", "0"))
			return nil, c.err
		}
		edge.gateway.stream = func(_ *gatewayv1.StreamChatRequest, s grpc.ServerStreamingServer[gatewayv1.StreamChatResponse]) error {
			s.SetTrailer(metadata.Pairs("x-ratelimit-remaining-requests", "0"))
			return c.err
		}
		for _, path := range []string{"/api/v1/chat", "/api/v1/chat:stream"} {
			response := edge.send(t, "POST", path, `{}`, "Accept", "text/event-stream")
			body := decode(t, readAll(t, response))
			equal(t, "status", response.StatusCode, c.httpStatus)
			equal(t, "code", int(body["code"].(float64)), int(status.Code(c.err)))
			equal(t, "message", body["message"], any("refused"))
			equal(t, "details", len(body["details"].([]any)), c.details)
			equal(t, "retry-after", response.Header.Get("Retry-After"), c.retryAfter)
			equal(t, "type", response.Header.Get("Content-Type"), "application/json")
			equal(t, "trailing metadata", response.Header.Get("X-Ratelimit-Remaining-Requests"), "0")
		}
	}
}

func TestErrorsWithoutDetailsSayNothingOfTheInside(t *testing.T) {
	edge := start(t)
	for given, want := range map[codes.Code]codes.Code{
		codes.Internal: codes.Internal, codes.Unknown: codes.Internal, codes.Unavailable: codes.Unavailable,
		codes.DeadlineExceeded: codes.DeadlineExceeded,
	} {
		edge.gateway.chat = func(context.Context, *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
			return nil, status.Error(given, "secret at 10.0.0.1:5432")
		}
		text := readAll(t, edge.send(t, "POST", "/api/v1/chat", `{}`))
		equal(t, given.String(), strings.Contains(text, "secret"), false)
		equal(t, given.String(), int(decode(t, text)["code"].(float64)), int(want))
		equal(t, "info", strings.Contains(text, "google.rpc.ErrorInfo"), true)
	}
}

func TestBadBodies(t *testing.T) {
	edge := start(t)
	for _, body := range []string{`{"inputs":{}}`, `[]`, `{"input":`, `{}x`, "\xff", `{"input":{"model":1}}`, `null`, strings.Repeat(`{"input":`, 20000),
		`{"input":{"model":"\ud800"}}`, `{"input":{"sampling":{"temperature":1e999}}}`, `{"input":{"sampling":{"seed":9223372036854775808}}}`,
		`{"input":{"sampling":{"top_k":-1}}}`, `{"input":{},"input":{}}`, "\ufeff{}", `{"input":{"messages":[{"role":"ROLE_NOBODY"}]}}`,
	} {
		for _, path := range []string{"/api/v1/chat", "/api/v1/chat:stream"} {
			response := edge.send(t, "POST", path, body)
			equal(t, "status of "+body[:min(len(body), 20)], response.StatusCode, 400)
			text := readAll(t, response)
			equal(t, "reason", strings.Contains(text, `"INVALID_REQUEST"`), true)
			equal(t, "detail", strings.Contains(text, "google.rpc.BadRequest"), true)
		}
	}
}

func TestStreamsFlushEachMessage(t *testing.T) {
	edge := start(t)
	proceed := make(chan struct{})
	edge.gateway.stream = func(_ *gatewayv1.StreamChatRequest, s grpc.ServerStreamingServer[gatewayv1.StreamChatResponse]) error {
		s.SetHeader(metadata.Pairs("x-penstock-cache", "miss"))
		for _, text := range []string{"one", "two\nlines", "three"} {
			if err := s.Send(delta(text)); err != nil {
				return err
			}
			select {
			case <-proceed:
			case <-s.Context().Done():
			}
		}
		return refused(codes.Unavailable, retryIn(time.Second))
	}
	for accept, form := range map[string]struct{ contentType, start, end, failed string }{
		"*/*": {mimeNDJSON, `{"result":`, "}", `{"error":`},
		"application/json, text/event-stream;q=0.9": {"text/event-stream", "data: ", "", "event: error"},
	} {
		response := edge.send(t, "POST", "/api/v1/chat:stream", `{}`, "Accept", accept)
		equal(t, "status", response.StatusCode, 200)
		equal(t, "type", response.Header.Get("Content-Type"), form.contentType)
		equal(t, "metadata", response.Header.Get("X-Penstock-Cache"), "miss")
		equal(t, "buffering", response.Header.Get("X-Accel-Buffering"), "no")
		lines := bufio.NewScanner(response.Body)
		next := func() string {
			for lines.Scan() {
				if lines.Text() != "" {
					return lines.Text()
				}
			}
			return ""
		}
		for _, want := range []string{"one", "two\nlines", "three"} {
			// The next message is sent only after this one was read, so a held-back one would hang.
			line := strings.TrimPrefix(next(), "data: ")
			message := decode(t, line)
			if form.contentType == mimeNDJSON {
				message = message["result"].(map[string]any)
			}
			text := message["event"].(map[string]any)["text_delta"].(map[string]any)["text"]
			equal(t, "text", text, any(want))
			proceed <- struct{}{}
		}
		failed := next()
		equal(t, "error's start", strings.HasPrefix(failed, form.failed), true)
		if form.contentType != mimeNDJSON {
			failed = `{"error":` + strings.TrimPrefix(next(), "data: ") + "}"
		}
		body := decode(t, failed)["error"].(map[string]any)
		equal(t, "code", body["code"], any(14.0))
		equal(t, "details", len(body["details"].([]any)), 2)
		equal(t, "end", next(), "")
	}
}

func TestAStreamThatFailsAfterItsHeaderIsAnOrdinaryError(t *testing.T) {
	edge := start(t)
	edge.gateway.stream = func(_ *gatewayv1.StreamChatRequest, s grpc.ServerStreamingServer[gatewayv1.StreamChatResponse]) error {
		s.SendHeader(metadata.Pairs("x-request-id", "gw"))
		return refused(codes.ResourceExhausted, retryIn(7*time.Second))
	}
	response := edge.send(t, "POST", "/api/v1/chat:stream", `{}`)
	equal(t, "status", response.StatusCode, 429)
	equal(t, "retry", response.Header.Get("Retry-After"), "7")
	equal(t, "id", response.Header.Get("X-Request-Id"), "gw")
	equal(t, "code", decode(t, readAll(t, response))["code"], any(8.0))
}

func TestDeadlines(t *testing.T) {
	edge := start(t)
	left := make(chan time.Duration, 1)
	note := func(ctx context.Context) {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
	}
	edge.gateway.chat = func(ctx context.Context, _ *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		note(ctx)
		return &gatewayv1.ChatResponse{}, nil
	}
	edge.gateway.stream = func(_ *gatewayv1.StreamChatRequest, s grpc.ServerStreamingServer[gatewayv1.StreamChatResponse]) error {
		note(s.Context())
		return nil
	}
	for _, c := range []struct {
		path, timeout string
		want          time.Duration
	}{
		{"/api/v1/chat", "", time.Minute}, {"/api/v1/chat:stream", "", 10 * time.Minute},
		{"/api/v1/chat", "1.5s", 1500 * time.Millisecond}, {"/api/v1/chat:stream", "2h", 2 * time.Hour},
		{"/api/v1/chat", "900ms", 900 * time.Millisecond},
	} {
		edge.send(t, "POST", c.path, `{}`, "x-penstock-timeout", c.timeout, "grpc-timeout", "1H")
		got := soon(t, "the call", left, patience)
		if got > c.want || got < c.want-patience {
			t.Errorf("%s %s: got %v", c.path, c.timeout, got)
		}
	}
	for _, bad := range []string{"30", "-1s", "0s", "1e9s", "soon", "99999999999h", "+1s"} {
		response := edge.send(t, "POST", "/api/v1/chat", `{}`, "x-penstock-timeout", bad)
		equal(t, bad, response.StatusCode, 400)
	}
}

func TestADeadlineThatPassesIsAnOrdinaryError(t *testing.T) {
	edge := start(t)
	edge.gateway.stream = func(_ *gatewayv1.StreamChatRequest, s grpc.ServerStreamingServer[gatewayv1.StreamChatResponse]) error {
		<-s.Context().Done()
		return s.Context().Err()
	}
	response := edge.send(t, "POST", "/api/v1/chat:stream", `{}`, "x-penstock-timeout", "50ms")
	equal(t, "status", response.StatusCode, 504)
	equal(t, "reason", strings.Contains(readAll(t, response), `"DEADLINE_EXCEEDED"`), true)
}

func TestACallerThatLeavesCancelsTheCall(t *testing.T) {
	edge := start(t)
	cancelled := make(chan time.Time, 1)
	wait := func(ctx context.Context) {
		<-ctx.Done()
		cancelled <- time.Now()
	}
	entered := make(chan struct{}, 1)
	edge.gateway.chat = func(ctx context.Context, _ *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		entered <- struct{}{}
		wait(ctx)
		return nil, ctx.Err()
	}
	edge.gateway.stream = func(_ *gatewayv1.StreamChatRequest, s grpc.ServerStreamingServer[gatewayv1.StreamChatResponse]) error {
		s.Send(delta("one"))
		entered <- struct{}{}
		wait(s.Context())
		return s.Context().Err()
	}
	for _, path := range []string{"/api/v1/chat", "/api/v1/chat:stream"} {
		ctx, cancel := context.WithCancel(context.Background())
		request, _ := http.NewRequestWithContext(ctx, "POST", edge.base+path, strings.NewReader(`{}`))
		go func() {
			if response, err := edge.client.Do(request); err == nil {
				defer response.Body.Close()
				response.Body.Read(make([]byte, 1<<16))
				<-ctx.Done()
			}
		}()
		soon(t, "the call", entered, patience)
		cancel()
		soon(t, "the cancellation", cancelled, patience)
	}
}

func TestModelNamesMayHaveSlashesAndColons(t *testing.T) {
	edge := start(t)
	edge.gateway.getModel = func(_ context.Context, r *gatewayv1.GetModelRequest) (*gatewayv1.GetModelResponse, error) {
		return &gatewayv1.GetModelResponse{Model: &gatewayv1.Model{Name: r.GetName()}}, nil
	}
	for _, name := range []string{"fast", "openai/gpt-4o", "llama3:8b", "openai%2Fgpt-4o"} {
		body := decode(t, readAll(t, edge.send(t, "GET", "/api/v1/models/"+name, "")))
		equal(t, "name", body["model"].(map[string]any)["name"], any(strings.ReplaceAll(name, "%2F", "/")))
	}
	// ListModels is not implemented by the fake; the path must not fall to GetModel with an empty name.
	equal(t, "the list", edge.send(t, "GET", "/api/v1/models", "").StatusCode, http.StatusNotImplemented)
}

func TestEveryAnnotatedMethodIsServedAndDescribed(t *testing.T) {
	edge := start(t)
	methods := typedMethods()
	if len(methods) < 4 {
		t.Fatalf("found %d methods", len(methods))
	}
	variable := regexp.MustCompile(`\{[^}]*\}`)
	document := string(openapi.Document)
	for _, method := range methods {
		route := routeOf(method)
		verb, path := route.verb, route.path
		if !strings.HasPrefix(path, typedPrefix) {
			t.Errorf("%s is not under %s: %q", method.FullName(), typedPrefix, path)
		}
		response := edge.send(t, verb, variable.ReplaceAllString(path, "x"), `{"nothing": "known"}`)
		if response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusMethodNotAllowed {
			t.Errorf("%s %s is not served: register its service in newTypedHandler", verb, path)
		}
		if name := string(method.Parent().Name()) + "_" + string(method.Name()); !strings.Contains(document, `"`+name+`"`) {
			t.Errorf("%s is not in the OpenAPI document", name)
		}
	}
}

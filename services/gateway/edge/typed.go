package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	gatewayv1 "penstock.dev/proto/penstock/gateway/v1"
)

const (
	mimeEventStream = "text/event-stream"
	mimeNDJSON      = "application/x-ndjson"
)

// newTypedHandler transcodes /api/v1/ to the gateway's gRPC services.
func newTypedHandler(ctx context.Context, cfg *config, gateway *gatewayConns) (http.Handler, error) {
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, ndjson),
		runtime.WithMarshalerOption(mimeEventStream, eventStream),
		runtime.WithIncomingHeaderMatcher(requestMetadata),
		// The gateway's metadata goes out by copyMetadata, from success and failure alike.
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithOutgoingTrailerMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithMetadata(noteRoute),
		runtime.WithForwardResponseOption(addResponseHeaders),
		runtime.SetQueryParameterParser(&strictQuery{}),
		runtime.WithErrorHandler(writeError),
		runtime.WithStreamErrorHandler(func(_ context.Context, err error) *status.Status { return publicStatus(err) }),
		runtime.WithRoutingErrorHandler(newTypedRoutes().writeRoutingError),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisableChunkedEncoding(),
		runtime.WithWriteContentLength(),
	)
	if err := gatewayv1.RegisterChatServiceHandlerClient(ctx, mux, gatewayv1.NewChatServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterModelServiceHandlerClient(ctx, mux, gatewayv1.NewModelServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterEmbeddingServiceHandlerClient(ctx, mux, gatewayv1.NewEmbeddingServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterAdminServiceHandlerClient(ctx, mux, gatewayv1.NewAdminServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterPromptServiceHandlerClient(ctx, mux, gatewayv1.NewPromptServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterKnowledgeServiceHandlerClient(ctx, mux, gatewayv1.NewKnowledgeServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterStatusServiceHandlerClient(ctx, mux, gatewayv1.NewStatusServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterFeedbackServiceHandlerClient(ctx, mux, gatewayv1.NewFeedbackServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterUsageServiceHandlerClient(ctx, mux, gatewayv1.NewUsageServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterExperimentServiceHandlerClient(ctx, mux, gatewayv1.NewExperimentServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterLedgerServiceHandlerClient(ctx, mux, gatewayv1.NewLedgerServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterBudgetServiceHandlerClient(ctx, mux, gatewayv1.NewBudgetServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterJobServiceHandlerClient(ctx, mux, gatewayv1.NewJobServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterWebhookServiceHandlerClient(ctx, mux, gatewayv1.NewWebhookServiceClient(gateway)); err != nil {
		return nil, err
	}
	if err := gatewayv1.RegisterReviewServiceHandlerClient(ctx, mux, gatewayv1.NewReviewServiceClient(gateway)); err != nil {
		return nil, err
	}
	bodies := newIntake(cfg, gateway)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timeout, err := parseTimeout(r.Header)
		if err != nil {
			writeError(r.Context(), mux, nil, w, r, err)
			return
		}
		exchangeOf(r.Context()).timeout = timeout
		if !utf8.ValidString(r.URL.Path) {
			// A message holds text only, and could not be sent.
			writeError(r.Context(), mux, nil, w, r, invalidField("", "The path is not UTF-8."))
			return
		}
		if compression := compressionOf(r.Header.Get("Content-Encoding")); compression != "" {
			inflate(r, compression)
		}
		// grpc-gateway knows Accept only as an exact word, and would make x-forwarded-* of these two.
		if acceptsEventStream(r.Header) {
			r.Header["Accept"] = []string{mimeEventStream}
		} else {
			delete(r.Header, "Accept")
		}
		release, err := bodies.read(r)
		if err != nil {
			refuseBody(mux, w, r, err)
			return
		}
		defer release()
		exchangeOf(r.Context()).sent = release
		r.Host, r.RemoteAddr = "", ""
		mux.ServeHTTP(w, r)
	}), nil
}

// refuseBody answers a request whose body was not read, or not to its end.
func refuseBody(mux *runtime.ServeMux, w http.ResponseWriter, r *http.Request, err error) {
	_ = http.NewResponseController(w).EnableFullDuplex()
	writeError(r.Context(), mux, nil, w, r, err)
	if out, ok := w.(*responseWriter); ok {
		exchangeOf(r.Context()).body.letCome(out)
	}
}

func acceptsEventStream(h http.Header) bool {
	for _, accept := range h["Accept"] {
		if strings.Contains(strings.ToLower(accept), mimeEventStream) {
			return true
		}
	}
	return false
}

var timeoutPattern = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h)$`)

// parseTimeout reads the caller's own timeout; 0 where there is none.
func parseTimeout(h http.Header) (time.Duration, error) {
	value := h.Get(headerTimeout)
	if value == "" {
		return 0, nil
	}
	if timeout := durationOf(value); timeout > 0 {
		return timeout, nil
	}
	return 0, invalidField("x-penstock-timeout", "x-penstock-timeout must be a duration such as 500ms, 30s or 10m.")
}

// durationOf reads a timeout; 0 where it is none.
func durationOf(value string) time.Duration {
	timeout, err := time.ParseDuration(value)
	if err != nil || !timeoutPattern.MatchString(value) {
		return 0
	}
	return timeout
}

// noteRoute adds no metadata: annotating is where grpc-gateway tells which path has matched.
func noteRoute(ctx context.Context, _ *http.Request) metadata.MD {
	if pattern, ok := runtime.HTTPPathPattern(ctx); ok {
		exchangeOf(ctx).route = pattern
	}
	return nil
}

// addResponseHeaders runs before the answer's head is written, with no message when it is a stream's.
func addResponseHeaders(ctx context.Context, w http.ResponseWriter, message proto.Message) error {
	call := exchangeOf(ctx)
	if message == nil {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("X-Accel-Buffering", "no")
	}
	copyMetadata(w.Header(), call)
	// It runs again for each message of a stream, when the head has gone.
	call.header, call.trailer = nil, nil
	return nil
}

func copyMetadata(header http.Header, call *exchange) {
	for _, md := range []metadata.MD{call.header, call.trailer} {
		for key, values := range md {
			if responseHeader(key) {
				header[http.CanonicalHeaderKey(key)] = values
			}
		}
	}
}

func (t typedRoutes) writeRoutingError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, httpStatus int) {
	if allowed := t.allowed(r.URL.Path); httpStatus == http.StatusMethodNotAllowed && allowed != "" {
		w.Header().Set("Allow", allowed)
		failureMethod.write(w, r)
		return
	}
	failureNotFound.write(w, r)
}

// typedMethods are the RPCs of the public packages that have a REST form.
func typedMethods() []protoreflect.MethodDescriptor {
	var found []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("penstock.gateway.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				if proto.HasExtension(methods.Get(j).Options(), annotations.E_Http) {
					found = append(found, methods.Get(j))
				}
			}
		}
		return true
	})
	return found
}

// streamResponses maps the streaming methods, as gRPC paths, to what they send.
func streamResponses(methods []protoreflect.MethodDescriptor) map[string]protoreflect.MessageType {
	responses := map[string]protoreflect.MessageType{}
	for _, method := range methods {
		if !method.IsStreamingServer() {
			continue
		}
		if message, err := protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName()); err == nil {
			responses[fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name())] = message
		}
	}
	return responses
}

func invalidField(field, description string) error {
	return badRequest(status.New(codes.InvalidArgument, description), field).Err()
}

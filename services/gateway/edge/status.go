package main

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	errorsv1 "penstock.dev/proto/penstock/errors/v1"
)

// writeError is grpc-gateway's error handler: the status as JSON, whatever Accept says.
func writeError(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	call := exchangeOf(ctx)
	if bodyErr := call.body.err(); bodyErr != nil {
		bodyFailure(bodyErr).write(w, r)
		return
	}
	s := publicStatus(err)
	header := w.Header()
	copyMetadata(header, call)
	if delay, ok := retryDelay(s); ok && header.Get("Retry-After") == "" {
		header.Set("Retry-After", strconv.FormatInt(wholeSeconds(delay), 10))
	}
	if s.Code() == codes.Unauthenticated {
		header.Set("Www-Authenticate", "Bearer")
	}
	writeJSON(w, httpStatus(s), marshalStatus(s))
}

// httpStatus is the status that gRPC's own table has, but for what HTTP has a better one: another request under the same
// Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07, 2.7).
func httpStatus(s *status.Status) int {
	for _, detail := range s.Proto().GetDetails() {
		var info errdetails.ErrorInfo
		if detail.MessageIs(&info) && detail.UnmarshalTo(&info) == nil && info.GetDomain() == errorDomain && info.GetReason() == reasonKeyReused {
			return http.StatusUnprocessableEntity
		}
	}
	return runtime.HTTPStatusFromCode(s.Code())
}

// publicStatus is the status that a caller may see. The gateway's own carry an
// ErrorInfo and pass unchanged; the others were made here or by the transport,
// whose texts name addresses.
func publicStatus(err error) *status.Status {
	s := status.Convert(err)
	for _, detail := range s.Proto().GetDetails() {
		if detail.MessageIs((*errdetails.ErrorInfo)(nil)) {
			return s
		}
	}
	switch s.Code() {
	case codes.Unavailable:
		return failureUnreachable.status()
	case codes.DeadlineExceeded:
		return withDetails(status.New(codes.DeadlineExceeded, "The deadline passed before the answer was complete."),
			errorInfo(errorsv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED))
	case codes.InvalidArgument:
		if field, text, ok := strings.Cut(s.Message(), separator); ok {
			return badRequest(status.New(s.Code(), strings.ToValidUTF8(text, "?")), strings.ToValidUTF8(field, "?"))
		}
		return badRequest(status.New(s.Code(), "The path or the query cannot be read."), "")
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return withDetails(status.New(codes.Internal, "Internal error."), errorInfo(errorsv1.ErrorReason_ERROR_REASON_INTERNAL))
	}
	return s
}

// badRequest adds the details of a validation error; an empty field means the body as a whole.
func badRequest(s *status.Status, field string) *status.Status {
	return withDetails(s, errorInfo(errorsv1.ErrorReason_ERROR_REASON_INVALID_REQUEST),
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: s.Message()}}})
}

func retryDelay(s *status.Status) (time.Duration, bool) {
	for _, detail := range s.Proto().GetDetails() {
		var retry errdetails.RetryInfo
		if detail.MessageIs(&retry) && detail.UnmarshalTo(&retry) == nil {
			return retry.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}

// wholeSeconds rounds up, and never to zero: a caller told 0 comes back at once.
func wholeSeconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}

func marshalStatus(s *status.Status) []byte {
	message := s.Proto()
	body, err := jsonOptions.Marshal(message)
	if err == nil {
		return body
	}
	// A detail of a type unknown here has no JSON form; the others must not go with it.
	readable := proto.CloneOf(message)
	readable.Details = nil
	for _, detail := range message.GetDetails() {
		if _, err := anypb.UnmarshalNew(detail, proto.UnmarshalOptions{}); err == nil {
			readable.Details = append(readable.Details, detail)
		}
	}
	if body, err = jsonOptions.Marshal(readable); err == nil {
		return body
	}
	return []byte(`{"code":13,"message":"Internal error."}`)
}

package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	errorsv1 "penstock.dev/proto/penstock/errors/v1"
)

const (
	errorDomain  = "penstock.dev"
	reasonPrefix = "ERROR_REASON_"
	// reasonKeyReused is of a request under an Idempotency-Key of another one.
	reasonKeyReused = "IDEMPOTENCY_KEY_REUSED"
)

// failure is an error that the edge itself answers with, in the shape of the
// surface that was asked: a status on the typed API, OpenAI's or Anthropic's
// error object on the wire formats.
type failure struct {
	httpStatus    int
	code          codes.Code
	reason        errorsv1.ErrorReason
	message       string
	openAIType    string
	openAICode    string
	anthropicType string
	// retryAfter asks the caller to come back after a second.
	retryAfter bool
	// closes ends the connection: what is left of the request is not worth reading.
	closes bool
}

var (
	failureNotFound = failure{
		httpStatus: http.StatusNotFound, code: codes.NotFound, reason: errorsv1.ErrorReason_ERROR_REASON_INVALID_REQUEST,
		message:    "No such path. The typed API is under /api/v1/, OpenAI's format under /v1/; both are described by /openapi.json and, for people, at /docs. The probes are /healthz and /readyz.",
		openAIType: "invalid_request_error", openAICode: "unknown_url", anthropicType: "not_found_error",
	}
	failureMethod = failure{
		httpStatus: http.StatusMethodNotAllowed, code: codes.Unimplemented, reason: errorsv1.ErrorReason_ERROR_REASON_INVALID_REQUEST,
		message:    "This path exists, but not with this method; /openapi.json says which.",
		openAIType: "invalid_request_error", openAICode: "method_not_allowed", anthropicType: "invalid_request_error",
	}
	failureNoMethod = failure{
		httpStatus: http.StatusBadRequest, code: codes.InvalidArgument, reason: errorsv1.ErrorReason_ERROR_REASON_INVALID_REQUEST,
		message:    "The request's method is not one word (RFC 9110, 9.1).",
		openAIType: "invalid_request_error", openAICode: "malformed_method", anthropicType: "invalid_request_error",
	}
	failureEncoding = failure{
		httpStatus: http.StatusUnsupportedMediaType, code: codes.InvalidArgument, reason: errorsv1.ErrorReason_ERROR_REASON_INVALID_REQUEST,
		message:    "Request bodies may come as they are, as gzip or deflate, and in no other Content-Encoding.",
		openAIType: "invalid_request_error", openAICode: "unsupported_content_encoding", anthropicType: "invalid_request_error",
		closes: true,
	}
	failureHead = failure{
		httpStatus: http.StatusRequestHeaderFieldsTooLarge, code: codes.InvalidArgument, reason: errorsv1.ErrorReason_ERROR_REASON_INVALID_REQUEST,
		message:    "The request's headers are larger than this server accepts.",
		openAIType: "invalid_request_error", openAICode: "headers_too_large", anthropicType: "request_too_large",
	}
	failureTooLarge = failure{
		httpStatus: http.StatusRequestEntityTooLarge, code: codes.InvalidArgument, reason: errorsv1.ErrorReason_ERROR_REASON_INVALID_REQUEST,
		message:    "The request body is larger than this server accepts.",
		openAIType: "invalid_request_error", openAICode: "request_too_large", anthropicType: "request_too_large", closes: true,
	}
	failureTooSlow = failure{
		httpStatus: http.StatusRequestTimeout, code: codes.DeadlineExceeded, reason: errorsv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED,
		message:    "The request body did not arrive in time.",
		openAIType: "invalid_request_error", openAICode: "request_timeout", anthropicType: "timeout_error", closes: true,
	}
	failureBroken = failure{
		httpStatus: http.StatusBadRequest, code: codes.InvalidArgument, reason: errorsv1.ErrorReason_ERROR_REASON_INVALID_REQUEST,
		message:    "The request body is not framed as its headers say.",
		openAIType: "invalid_request_error", openAICode: "malformed_body", anthropicType: "invalid_request_error", closes: true,
	}
	failureNotInflated = failure{
		httpStatus: http.StatusBadRequest, code: codes.InvalidArgument, reason: errorsv1.ErrorReason_ERROR_REASON_INVALID_REQUEST,
		message:    "The request body is not compressed as its Content-Encoding says.",
		openAIType: "invalid_request_error", openAICode: "malformed_body", anthropicType: "invalid_request_error", closes: true,
	}
	failureBodies = failure{
		httpStatus: http.StatusServiceUnavailable, code: codes.Unavailable, reason: errorsv1.ErrorReason_ERROR_REASON_OVERLOADED,
		message:    "This server holds as many large requests as it can, or as it does for one address; try again.",
		openAIType: "server_error", openAICode: "service_unavailable", anthropicType: "overloaded_error", retryAfter: true,
	}
	failureGuesses = failure{
		httpStatus: http.StatusTooManyRequests, code: codes.ResourceExhausted, reason: errorsv1.ErrorReason_ERROR_REASON_RATE_LIMITED,
		message:    "Too many wrong API keys have come from this address; try again.",
		openAIType: "rate_limit_error", openAICode: "rate_limit_exceeded", anthropicType: "rate_limit_error", retryAfter: true,
	}
	failureDraining = failure{
		httpStatus: http.StatusServiceUnavailable, code: codes.Unavailable, reason: errorsv1.ErrorReason_ERROR_REASON_OVERLOADED,
		message:    "This server is shutting down; try again.",
		openAIType: "server_error", openAICode: "service_unavailable", anthropicType: "api_error", retryAfter: true, closes: true,
	}
	failureUnreachable = failure{
		httpStatus: http.StatusServiceUnavailable, code: codes.Unavailable, reason: errorsv1.ErrorReason_ERROR_REASON_SERVICE_UNAVAILABLE,
		message:    "The gateway did not answer; try again.",
		openAIType: "server_error", openAICode: "service_unavailable", anthropicType: "api_error", retryAfter: true,
	}
	failureCut = failure{
		httpStatus: http.StatusServiceUnavailable, code: codes.Unavailable, reason: errorsv1.ErrorReason_ERROR_REASON_SERVICE_UNAVAILABLE,
		message:    "The gateway went away before the end of its answer: this is not all of it.",
		openAIType: "server_error", openAICode: "service_unavailable", anthropicType: "api_error",
	}
	failureTimeout = failure{
		httpStatus: http.StatusGatewayTimeout, code: codes.DeadlineExceeded, reason: errorsv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED,
		message:    "The gateway did not answer in time.",
		openAIType: "server_error", openAICode: "timeout", anthropicType: "timeout_error",
	}
)

func bodyFailure(err error) *failure {
	if errors.Is(err, errBodyTooLarge) {
		return &failureTooLarge
	}
	if errors.Is(err, errBodyBroken) {
		return &failureBroken
	}
	if errors.Is(err, errBodyNotInflated) {
		return &failureNotInflated
	}
	return &failureTooSlow
}

func (f *failure) write(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	if f.retryAfter {
		header.Set("Retry-After", "1")
	}
	if f.httpStatus == http.StatusUnsupportedMediaType {
		header.Set("Accept-Encoding", acceptedEncodings)
	}
	if f.closes && r.ProtoMajor == 1 {
		header.Set("Connection", "close")
	}
	writeJSON(w, f.httpStatus, f.body(r.URL.Path))
}

func (f *failure) body(path string) []byte {
	if !isWire(path) {
		return marshalStatus(f.status())
	}
	detail := map[string]any{"message": f.message, "type": f.openAIType, "param": nil, "code": f.openAICode}
	envelope := map[string]any{"error": detail}
	if strings.HasPrefix(path, "/v1/messages") {
		envelope = map[string]any{"type": "error", "error": map[string]any{"type": f.anthropicType, "message": f.message}}
	}
	body, _ := json.Marshal(envelope) // strings and nil always marshal
	return body
}

func (f *failure) status() *status.Status {
	details := []protoadapt.MessageV1{errorInfo(f.reason)}
	if f.retryAfter {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(1e9)})
	}
	return withDetails(status.New(f.code, f.message), details...)
}

// errorInfo names the reason as the gateway does: RATE_LIMITED, without the enum's prefix.
func errorInfo(reason errorsv1.ErrorReason) *errdetails.ErrorInfo {
	return &errdetails.ErrorInfo{Reason: strings.TrimPrefix(reason.String(), reasonPrefix), Domain: errorDomain}
}

func withDetails(s *status.Status, details ...protoadapt.MessageV1) *status.Status {
	if detailed, err := s.WithDetails(details...); err == nil {
		return detailed
	}
	return s
}

// acceptedEncodings is what an answer of 415 says (RFC 9110, 12.5.3).
const acceptedEncodings = "gzip, deflate"

func writeJSON(w http.ResponseWriter, httpStatus int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(httpStatus)
	_, _ = w.Write(body) // a caller that has left needs no error
}

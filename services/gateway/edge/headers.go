package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
)

const (
	headerRequestID   = "X-Request-Id"
	headerTimeout     = "X-Penstock-Timeout"
	headerTraceparent = "Traceparent"
	headerTracestate  = "Tracestate"
	// headerForwardedFor goes no further either: what it says counts where a trusted proxy has said it.
	headerForwardedFor = "X-Forwarded-For"
	// These two are the edge's own. A caller's go no further: they are not among the allowed.
	headerClientAddress = "X-Penstock-Client-Address"
	headerEdgeToken     = "X-Penstock-Edge-Token"
)

// minTokenBytes is the gateway's bound, too.
const minTokenBytes = 32

// allowedRequestHeaders go on to the gateway, on both paths. Everything else stays
// here: X-Forwarded-*, X-Tenant-*, Grpc-Metadata-*, Grpc-Timeout, cookies, and
// whatever else could be mistaken for the identity that the gateway establishes.
var allowedRequestHeaders = map[string]struct{}{
	"Accept":                   {},
	"Anthropic-Beta":           {},
	"Anthropic-Version":        {},
	"Api-Key":                  {},
	"Authorization":            {},
	"Content-Encoding":         {},
	"Content-Type":             {},
	"Idempotency-Key":          {},
	"Openai-Beta":              {},
	"Openai-Organization":      {},
	"Openai-Project":           {},
	"Prefer":                   {},
	headerTraceparent:          {},
	headerTracestate:           {},
	"User-Agent":               {},
	"X-Api-Key":                {},
	"X-Penstock-Cache":         {},
	"X-Penstock-Compress":      {},
	"X-Penstock-Degrade":       {},
	"X-Penstock-Feature":       {},
	"X-Penstock-Hedge":         {},
	"X-Penstock-Idempotency":   {},
	"X-Penstock-Policy":        {},
	"X-Penstock-Priority":      {},
	"X-Penstock-Recovery":      {},
	"X-Penstock-Team":          {},
	"X-Penstock-When-Limited":  {},
	headerTimeout:              {},
	headerRequestID:            {},
	"X-Stainless-Read-Timeout": {},
	"X-Stainless-Retry-Count":  {},
}

// allowedByLowerName gives an allowed header's name as the edge writes it.
var allowedByLowerName = func() map[string]string {
	names := make(map[string]string, len(allowedRequestHeaders))
	for name := range allowedRequestHeaders {
		names[strings.ToLower(name)] = name
	}
	return names
}()

// httpOnlyHeaders mean nothing to a gRPC service: HTTP's own, and the timeout, which becomes the deadline.
var httpOnlyHeaders = map[string]struct{}{
	"Accept": {}, "Content-Encoding": {}, "Content-Type": {}, "User-Agent": {}, headerTimeout: {},
}

// allowedHeaders copies the headers that may go on. Names are canonical already: net/http made them so.
func allowedHeaders(in http.Header) http.Header {
	out := make(http.Header, 12)
	for name, values := range in {
		if _, ok := allowedRequestHeaders[name]; ok {
			out[name] = values
		}
	}
	return out
}

// rawHeaders copies what may go on to an upstream as it is: all but what could be mistaken for an identity, or is about
// the way here. The gateway takes the caller's key out, and the proxy what belongs to the connection.
func rawHeaders(in http.Header) http.Header {
	out := make(http.Header, len(in))
	for name, values := range in {
		if _, ok := allowedRequestHeaders[name]; ok || !isOfTheWay(name) {
			out[name] = values
		}
	}
	return out
}

var headersOfTheWay = []string{
	"X-Forwarded-", "X-Tenant-", "X-Penstock-", "X-Real-Ip", "Grpc-", "Forwarded", "Cookie", "Proxy-", "Via", "Sec-",
}

func isOfTheWay(name string) bool {
	return slices.ContainsFunc(headersOfTheWay, func(beginning string) bool { return strings.HasPrefix(name, beginning) })
}

// addClientAddress says where the request comes from. It is said always, and the
// token added where there is one: a gateway must not take the edge for the caller.
func addClientAddress(header http.Header, remote, token string) {
	header[headerClientAddress] = []string{addressOf(remote)}
	if token != "" {
		header[headerEdgeToken] = []string{token}
	}
}

// readToken gives the token in a file; empty without one.
func readToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--gateway-token-file: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if len(token) < minTokenBytes || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("--gateway-token-file: %s must hold at least %d characters of ASCII text, such as hex", path, minTokenBytes)
	}
	return token, nil
}

// maxForwardedBytes bounds what goes on, counted as HTTP/2 does (RFC 9113, 6.5.2). The
// gateway takes 16 KiB of metadata, of which the transport needs a little; grpc-go
// fails with INTERNAL on more.
const maxForwardedBytes = 15 << 10

// fieldOverheadBytes is what HTTP/2 adds to a field's name and value.
const fieldOverheadBytes = 32

func headerBytes(h http.Header) int {
	total := 0
	for name, values := range h {
		for _, value := range values {
			total += len(name) + len(value) + fieldOverheadBytes
		}
	}
	return total
}

// requestMetadata is grpc-gateway's incoming header matcher.
func requestMetadata(name string) (string, bool) {
	if _, ok := httpOnlyHeaders[name]; ok {
		return "", false
	}
	if name == headerClientAddress || name == headerEdgeToken {
		return strings.ToLower(name), true
	}
	// grpc-gateway passes Authorization by itself, whatever the matcher says.
	if _, ok := allowedRequestHeaders[name]; !ok || name == "Authorization" {
		return "", false
	}
	return strings.ToLower(name), true
}

// responseHeader says whether a caller may see this metadata of the gateway, under its own name.
func responseHeader(key string) bool {
	switch key {
	case "x-request-id", "retry-after", "x-should-retry", "age", "idempotent-replayed":
		return true
	}
	return strings.HasPrefix(key, "x-ratelimit-") || strings.HasPrefix(key, "x-penstock-")
}

// requestID gives the caller's own id where it is usable, else a new one of 128 bits.
func requestID(h http.Header) string {
	if values := h[headerRequestID]; len(values) == 1 && validRequestID(values[0]) {
		return values[0]
	}
	return newRequestID()
}

func newRequestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, by its documentation
	return hex.EncodeToString(id[:])
}

func validRequestID(id string) bool {
	if len(id) < 1 || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

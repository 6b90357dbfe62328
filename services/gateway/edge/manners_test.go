package main

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	gatewayv1 "penstock.dev/proto/penstock/gateway/v1"
)

func TestAPathThatExistsSaysWhichMethodsItTakes(t *testing.T) {
	edge := start(t)
	for path, want := range map[string]string{
		"/api/v1/chat": "POST", "/api/v1/chat:stream": "POST", "/api/v1/models": "GET", "/api/v1/models/openai/gpt-4o": "GET",
		"/api/v1/admin/keys": "GET, POST", "/api/v1/admin/tenants/acme": "GET, PATCH", "/api/v1/admin/keys/k1:rotate": "POST",
		"/healthz": "GET, HEAD", "/readyz": "GET, HEAD", "/openapi.json": "GET, HEAD",
	} {
		response := edge.send(t, "DELETE", path, "")
		equal(t, path, response.StatusCode, http.StatusMethodNotAllowed)
		equal(t, path, response.Header.Get("Allow"), want)
	}
	for _, path := range []string{"/api/v1/nothing", "/api/v1/chat/x", "/api/v1/admin/keys/k1:nothing"} {
		equal(t, path, edge.send(t, "DELETE", path, "").StatusCode, http.StatusNotFound)
	}
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var buffer bytes.Buffer
	w := gzip.NewWriter(&buffer)
	_, err := io.WriteString(w, text)
	must(t, err)
	must(t, w.Close())
	return buffer.String()
}

func deflated(t *testing.T, text string, raw bool) string {
	t.Helper()
	var buffer bytes.Buffer
	var w io.WriteCloser = zlib.NewWriter(&buffer)
	if raw {
		w, _ = flate.NewWriter(&buffer, flate.DefaultCompression)
	}
	_, err := io.WriteString(w, text)
	must(t, err)
	must(t, w.Close())
	return buffer.String()
}

func TestABodyMayComeCompressed(t *testing.T) {
	edge := start(t, func(c *config) { c.maxBodyBytes = 1 << 20 })
	edge.gateway.chat = func(_ context.Context, r *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		return &gatewayv1.ChatResponse{Model: r.GetInput().GetModel()}, nil
	}
	body := `{"input":{"model":"fast"}}`
	for _, encoding := range []string{"gzip", "GZIP", "x-gzip"} {
		response := edge.send(t, "POST", "/api/v1/chat", zipped(t, body), "Content-Encoding", encoding)
		equal(t, encoding, decode(t, readAll(t, response))["model"], any("fast"))
	}
	for _, raw := range []bool{false, true} {
		response := edge.send(t, "POST", "/api/v1/chat", deflated(t, body, raw), "Content-Encoding", "deflate")
		equal(t, "deflate", decode(t, readAll(t, response))["model"], any("fast"))
	}
	equal(t, "as it is", edge.send(t, "POST", "/api/v1/chat", body, "Content-Encoding", "identity").StatusCode, http.StatusOK)
	for what, c := range map[string]struct {
		body, encoding string
		status         int
	}{
		"a bomb":        {zipped(t, `{"input":{"model":"`+strings.Repeat("x", 2<<20)+`"}}`), "gzip", http.StatusRequestEntityTooLarge},
		"no gzip":       {body, "gzip", http.StatusBadRequest},
		"cut gzip":      {zipped(t, body)[:20], "gzip", http.StatusBadRequest},
		"rubbish after": {zipped(t, body) + "rubbish", "gzip", http.StatusBadRequest},
		"twice":         {zipped(t, zipped(t, body)), "gzip, gzip", http.StatusUnsupportedMediaType},
		"brotli":        {body, "br", http.StatusUnsupportedMediaType},
		"zstd":          {body, "zstd", http.StatusUnsupportedMediaType},
		"no deflate":    {body, "deflate", http.StatusBadRequest},
		"cut deflate":   {deflated(t, body, false)[:20], "deflate", http.StatusBadRequest},
		"another bomb":  {deflated(t, strings.Repeat(" ", 2<<20), true), "deflate", http.StatusRequestEntityTooLarge},
	} {
		response := edge.send(t, "POST", "/api/v1/chat", c.body, "Content-Encoding", c.encoding)
		equal(t, what, response.StatusCode, c.status)
		if c.status == http.StatusUnsupportedMediaType {
			equal(t, what, response.Header.Get("Accept-Encoding"), "gzip, deflate")
		}
	}
	// A PATCH reads its body twice.
	edge.gateway.update = func(r *gatewayv1.UpdateTenantRequest) (*gatewayv1.UpdateTenantResponse, error) {
		return &gatewayv1.UpdateTenantResponse{Tenant: r.GetTenant()}, nil
	}
	response := edge.send(t, "PATCH", "/api/v1/admin/tenants/acme", zipped(t, `{"tier":"pro"}`), "Content-Encoding", "gzip")
	equal(t, "patched", decode(t, readAll(t, response))["tenant"].(map[string]any)["tier"], any("pro"))
}

func TestBaseURLsAsPeopleWriteThem(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.Path+" "+r.Header.Get("Content-Encoding"))
	}
	for path, want := range map[string]string{
		"/v1/chat/completions": "/v1/chat/completions", "/chat/completions": "/chat/completions",
		"/v1//chat/completions": "/v1/chat/completions", "//v1/chat//completions": "/v1/chat/completions",
		"/v1/v1/chat/completions": "/v1/v1/chat/completions", "/v1/chat/completions/": "/v1/chat/completions/",
		"/embeddings": "/embeddings", "/models/a/b": "/models/a/b",
		"/openai/deployments/gpt/chat/completions?api-version=1": "/openai/deployments/gpt/chat/completions",
	} {
		equal(t, path, readAll(t, edge.send(t, "POST", path, "{}", "Content-Encoding", "gzip")), want+" gzip")
	}
	for _, path := range []string{"/modelsx", "/openai", "/chat", "/v1/../api/v1/chat", "/v1/./models", "/v2/chat/completions"} {
		equal(t, path, edge.send(t, "GET", path, "").StatusCode, http.StatusNotFound)
	}
}

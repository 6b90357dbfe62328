package main

import (
	"net/http"
	"strings"
	"testing"

	gatewayv1 "penstock.dev/proto/penstock/gateway/v1"
)

// violation gives what an answer says is wrong, and with which field.
func violation(t *testing.T, response *http.Response) (field, text string) {
	t.Helper()
	body := decode(t, readAll(t, response))
	for _, detail := range body["details"].([]any) {
		if list, ok := detail.(map[string]any)["field_violations"].([]any); ok {
			found := list[0].(map[string]any)
			field, _ = found["field"].(string)
			text, _ = found["description"].(string)
		}
	}
	equal(t, "message", body["message"], any(text))
	return field, text
}

func TestABadBodyIsToldByItsField(t *testing.T) {
	edge := start(t)
	for _, c := range []struct{ body, field, text string }{
		{`{"inputs":{}}`, "inputs", "There is no field inputs; did you mean input?"},
		{`{"input":{"sampling":{"maxOutputToken":1}}}`, "input.sampling.maxOutputToken", "did you mean input.sampling.max_output_tokens?"},
		{`{"input":{"messages":[{"parts":[]},{"content":"hi"}]}}`, "input.messages[1].content", "; input.messages[1] has role, parts"},
		{`{"input":{"modle":"x"}}`, "input.modle", "did you mean input.model?"},
		{`{"input":{"model":1}}`, "input.model", "input.model must be a string, and is the number 1."},
		{`{"input":{"model":{"name":"x"}}}`, "input.model", "must be a string, and is an object."},
		{`{"input":{"messages":"hi"}}`, "input.messages", "must be a list, and is the string \"hi\"."},
		{`{"input":["a"]}`, "input", "input must be an object, and is a list."},
		{`{"input":{"messages":[{"role":"user"}]}}`, "input.messages[0].role", "must be one of ROLE_"},
		{`{"input":{"messages":[{"parts":[{"text":"a","image":{}}]}]}}`, "input.messages[0].parts[0].image", "cannot be given together"},
		{`{"input":{"sampling":{"top_k":-1}}}`, "input.sampling.top_k", "must be a whole number from 0 to 4294967295, and is the number -1."},
		{`{"input":{"sampling":{"top_k":1.5}}}`, "input.sampling.top_k", "must be a whole number"},
		{`{"input":{"sampling":{"seed":9223372036854775808}}}`, "input.sampling.seed", "must be a whole number"},
		{`{"input":{"sampling":{"temperature":1e999}}}`, "input.sampling.temperature", "must be a number, and is the number 1e999."},
		{`{"input":{"sampling":{"temperature":"hot"}}}`, "input.sampling.temperature", "must be a number"},
		{`{"cache_control":{"no_store":"yes"}}`, "cache_control.no_store", "must be true or false"},
		{`{"cache_control":{"max_age":30}}`, "cache_control.max_age", `must be a duration such as "1.5s"`},
		{`{"input":{},"input":{}}`, "input", "input is given twice."},
		{`[]`, "", "The body must be an object, and is a list."},
		{`null`, "", "The body must be an object, and is null."},
		{`{"input":`, "", "it ends too early"},
		{"{\n  \"input\": {,}\n}", "", "line 2, column 1"},
		{`{}x`, "", "nothing more"},
		{`{"input":{"model":"` + strings.Repeat("x", 1000) + `"}, "` + strings.Repeat("y", 1000) + `":1}`, strings.Repeat("y", maxQuotedBytes) + "…", "There is no field"},
	} {
		for _, path := range []string{"/api/v1/chat", "/api/v1/chat:stream"} {
			response := edge.send(t, "POST", path, c.body)
			equal(t, "status", response.StatusCode, http.StatusBadRequest)
			field, text := violation(t, response)
			equal(t, "field of "+c.body[:min(80, len(c.body))], field, c.field)
			if !strings.Contains(text, c.text) {
				t.Errorf("%.80s: got %q, want %q", c.body, text, c.text)
			}
			for _, inside := range []string{"proto:", "unmarshal", "penstock.", "\u00a0", separator} {
				if strings.Contains(text, inside) {
					t.Errorf("%.80s: the text says %q: %q", c.body, inside, text)
				}
			}
		}
	}
}

// What protojson refuses for a reason that explain does not know is still told without a line of the parser.
func TestABadBodyIsNeverToldInTheParsersWords(t *testing.T) {
	edge := start(t)
	for _, body := range []string{"\xff", "\ufeff{}", `{"input":{"model":"\ud800"}}`, "{\"input\":{\"model\":\"\xff\"}}", strings.Repeat(`{"input":`, 20000),
		`{"cache_control":{"max_age":"soon"}}`, `{"cache_control":{"max_age":"999999999999999s"}}`} {
		_, text := violation(t, edge.send(t, "POST", "/api/v1/chat", body))
		if text == "" || strings.Contains(text, "proto") || strings.Contains(text, "invalid UTF") || strings.Contains(text, "\u00a0") {
			t.Errorf("%.40q: %q", body, text)
		}
	}
}

func TestABadQueryIsToldByItsParameter(t *testing.T) {
	edge := start(t)
	edge.gateway.update = func(r *gatewayv1.UpdateTenantRequest) (*gatewayv1.UpdateTenantResponse, error) {
		return &gatewayv1.UpdateTenantResponse{Tenant: r.GetTenant()}, nil
	}
	for _, c := range []struct{ path, field, text string }{
		{"/api/v1/admin/keys?page_size=many", "page_size", "The parameter page_size must be a whole number"},
		{"/api/v1/admin/keys?page_size=1&page_size=2", "page_size", "The parameter page_size must be a whole number"},
		{"/api/v1/admin/keys?pagesize=5", "pagesize", "There is no query parameter pagesize; did you mean page_size?"},
		{"/api/v1/admin/keys?teanant=a", "teanant", "did you mean tenant?"},
		{"/api/v1/admin/keys?tenant=%ff", "tenant", "The parameter tenant is not UTF-8"},
		{"/api/v1/models/%ff", "", "The path is not UTF-8"},
		{"/api/v1/admin/keys?page_size.x=1", "page_size.x", "There is no query parameter page_size.x"},
	} {
		response := edge.send(t, "GET", c.path, "")
		equal(t, c.path, response.StatusCode, http.StatusBadRequest)
		field, text := violation(t, response)
		equal(t, "field of "+c.path, field, c.field)
		if !strings.Contains(text, c.text) {
			t.Errorf("%s: got %q, want %q", c.path, text, c.text)
		}
	}
	response := edge.send(t, "PATCH", "/api/v1/admin/tenants/acme?tenant.name=other", `{"tier":"pro"}`)
	equal(t, "what the path says already", response.StatusCode, http.StatusBadRequest)
}

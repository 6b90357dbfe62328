package main

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const ownPage = "https://app.example.com"

func withOrigins(list string) func(*config) {
	return func(c *config) { c.origins, _ = parseOrigins(list) }
}

func TestAPageOfANamedOriginMayCall(t *testing.T) {
	edge := start(t, withOrigins("http://localhost:3000, "+ownPage))
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		io.WriteString(w, "{}")
	}
	for _, path := range []string{"/v1/chat/completions", "/v1/models", "/chat/completions"} {
		preflight := edge.send(t, "OPTIONS", path, "", "Origin", ownPage, "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", "authorization,content-type,X-Stainless-OS, openai-organization,bad header,\u00e9")
		equal(t, "preflight", preflight.StatusCode, http.StatusNoContent)
		equal(t, "origin", preflight.Header.Get("Access-Control-Allow-Origin"), ownPage)
		equal(t, "headers", preflight.Header.Get("Access-Control-Allow-Headers"), "authorization, content-type, x-stainless-os, openai-organization")
		equal(t, "age", preflight.Header.Get("Access-Control-Max-Age"), corsMaxAge)
		equal(t, "credentials", preflight.Header.Get("Access-Control-Allow-Credentials"), "")
		for _, key := range []string{"", "Bearer k"} {
			answer := edge.send(t, "POST", path, `{}`, "Origin", ownPage, "Authorization", key)
			equal(t, "origin, also where the answer is a refusal", answer.Header.Get("Access-Control-Allow-Origin"), ownPage)
			exposed := strings.Split(answer.Header.Get("Access-Control-Expose-Headers"), ", ")
			for _, name := range []string{"retry-after", "x-penstock-degraded", "age", "idempotent-replayed", "location"} {
				equal(t, "exposed: "+name, slices.Contains(exposed, name), true)
			}
			equal(t, "vary", slices.Contains(answer.Header.Values("Vary"), "Origin"), true)
		}
	}
	equal(t, "typed", edge.send(t, "POST", "/api/v1/chat", `{`, "Origin", ownPage).Header.Get("Access-Control-Allow-Origin"), ownPage)
	equal(t, "refused here", edge.send(t, "GET", "/nothing", "", "Origin", ownPage).Header.Get("Access-Control-Allow-Origin"), ownPage)
}

func TestAPageOfAnotherOriginMayNot(t *testing.T) {
	edge := start(t, withOrigins(ownPage))
	edge.gateway.wire = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) }
	for _, origin := range []string{"https://app.example.com.evil.com", "http://app.example.com", ownPage + ":8443", "null", "https://evil.com", ""} {
		for _, path := range []string{"/v1/chat/completions", "/api/v1/chat"} {
			preflight := edge.send(t, "OPTIONS", path, "", "Origin", origin, "Access-Control-Request-Method", "POST")
			equal(t, origin, preflight.Header.Get("Access-Control-Allow-Origin"), "")
			equal(t, origin, preflight.StatusCode, http.StatusMethodNotAllowed)
		}
	}
	for _, path := range []string{"/api/v1/admin/keys", "/api/v1/prompts", "/api/v1/prompts/greet/versions", "/api/v1/knowledge/bases"} {
		for _, origin := range []string{ownPage, strings.ToUpper(ownPage)} {
			preflight := edge.send(t, "OPTIONS", path, "", "Origin", origin, "Access-Control-Request-Method", "GET")
			equal(t, path, preflight.Header.Get("Access-Control-Allow-Origin"), "")
		}
	}
}

func TestWithoutOriginsNothingIsSaidOfThem(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }
	answer := edge.send(t, "POST", "/v1/chat/completions", `{}`, "Origin", ownPage)
	equal(t, "origin", answer.Header.Get("Access-Control-Allow-Origin"), "")
	equal(t, "vary", answer.Header.Get("Vary"), "")
}

func TestOrigins(t *testing.T) {
	for _, good := range []string{"", "*", ownPage, "http://localhost:3000,https://[::1]:8443"} {
		if _, err := parseOrigins(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"*," + ownPage, "app.example.com", ownPage + "/", ownPage + "/path", "https://*.example.com/", "null", "https://a b", "https://user@a.b"} {
		if _, err := parseOrigins(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	every := start(t, withOrigins("*"))
	equal(t, "every origin", every.send(t, "GET", "/nothing", "", "Origin", "null").Header.Get("Access-Control-Allow-Origin"), "null")
}

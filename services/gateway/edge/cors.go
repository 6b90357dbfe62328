package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	headerOrigin = "Origin"
	// corsMaxAge is how long, in seconds, a browser may remember a preflight's answer.
	corsMaxAge = "600"
	// maxCORSHeaders bounds the field names that a preflight may ask for; SDKs in browsers ask for about twenty.
	maxCORSHeaders = 64
)

// exposedHeaders are those that scripts of an allowed origin may read beside what every script may.
var exposedHeaders = strings.Join([]string{
	"retry-after", "x-request-id", "x-should-retry", "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
	"x-ratelimit-reset-requests", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens",
	"x-penstock-cache", "x-penstock-model", "x-penstock-upstream", "x-penstock-cost-usd", "x-penstock-overhead-ms",
	"x-penstock-dropped", "x-penstock-attempts", "x-penstock-degraded", "x-penstock-route", "x-penstock-prompt", "x-penstock-experiment",
	"x-penstock-compressed", "x-penstock-schema", "x-penstock-limit", "x-penstock-budget", "x-penstock-shadow", "retry-after-ms", "age",
	"idempotent-replayed", "x-penstock-original-request-id", "x-penstock-request-id", "x-penstock-queued-reason", "location", "preference-applied",
}, ", ")

// cors lets pages of the origins that the operator names ask for what a key of theirs may have; administration is for no
// page. Without an origin it does nothing. https://fetch.spec.whatwg.org/#http-cors-protocol
type cors struct{ origins []string }

// parseOrigins reads a comma-separated list of origins; "*" alone is every origin.
func parseOrigins(list string) ([]string, error) {
	var origins []string
	for _, text := range strings.Split(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if text == "*" {
			if strings.TrimSpace(list) != "*" {
				return nil, errors.New(`"*" stands for every origin and must stand alone`)
			}
			return []string{text}, nil
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != strings.ToLower(text) {
			return nil, fmt.Errorf("%q is no origin: write it as a browser does, such as https://app.example.com, without a path or a slash", text)
		}
		origins = append(origins, strings.ToLower(text))
	}
	return origins, nil
}

func isAdministration(path string) bool {
	return strings.HasPrefix(path, adminPrefix) || strings.HasPrefix(path, promptsRoot) || strings.HasPrefix(path, knowledgePrefix)
}

// answer adds what a browser needs to the answer's headers, and answers a preflight; true where that was all.
func (c *cors) answer(w http.ResponseWriter, r *http.Request) bool {
	if len(c.origins) == 0 {
		return false
	}
	header := w.Header()
	header.Add("Vary", headerOrigin)
	origin := r.Header.Get(headerOrigin)
	if origin == "" || !c.allows(origin) || isAdministration(r.URL.Path) {
		return false
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", exposedHeaders)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Add("Vary", "Access-Control-Request-Headers")
	header.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
	header.Set("Access-Control-Allow-Headers", askedHeaders(r.Header.Get("Access-Control-Request-Headers")))
	header.Set("Access-Control-Max-Age", corsMaxAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}

func (c *cors) allows(origin string) bool {
	return c.origins[0] == "*" || slices.Contains(c.origins, strings.ToLower(origin))
}

// askedHeaders gives back the field names that a page asked for: what is not among the allowed ones goes no further anyway.
func askedHeaders(list string) string {
	var names []string
	for _, name := range strings.Split(list, ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); isToken(name) && len(names) < maxCORSHeaders {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

func isToken(name string) bool {
	for _, b := range []byte(name) {
		if !('a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '-' || b == '_') {
			return false
		}
	}
	return name != ""
}

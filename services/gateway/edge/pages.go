package main

import (
	"embed"
	"net/http"
	"strings"
)

//go:embed pages
var pageFiles embed.FS

// A page loads nothing from elsewhere, and nobody may frame it.
const pagePolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// summary is the front page for programs.
const summary = `{"name":"penstock","openai":"/v1","typed":"/api/v1","documents":{"openapi":"/openapi.json","browser":"/docs"},"probes":["/healthz","/readyz"]}`

// page is a file for people, and how it is served.
type page struct {
	file, contentType string
}

var pagesByPath = map[string]page{
	"/":               {"index.html", "text/html; charset=utf-8"},
	"/docs":           {"docs.html", "text/html; charset=utf-8"},
	"/docs/docs.js":   {"docs.js", "text/javascript; charset=utf-8"},
	"/docs/style.css": {"style.css", "text/css; charset=utf-8"},
	"/favicon.ico":    {"icon.svg", "image/svg+xml"},
	"/robots.txt":     {"robots.txt", "text/plain; charset=utf-8"},
}

// pages answers people who open the address in a browser: a front page, and a browser of the API. They hold nothing of
// the installation, and need no key.
type pages struct{ served bool }

func newPages(served bool) *pages { return &pages{served} }

// handler returns nil for a path that is no page's.
func (p *pages) handler(r *http.Request) http.HandlerFunc {
	found, ok := pagesByPath[strings.TrimSuffix(r.URL.Path, "/")]
	if r.URL.Path == "/" {
		found, ok = pagesByPath["/"]
	}
	if !p.served || !ok {
		return nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return readOnly
	}
	if r.URL.Path == "/" && !strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/html") {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Vary", "Accept")
			writeJSON(w, http.StatusOK, []byte(summary))
		}
	}
	return found.serve
}

func (p page) serve(w http.ResponseWriter, _ *http.Request) {
	content, err := pageFiles.ReadFile("pages/" + p.file)
	if err != nil {
		panic(err) // it is in the program
	}
	header := w.Header()
	header.Set("Content-Type", p.contentType)
	header.Set("Content-Security-Policy", pagePolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "public, max-age=300")
	header.Set("Vary", "Accept")
	_, _ = w.Write(content) // a caller that has left needs no error
}

// readOnly refuses what is neither GET nor HEAD.
func readOnly(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "GET, HEAD")
	failureMethod.write(w, r)
}

package main

import (
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestPagesForPeople(t *testing.T) {
	edge := start(t)
	for path, want := range map[string]string{
		"/": "text/html; charset=utf-8", "/docs": "text/html; charset=utf-8", "/docs/": "text/html; charset=utf-8",
		"/docs/docs.js": "text/javascript; charset=utf-8", "/docs/style.css": "text/css; charset=utf-8",
		"/favicon.ico": "image/svg+xml", "/robots.txt": "text/plain; charset=utf-8",
	} {
		response := edge.send(t, "GET", path, "", "Accept", "text/html,*/*;q=0.8")
		equal(t, path, response.StatusCode, http.StatusOK)
		equal(t, path, response.Header.Get("Content-Type"), want)
		equal(t, path, response.Header.Get("Content-Security-Policy"), pagePolicy)
		if readAll(t, response) == "" {
			t.Errorf("%s is empty", path)
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
			refused := edge.send(t, method, path, "")
			equal(t, method+" "+path, refused.StatusCode, http.StatusMethodNotAllowed)
			equal(t, method+" "+path, refused.Header.Get("Allow"), "GET, HEAD")
		}
	}
	equal(t, "for programs", decode(t, readAll(t, edge.send(t, "GET", "/", "")))["openai"], any("/v1"))
}

func TestPagesCanBeSwitchedOff(t *testing.T) {
	edge := start(t, func(c *config) { c.servePages = false })
	for path := range pagesByPath {
		equal(t, path, edge.send(t, "GET", path, "").StatusCode, http.StatusNotFound)
	}
	equal(t, "the document", edge.send(t, "GET", "/openapi.json", "").StatusCode, http.StatusOK)
}

// A page that loads anything from elsewhere, or holds a script of its own, would be stopped by its own policy.
func TestPagesLoadNothingFromElsewhere(t *testing.T) {
	loaded := regexp.MustCompile(`(?:src|href)="([^"]*)"`)
	err := fs.WalkDir(pageFiles, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := pageFiles.ReadFile(path)
		must(t, err)
		for _, found := range loaded.FindAllStringSubmatch(string(content), -1) {
			_, page := pagesByPath[found[1]]
			if !page && found[1] != "/openapi.json" && found[1] != "/healthz" && found[1] != "/readyz" {
				t.Errorf("%s loads %s", path, found[1])
			}
		}
		for _, own := range []string{"style=", "onclick=", "<style", "innerHTML", "localStorage"} {
			if strings.Contains(string(content), own) {
				t.Errorf("%s has %s", path, own)
			}
		}
		return nil
	})
	must(t, err)
}

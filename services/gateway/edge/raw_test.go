package main

import (
	"net/http"
	"testing"
)

func TestWhatPassesAsItIsKeepsItsHeadersButForThoseOfTheWay(t *testing.T) {
	in := http.Header{
		"Range": {"bytes=0-1"}, "X-Odd": {"1", "2"}, "Authorization": {"Bearer k"}, "X-Penstock-Feature": {"f"},
		"X-Penstock-Client-Address": {"1.2.3.4"}, "X-Penstock-Edge-Token": {"t"}, "X-Forwarded-For": {"a"}, "Cookie": {"c"},
		"Grpc-Timeout": {"1S"}, "X-Tenant-Id": {"t"}, "Forwarded": {"for=a"}, "Sec-Fetch-Mode": {"cors"},
	}
	out := rawHeaders(in)
	equal(t, "headers", len(out), 4)
	for _, name := range []string{"Range", "X-Odd", "Authorization", "X-Penstock-Feature"} {
		equal(t, name, len(out[name]) > 0, true)
	}
}

func TestPathsThatPassAsTheyAreHaveOneName(t *testing.T) {
	for path, name := range map[string]string{
		"/passthrough/openai/files/a": "/passthrough/*", "/v1/rerank": "/v1/rerank", "/v2/rerank": "/v2/rerank",
		"/v1/moderations": "/v1/moderations",
	} {
		equal(t, path, wireRoute(path), name)
		equal(t, path, isWire(path), true)
	}
	equal(t, "root", isWire("/passthrough"), false)
}

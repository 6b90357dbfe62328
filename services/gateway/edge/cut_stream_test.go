package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func dyingAfter(contentType string, parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(200)
		for _, part := range parts {
			io.WriteString(w, part)
			w.(http.Flusher).Flush()
		}
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

const cutEvent = `data: {"error":{"code":"service_unavailable","message":"The gateway went away before the end of its answer: this is not all of it.","param":null,"type":"server_error"}}` + "\n\n"

func TestAStreamWhoseGatewayDiesEndsWithAnErrorEvent(t *testing.T) {
	edge := start(t)
	const events = "text/event-stream; charset=utf-8"
	for name, c := range map[string]struct {
		kind  string
		parts []string
		told  bool
	}{
		"between two events":     {events, []string{"data: one\n\n", "data: two\n\n"}, true},
		"behind a comment":       {events, []string{"data: one\n\n", ": alive\n\n"}, true},
		"before any event":       {events, nil, true},
		"within an event":        {events, []string{"data: one\n\n", "data: tw"}, false},
		"at the end of its line": {events, []string{"data: one\n\n", "data: two\n"}, false},
		"no stream of events":    {"application/json", []string{"data: one\n\n"}, false},
	} {
		edge.gateway.wire = dyingAfter(c.kind, c.parts...)
		for _, plain := range []bool{true, false} {
			var body io.Reader = strings.NewReader("{}")
			if !plain {
				// Its length is not known, so it is not a plain request.
				body = io.MultiReader(body)
			}
			request, err := http.NewRequest("POST", edge.base+"/v1/chat/completions", body)
			must(t, err)
			response, err := edge.client.Do(request)
			must(t, err)
			text, err := io.ReadAll(response.Body)
			response.Body.Close()
			want := strings.Join(c.parts, "")
			if c.told {
				want += cutEvent
			}
			equal(t, name, string(text), want)
			equal(t, name+": ends", err == nil, c.told)
		}
	}
}

func TestAnthropicsStreamsEndWithTheirOwnError(t *testing.T) {
	event := string(lastEvent("/v1/messages"))
	equal(t, "begins", strings.HasPrefix(event, "event: error\ndata: {\"error\":"), true)
	equal(t, "ends", strings.HasSuffix(event, "\"type\":\"error\"}\n\n"), true)
}

func TestResponsesEndWithAnErrorOfTheirOwn(t *testing.T) {
	for _, path := range []string{"/v1/responses", "/openai/v1/responses/", "/responses", "/v1/responses/resp_1"} {
		event := string(lastEvent(path))
		equal(t, "begins", strings.HasPrefix(event, "event: error\ndata: {\"code\":\"service_unavailable\",\"error\":{"), true)
		equal(t, "ends", strings.HasSuffix(event, "\"type\":\"error\"}\n\n"), true)
	}
}

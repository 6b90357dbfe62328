package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gatewayv1 "penstock.dev/proto/penstock/gateway/v1"
)

func TestBodiesOverTheLimitAreRefusedInTheSurfacesShape(t *testing.T) {
	edge := start(t, func(c *config) { c.maxBodyBytes = 1000 })
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }
	edge.gateway.chat = func(context.Context, *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		t.Error("the call went through")
		return nil, errors.New("called")
	}
	long := `{"input":{"model":"` + strings.Repeat("a", 1000) + `"}}`
	for path, want := range map[string]string{
		"/v1/chat/completions": "request_too_large", "/v1/messages": "request_too_large", "/api/v1/chat": `"INVALID_REQUEST"`,
	} {
		for _, body := range []io.Reader{strings.NewReader(long), io.MultiReader(strings.NewReader(long))} {
			// The second reader has no length that the client could announce, so it is sent in chunks.
			request, _ := http.NewRequest("POST", edge.base+path, body)
			response, err := edge.client.Do(request)
			must(t, err)
			text := readAll(t, response)
			response.Body.Close()
			equal(t, path, response.StatusCode, http.StatusRequestEntityTooLarge)
			equal(t, "connection closes", response.Close, true)
			equal(t, text, strings.Contains(text, want), true)
		}
	}
	equal(t, "at the limit", edge.send(t, "POST", "/v1/embeddings", strings.Repeat("a", 1000)).StatusCode, 200)
}

func TestAnUploadMayBeLargerThanOtherBodies(t *testing.T) {
	edge := start(t, func(c *config) { c.maxBodyBytes, c.maxUploadBytes = 1000, 5000 })
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}
	for _, path := range []string{"/v1/files", "/v1/files/", "/files", "/v1/messages/batches"} {
		equal(t, path, readAll(t, edge.send(t, "POST", path, strings.Repeat("a", 5000))), "5000")
		equal(t, path, edge.send(t, "POST", path, strings.Repeat("a", 5001)).StatusCode, 413)
	}
	for _, path := range []string{"/v1/vector_stores/files/files", "/api/v1/files", "/v1/files/a", "/v1/messages/batches/a"} {
		equal(t, path, edge.send(t, "POST", path, strings.Repeat("a", 1001)).StatusCode, 413)
	}
	equal(t, "another method", edge.send(t, "PUT", "/v1/files", strings.Repeat("a", 1001)).StatusCode, 413)
}

func TestALargeBodyPasses(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		// Whole first: over HTTP/1 net/http does not read on once it has begun to answer.
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	}
	big := strings.Repeat("0123456789abcdef", 1<<18)
	equal(t, "echo", readAll(t, edge.send(t, "POST", "/v1/embeddings", big)) == big, true)
	edge.gateway.chat = func(_ context.Context, r *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		return &gatewayv1.ChatResponse{Model: r.GetInput().GetModel()}, nil
	}
	got := decode(t, readAll(t, edge.send(t, "POST", "/api/v1/chat", `{"input":{"model":"`+big+`"}}`)))
	equal(t, "typed echo", got["model"] == any(big), true)
}

func TestBodiesCompressedInAnotherWayAreRefused(t *testing.T) {
	edge := start(t)
	for _, path := range []string{"/v1/embeddings", "/api/v1/chat"} {
		equal(t, path, edge.send(t, "POST", path, "x", "Content-Encoding", "br").StatusCode, http.StatusUnsupportedMediaType)
	}
}

func TestASlowHeadIsCutOff(t *testing.T) {
	edge := start(t, func(c *config) { c.headerTimeout = 100 * time.Millisecond })
	_, answer := edge.dial(t, "GET /v1/models HTTP/1.1\r\nHost: edge\r\nX-A: ")
	// net/http closes without a word; a 408 would be as good.
	if _, err := io.ReadAll(answer); err != nil {
		t.Errorf("the connection stayed open: %v", err)
	}
}

func TestASlowBodyIsCutOff(t *testing.T) {
	edge := start(t, func(c *config) { c.bodyTimeout = 100 * time.Millisecond })
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }
	for _, path := range []string{"/v1/chat/completions", "/api/v1/chat"} {
		_, answer := edge.dial(t, post(path, "Content-Length: 1000")+`{"input"`)
		response, err := http.ReadResponse(answer, nil)
		must(t, err)
		equal(t, path, response.StatusCode, http.StatusRequestTimeout)
	}
	// Where nobody reads the body, the connection must not be kept for it either.
	for _, path := range []string{"/nowhere", "/healthz"} {
		_, answer := edge.dial(t, post(path, "Content-Length: 1000")+`{`)
		if _, err := io.ReadAll(answer); err != nil {
			t.Errorf("%s: the connection stayed open: %v", path, err)
		}
	}
}

func TestASteadyBodyMayTakeLonger(t *testing.T) {
	edge := start(t, func(c *config) { c.bodyTimeout, c.bodyMinRate = 2*time.Second, 10 })
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }
	reader, writer := io.Pipe()
	go func() {
		// 40 bytes buy four seconds more than the two that any body has.
		io.WriteString(writer, strings.Repeat("0123456789", 4))
		time.Sleep(2500 * time.Millisecond)
		io.WriteString(writer, "0123456789")
		writer.Close()
	}()
	request, _ := http.NewRequest("POST", edge.base+"/v1/embeddings", reader)
	response, err := edge.client.Do(request)
	must(t, err)
	defer response.Body.Close()
	equal(t, "echo", len(readAll(t, response)), 50)
}

func TestTheBodysDeadlineDoesNotEndTheAnswer(t *testing.T) {
	edge := start(t, func(c *config) { c.bodyTimeout = 2 * time.Second })
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
			t.Error("the request was cancelled")
		case <-time.After(2500 * time.Millisecond):
			io.WriteString(w, "done")
		}
	}
	equal(t, "answer", readAll(t, edge.send(t, "POST", "/v1/embeddings", "{}")), "done")
}

func TestALargeHeadIsRefused(t *testing.T) {
	edge := start(t)
	response := edge.send(t, "GET", "/v1/models", "", "X-Long", strings.Repeat("a", 64<<10))
	equal(t, "status", response.StatusCode, http.StatusRequestHeaderFieldsTooLarge)
	edge.gateway.wire = func(http.ResponseWriter, *http.Request) {}
	edge.gateway.chat = func(context.Context, *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		return &gatewayv1.ChatResponse{}, nil
	}
	for _, path := range []string{"/v1/chat/completions", "/api/v1/chat"} {
		for name, want := range map[string]int{"X-Api-Key": 431, "X-Dropped": 200} {
			got := edge.send(t, "POST", path, `{}`, name, strings.Repeat("a", 16<<10))
			equal(t, path+" "+name, got.StatusCode, want)
		}
		equal(t, path, edge.send(t, "POST", path, `{}`, "X-Api-Key", strings.Repeat("a", 14<<10)).StatusCode, 200)
	}
}

func TestAReaderThatDoesNotReadIsCutOff(t *testing.T) {
	edge := start(t, func(c *config) { c.writeTimeout = 200 * time.Millisecond })
	ended := make(chan struct{})
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for r.Context().Err() == nil {
			w.Write(make([]byte, 1<<16))
		}
	}
	edge.dial(t, "GET /v1/models HTTP/1.1\r\nHost: edge\r\n\r\n")
	soon(t, "the end of the upstream request", ended, patience)
}

func TestAmbiguousRequestsAreRefused(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = func(_ http.ResponseWriter, r *http.Request) { t.Errorf("forwarded: %v", r) }
	for name, text := range map[string]string{
		"two lengths":       post("/v1/embeddings", "Content-Length: 3", "Content-Length: 4") + "abcd",
		"odd coding":        post("/v1/embeddings", "Transfer-Encoding: xchunked") + "0\r\n\r\n",
		"space in the name": post("/v1/embeddings", "Content-Length : 1") + "a",
		"no host":           "GET /v1/models HTTP/1.1\r\n\r\n",
		"two hosts":         "GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	} {
		_, answer := edge.dial(t, text)
		response, err := http.ReadResponse(answer, nil)
		must(t, err)
		if response.StatusCode < 400 || response.StatusCode > 501 {
			t.Errorf("%s: %d", name, response.StatusCode)
		}
	}
}

func TestPathsThatAnotherHopWouldReadDifferently(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = func(_ http.ResponseWriter, r *http.Request) { t.Errorf("forwarded: %s", r.URL) }
	for _, path := range []string{
		"/v1/../metrics", "/v1//../metrics", "/v1/%2e%2e/metrics", "/v1//models/..%2f..%2fmetrics", "/v1/models/..%2f..%2fmetrics",
		"/api/v1/../v1/models", "/api/v1//../v1/models", "/v1", "/metrics", "/V1/models",
	} {
		_, answer := edge.dial(t, "GET "+path+" HTTP/1.1\r\nHost: edge\r\n\r\n")
		response, err := http.ReadResponse(answer, nil)
		must(t, err)
		equal(t, path, response.StatusCode, 404)
		equal(t, path, strings.Contains(readAll(t, response), "/openapi.json"), true)
	}
}

func TestABodyThatIsNotFramedAsItSaysIsRefusedAndNothingBehindItIsARequest(t *testing.T) {
	edge := start(t)
	asked := make(chan string, 8)
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.Path
		io.Copy(io.Discard, r.Body)
	}
	for _, body := range []string{"zz\r\n", "5\r\nabcdefgh\r\n", "5 ;\x00\r\nabcde\r\n"} {
		_, reader := edge.dial(t, post("/v1/chat/completions", "Transfer-Encoding: chunked")+body+
			"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
		answers, err := io.ReadAll(reader)
		must(t, err)
		equal(t, "answers", strings.Count(string(answers), "HTTP/1.1 "), 1)
		equal(t, string(answers), strings.HasPrefix(string(answers), "HTTP/1.1 400 "), true)
		equal(t, string(answers), strings.Contains(string(answers), "Retry-After"), false)
	}
	close(asked)
	for request := range asked {
		equal(t, "behind a broken body", request != "GET /v1/models", true)
	}
}

// An answer that comes before the body's end says where the connection ends: what is left of the body is no request.
func TestAnAnswerBeforeTheBodysEndEndsTheConnection(t *testing.T) {
	edge := start(t)
	var asked atomic.Int64
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		// The gateway goes on reading, so that its answer is not lost to a connection that is reset.
		both := http.NewResponseController(w)
		must(t, both.EnableFullDuplex())
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusUnauthorized)
		must(t, both.Flush())
		_, _ = io.Copy(io.Discard, r.Body)
	}
	begun := strings.Repeat("x", 2<<20)
	for name, sent := range map[string]string{
		"length":      post("/v1/a", "Content-Length: 3000000") + "{",
		"chunks":      post("/v1/a", "Transfer-Encoding: chunked") + "300000\r\n" + begun,
		"expectation": post("/v1/a", "Content-Length: 3000000", "Expect: 100-continue"),
	} {
		asked.Store(0)
		conn, in := edge.dial(t, sent)
		response, err := http.ReadResponse(in, nil)
		if err == nil && response.StatusCode == http.StatusContinue {
			response, err = http.ReadResponse(in, nil)
		}
		equal(t, name, err, nil)
		equal(t, name, response.StatusCode, http.StatusUnauthorized)
		equal(t, name+" closes", response.Close, true)
		_, _ = io.WriteString(conn, "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
		rest, _ := io.ReadAll(in)
		equal(t, name, strings.Contains(string(rest), "HTTP/1.1"), false)
		equal(t, name+" asked", asked.Load(), int64(1))
	}
}

func TestABodyThatWasReadKeepsTheConnection(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = echo
	big := strings.Repeat("x", 2<<20)
	_, in := edge.dial(t, post("/v1/a", "Content-Length: 2097152")+big+"GET /v1/b HTTP/1.1\r\nHost: edge\r\n\r\n")
	_, body := answerTo(t, in)
	equal(t, "first", body, "/v1/a "+big)
	_, body = answerTo(t, in)
	equal(t, "second", body, "/v1/b ")
}

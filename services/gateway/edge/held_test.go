package main

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

func heldOf(t *testing.T, h *holding, length int64, text string) *heldBody {
	t.Helper()
	request, err := http.NewRequest("POST", "http://gateway/", strings.NewReader(text))
	must(t, err)
	request.ContentLength = length
	body, err := h.take(request)
	must(t, err)
	return body
}

func attached(t *testing.T, body *heldBody) string {
	t.Helper()
	out, err := http.NewRequest("POST", "http://gateway/", nil)
	must(t, err)
	body.attach(out)
	text, err := io.ReadAll(out.Body)
	must(t, err)
	return string(text)
}

func TestAHeldBodyIsGivenToEachGatewayFromItsBeginning(t *testing.T) {
	h := &holding{maxBytes: 4 << 20}
	for _, size := range []int{1, smallBodyBytes, smallBodyBytes + 1, maxReplayBytes} {
		text := strings.Repeat("a", size-1) + "b"
		for _, announced := range []int64{int64(size), -1} {
			body := heldOf(t, h, announced, text)
			equal(t, "whole", body.whole(), true)
			equal(t, "first", attached(t, body) == text, true)
			equal(t, "second", attached(t, body) == text, true)
			body.release()
			equal(t, "memory", h.bytes.Load(), int64(0))
		}
	}
}

func TestALargerBodyIsLeftAtItsSource(t *testing.T) {
	h := &holding{maxBytes: 4 << 20}
	text := strings.Repeat("a", maxReplayBytes) + "b"
	for _, announced := range []int64{int64(len(text)), -1} {
		body := heldOf(t, h, announced, text)
		equal(t, "whole", body.whole(), false)
		equal(t, "text", attached(t, body) == text, true)
		body.release()
		equal(t, "memory", h.bytes.Load(), int64(0))
	}
}

func TestALengthAloneTakesNoMemory(t *testing.T) {
	body := &heldBody{}
	_ = body.fill(io.MultiReader(strings.NewReader("a"), failing{}), maxReplayBytes)
	if cap(body.data) > smallBodyBytes {
		t.Errorf("%d bytes for one that came", cap(body.data))
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestBodiesBeyondTheMemoryForThemGoOnAsTheyCome(t *testing.T) {
	var refused, other atomic.Int64
	edge := several(t, refusing(&refused), refusing(&other))
	balancer := edge.plain.gateways
	balancer.holding.maxBytes = 100
	equal(t, "status", edge.send(t, "POST", "/v1/embeddings", strings.Repeat("a", 100)).StatusCode, 503)
	equal(t, "there was room, so both were asked", refused.Load()+other.Load(), int64(2))
	equal(t, "status", edge.send(t, "POST", "/v1/embeddings", strings.Repeat("a", 101)).StatusCode, 503)
	equal(t, "there was none, so one was asked", refused.Load()+other.Load(), int64(3))
	equal(t, "memory", balancer.holding.bytes.Load(), int64(0))
}

// An answer that comes while the caller still sends is not kept back until it has sent all.
func TestAnAnswerDoesNotWaitForALargeBody(t *testing.T) {
	answer, text := answerOf(10)
	edge := start(t, func(c *config) { c.gatewayHTTP = instantGateway(t, beforeTheBody, answer) })
	conn, in := edge.dial(t, post("/v1/embeddings", "Content-Length: 2000000"))
	_, err := io.WriteString(conn, strings.Repeat("a", 1000))
	must(t, err)
	response, err := http.ReadResponse(bufio.NewReader(in), nil)
	must(t, err)
	equal(t, "answer", readAll(t, response), text)
}

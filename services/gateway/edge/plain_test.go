package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// plainCallers is how many connections are served as plain ones.
func (r *running) plainCallers() int {
	r.plain.mutex.Lock()
	defer r.plain.mutex.Unlock()
	return len(r.plain.callers)
}

// eventually returns when the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func answerTo(t *testing.T, in *bufio.Reader) (int, string) {
	t.Helper()
	response, err := http.ReadResponse(in, nil)
	must(t, err)
	return response.StatusCode, readAll(t, response)
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s", r.URL.Path, body)
}

const sdkHead = "Accept: application/json\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nContent-Type: application/json\r\n" +
	"Authorization: Bearer psk_x\r\nUser-Agent: OpenAI/Python 2.0\r\nX-Stainless-Lang: python\r\nX-Stainless-Raw-Response: true\r\n"

func TestWhatSDKsSendIsPlain(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = echo
	conn, in := edge.dial(t, post("/v1/chat/completions", sdkHead+"Content-Length: 2")+"{}")
	status, body := answerTo(t, in)
	equal(t, "status", status, 200)
	equal(t, "body", body, "/v1/chat/completions {}")
	equal(t, "plain", edge.plainCallers(), 1)
	conn.Close()
	eventually(t, "it is forgotten", func() bool { return edge.plainCallers() == 0 })
}

func TestRequestsThatCameTogetherAreAnsweredInTurn(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = echo
	_, in := edge.dial(t, post("/v1/a", "Content-Length: 1")+"1"+post("/v1/b", "Content-Length: 5000")+strings.Repeat("2", 5000)+
		"GET /v1/c HTTP/1.1\r\nHost: edge\r\n\r\n"+post("/v1/d", "Transfer-Encoding: chunked")+"1\r\n4\r\n0\r\n\r\n"+post("/v1/e", "Content-Length: 1")+"5")
	for _, want := range []string{"/v1/a 1", "/v1/b " + strings.Repeat("2", 5000), "/v1/c ", "/v1/d 4", "/v1/e 5"} {
		_, body := answerTo(t, in)
		equal(t, "body", body, want)
	}
	equal(t, "plain", edge.plainCallers(), 0)
}

func TestARequestThatComesInPieces(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = echo
	text := post("/v1/a", "X-Stainless-Os: "+strings.Repeat("x", 5000), "Content-Length: 3") + "abc"
	conn, in := edge.dial(t, text[:1])
	for _, cut := range []string{text[1:30], text[30:5010], text[5010 : len(text)-3], text[len(text)-3 : len(text)-1], text[len(text)-1:]} {
		_, err := io.WriteString(conn, cut)
		must(t, err)
		time.Sleep(5 * time.Millisecond) // so that pieces come as such; all is well if they do not
	}
	_, body := answerTo(t, in)
	equal(t, "body", body, "/v1/a abc")
	equal(t, "plain", edge.plainCallers(), 1)
}

func TestALineEndBehindABodyIsForgiven(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = echo
	_, in := edge.dial(t, post("/v1/a", "Content-Length: 1")+"1\r\n"+post("/v1/b", "Content-Length: 1")+"2")
	for _, want := range []string{"/v1/a 1", "/v1/b 2"} {
		_, body := answerTo(t, in)
		equal(t, "body", body, want)
	}
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	edge := start(t, func(c *config) { c.idleTimeout, c.headerTimeout = 200*time.Millisecond, time.Second })
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(400 * time.Millisecond) // longer than an idle connection may last
		echo(w, r)
	}
	for name, first := range map[string]string{"after an answer": post("/v1/a", "Content-Length: 0"), "before anything": ""} {
		_, in := edge.dial(t, first)
		if first != "" {
			status, _ := answerTo(t, in)
			equal(t, name, status, 200)
		}
		if _, err := in.ReadByte(); err != io.EOF {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, in := edge.dial(t, post("/v1/a", "Content-Length: 0")+"GET /v1/b HTT")
	status, _ := answerTo(t, in)
	equal(t, "first", status, 200)
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("a head that does not end: %v", err)
	}
}

func TestABodyThatDoesNotComeIsTold(t *testing.T) {
	edge := start(t, func(c *config) { c.bodyTimeout = 100 * time.Millisecond })
	conn, in := edge.dial(t, post("/v1/messages", "Content-Length: 1000")+"{")
	response, err := http.ReadResponse(in, nil)
	must(t, err)
	equal(t, "status", response.StatusCode, http.StatusRequestTimeout)
	equal(t, "type", strings.Contains(readAll(t, response), "timeout_error"), true)
	equal(t, "id", len(response.Header.Get("X-Request-Id")), 32)
	equal(t, "closes", response.Close, true)
	// What it sends now does not reset the connection before it has read the answer.
	_, err = io.WriteString(conn, strings.Repeat("a", 10_000))
	must(t, err)
	eventually(t, "nothing is in flight", func() bool { return edge.inFlight.count() == 0 })
	equal(t, "memory", edge.plain.gateways.holding.bytes.Load(), 0)
}

func TestDrainClosesIdlePlainConnections(t *testing.T) {
	edge := start(t, func(c *config) { c.drainNotice = 0 })
	entered, finish := make(chan struct{}), make(chan struct{})
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/slow" {
			close(entered)
			<-finish
		}
		echo(w, r)
	}
	_, idle := edge.dial(t, post("/v1/a", "Content-Length: 0"))
	answerTo(t, idle)
	_, busy := edge.dial(t, post("/v1/slow", "Content-Length: 0"))
	soon(t, "the request", entered, patience)
	drained := make(chan int64, 1)
	go func() { drained <- edge.drain(context.Background()) }()
	if _, err := idle.ReadByte(); err != io.EOF {
		t.Error(err)
	}
	close(finish)
	response, err := http.ReadResponse(busy, nil)
	must(t, err)
	equal(t, "answer", readAll(t, response), "/v1/slow ")
	equal(t, "connection closes", response.Close, true)
	equal(t, "cut", soon(t, "the end", drained, patience), 0)
}

func TestPlainRequestsOverTLS(t *testing.T) {
	certFile, keyFile, pool := selfSigned(t)
	edge := start(t, func(c *config) { c.tlsCert, c.tlsKey = certFile, keyFile })
	edge.gateway.wire = echo
	conn, err := tls.Dial("tcp", edge.address(), &tls.Config{RootCAs: pool, NextProtos: []string{"http/1.1"}})
	must(t, err)
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, path := range []string{"/v1/a", "/v1/b"} {
		_, err = io.WriteString(conn, post(path, "Content-Length: 20000")+strings.Repeat("x", 20000))
		must(t, err)
		_, body := answerTo(t, in)
		equal(t, "body", body, path+" "+strings.Repeat("x", 20000))
	}
	equal(t, "plain", edge.plainCallers(), 1)
	_, err = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: edge\r\n\r\n")
	must(t, err)
	_, body := answerTo(t, in)
	equal(t, "handed over", body, "ok")
	equal(t, "plain", edge.plainCallers(), 0)

	_, without := edge.dial(t, "GET /v1/models HTTP/1.1\r\nHost: edge\r\n\r\n")
	status, text := answerTo(t, without)
	equal(t, "without TLS", status, 400)
	equal(t, "text", strings.Contains(text, "HTTPS server"), true)
}

func TestTheMemoryForBodiesBoundsPlainOnesToo(t *testing.T) {
	edge := start(t, func(c *config) { c.maxHeldBytes = 100 })
	edge.gateway.wire = echo
	_, in := edge.dial(t, post("/v1/a", "Content-Length: 100")+strings.Repeat("a", 100))
	answerTo(t, in)
	equal(t, "plain", edge.plainCallers(), 1)
	_, in = edge.dial(t, post("/v1/b", "Content-Length: 101")+strings.Repeat("b", 101))
	_, body := answerTo(t, in)
	equal(t, "body", body, "/v1/b "+strings.Repeat("b", 101))
	equal(t, "plain", edge.plainCallers(), 1)
	eventually(t, "nothing is in flight", func() bool { return edge.inFlight.count() == 0 })
	equal(t, "memory", edge.plain.gateways.holding.bytes.Load(), 0)
}

func TestALengthAloneTakesNoRoom(t *testing.T) {
	for have, most := range map[int]int{1: smallBodyBytes + 1, 100_000: 200_000} {
		buffer := roomFor(make([]byte, have), maxReplayBytes)
		if cap(buffer) > most || cap(buffer) == have {
			t.Errorf("%d bytes for %d", cap(buffer), have)
		}
	}
	equal(t, "no more than is missing", cap(roomFor(make([]byte, 100_000), 5)), 100_005)
}

func TestAPanicEndsOneConnectionOnly(t *testing.T) {
	edge := newUnserved(t)
	edge.plain.gateways.targets = nil // so that no head can be written
	go edge.serve()
	for range 3 {
		_, in := edge.dial(t, post("/v1/a", "Content-Length: 1")+"a")
		if _, err := in.ReadByte(); err != io.EOF {
			t.Error(err)
		}
	}
	equal(t, "alive", edge.send(t, "GET", "/healthz", "").StatusCode, 200)
	equal(t, "in flight", edge.inFlight.count(), 0)
	equal(t, "memory", edge.plain.gateways.holding.bytes.Load(), 0)
}

// silent accepts connections and says nothing.
func silent(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	return listener
}

func TestACallerThatLeavesEndsTheHandshakeMadeForIt(t *testing.T) {
	gateway := silent(t)
	edge := start(t, func(c *config) { c.gatewayHTTP, c.connectTimeout = "https://"+gateway.Addr().String(), time.Minute })
	conn, _ := edge.dial(t, post("/v1/a", "Content-Length: 0"))
	attempt, err := gateway.Accept()
	must(t, err)
	must(t, attempt.SetDeadline(time.Now().Add(patience)))
	conn.Close()
	if _, err := io.Copy(io.Discard, attempt); err != nil {
		t.Errorf("the handshake goes on: %v", err)
	}
	eventually(t, "nothing is in flight", func() bool { return edge.inFlight.count() == 0 })
}

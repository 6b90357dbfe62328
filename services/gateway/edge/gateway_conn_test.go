package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// scripted is a gateway that says what a test has written, connection by connection.
func scripted(t *testing.T, serve func(n int64, conn net.Conn, in *bufio.Reader)) (target string, connections *atomic.Int64) {
	t.Helper()
	listener := silent(t)
	connections = new(atomic.Int64)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n := connections.Add(1)
			go func() {
				defer conn.Close()
				serve(n, conn, bufio.NewReader(conn))
			}()
		}
	}()
	return "http://" + listener.Addr().String(), connections
}

// take reads one request.
func take(in *bufio.Reader) bool {
	request, err := http.ReadRequest(in)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, request.Body)
	return err == nil
}

func TestAnswersOfEveryForm(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct{ answer, want string }{
		"until the end":     {"HTTP/1.1 200 OK\r\n\r\nhello", "200 hello"},
		"HTTP/1.0":          {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 hello"},
		"no reason":         {"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", "200 hello"},
		"interim":           {"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 ok"},
		"nothing":           {"HTTP/1.1 204 No Content\r\n\r\n", "204 "},
		"not modified":      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "304 "},
		"empty":             {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 "},
		"empty chunks":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "200 "},
		"long":              {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long, "200 " + long},
		"a long chunk":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" + long + "\r\n0\r\n\r\n", "200 " + long},
		"a long head":       {"HTTP/1.1 200 OK\r\nX-A: " + long[:20_000] + "\r\nContent-Length: 2\r\n\r\nok", "200 ok"},
		"too long a head":   {"HTTP/1.1 200 OK\r\nX-A: " + long + "\r\n\r\n", "503"},
		"no HTTP":           {"SSH-2.0\r\n\r\n", "503"},
		"another protocol":  {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "503"},
		"two lengths":       {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk", "503"},
		"length and chunks": {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "503"},
		"half a head":       {"HTTP/1.1 200 OK\r\nX-", "503"},
		"silence":           {"", "503"},
		"half a body":       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "cut"},
		"half a chunk":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "cut"},
		"no chunk":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello", "cut"},
	} {
		target, _ := scripted(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
			if take(in) {
				io.WriteString(conn, c.answer)
			}
		})
		for _, whole := range []bool{false, true} {
			if whole && c.want == "503" {
				continue // net/http makes something of some of these
			}
			edge := newUnserved(t, func(cfg *config) { cfg.gatewayHTTP = target })
			edge.serveOnly(whole)
			got := "cut"
			if response, err := edge.client.Post(edge.base+"/v1/a", "application/json", strings.NewReader("{}")); err == nil {
				if body, err := io.ReadAll(response.Body); err == nil && response.StatusCode != 503 {
					got = response.Status[:3] + " " + string(body)
				} else if err == nil {
					got = "503"
				}
				response.Body.Close()
				equal(t, name+": of the connection", response.Header.Get("Connection")+response.Header.Get("Link"), "")
				equal(t, name+": dated", response.Header.Get("Date") != "", true)
			}
			if got != c.want {
				t.Errorf("%s, by the whole server %v: got %.60q, want %.60q", name, whole, got, c.want)
			}
			backend := (*edge.plain.gateways.backends.Load())[0]
			eventually(t, name+": none outstanding", func() bool { return backend.outstanding.Load() == 0 })
		}
	}
}

func TestAGatewaysConnectionIsUsedAgain(t *testing.T) {
	target, connections := scripted(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		for take(in) {
			io.WriteString(conn, wholeAnswer)
		}
	})
	edge := start(t, func(c *config) { c.gatewayHTTP = target })
	for range 10 {
		equal(t, "answer", readAll(t, edge.send(t, "POST", "/v1/a", "{}")), wholeText)
	}
	equal(t, "connections", connections.Load(), 1)
}

func TestAConnectionThatTheGatewayHasClosedIsNotUsed(t *testing.T) {
	closed := make(chan struct{}, 100)
	target, connections := scripted(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		take(in)
		io.WriteString(conn, wholeAnswer)
		conn.Close()
		closed <- struct{}{}
	})
	edge := start(t, func(c *config) { c.gatewayHTTP = target })
	for range 10 {
		equal(t, "answer", readAll(t, edge.send(t, "POST", "/v1/a", "{}")), wholeText)
		soon(t, "the end", closed, patience)
	}
	equal(t, "connections", connections.Load(), 10)
}

// It may have been done: only the caller can know whether it may be done again.
func TestAPostThatMayHaveBeenDoneIsNotSentAgain(t *testing.T) {
	var asked atomic.Int64
	target, _ := scripted(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		take(in)
		asked.Add(1)
		io.WriteString(conn, wholeAnswer)
		if take(in) {
			asked.Add(1)
		}
	})
	edge := start(t, func(c *config) { c.gatewayHTTP = target })
	ask := func(method string) int {
		response := edge.send(t, method, "/v1/a", "")
		readAll(t, response)
		return response.StatusCode
	}
	equal(t, "first", ask("POST"), 200)
	equal(t, "on a connection that was kept", ask("POST"), 503)
	equal(t, "asked", asked.Load(), int64(2))
	equal(t, "first", ask("GET"), 200)
	equal(t, "what changes nothing", ask("GET"), 200)
	equal(t, "asked", asked.Load(), int64(5))
}

func TestAnEarlyRefusalOfALargeBodyReachesTheCaller(t *testing.T) {
	target, _ := scripted(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		if _, err := http.ReadRequest(in); err == nil {
			io.WriteString(conn, "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
			conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, in)
		}
	})
	edge := start(t, func(c *config) { c.gatewayHTTP = target })
	for range 20 {
		response := edge.send(t, "POST", "/v1/a", strings.Repeat("a", maxReplayBytes))
		equal(t, "status", response.StatusCode, 401)
		equal(t, "body", readAll(t, response), "no")
	}
	eventually(t, "the memory is free", func() bool { return edge.plain.gateways.holding.bytes.Load() == 0 })
}

func TestIdleConnectionsToAGatewayAreClosedInTime(t *testing.T) {
	ended := make(chan error, 1)
	target, _ := scripted(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		take(in)
		io.WriteString(conn, wholeAnswer)
		_, err := in.ReadByte()
		ended <- err
	})
	edge := start(t, func(c *config) { c.gatewayHTTP, c.gatewayIdleTimeout = target, 50*time.Millisecond })
	equal(t, "answer", readAll(t, edge.send(t, "POST", "/v1/a", "{}")), wholeText)
	if err := soon(t, "the end", ended, patience); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	pool := &(*edge.plain.gateways.backends.Load())[0].pool
	eventually(t, "the pool is empty", func() bool {
		pool.mutex.Lock()
		defer pool.mutex.Unlock()
		return len(pool.idle) == 0 && !pool.reaping
	})
}

func TestWhoWaitsForAConnectionTakesOneThatIsGivenBack(t *testing.T) {
	pool := &gatewayPool{idleTimeout: time.Minute}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	dialing, release := make(chan struct{}), make(chan struct{})
	got := make(chan *gatewayConn, 1)
	go func() {
		conn, err := pool.connect(context.Background(), func(context.Context) (net.Conn, error) {
			close(dialing)
			<-release
			other, _ := net.Pipe()
			return other, nil
		})
		if err == nil {
			got <- conn
		}
	}()
	soon(t, "the dialing", dialing, patience)
	kept := &gatewayConn{Conn: ours, pulse: &pulse{}}
	pool.keep(kept)
	equal(t, "the one given back", soon(t, "a connection", got, patience) == kept, true)
	close(release)
	eventually(t, "the new one is kept", func() bool {
		pool.mutex.Lock()
		defer pool.mutex.Unlock()
		return len(pool.idle) == 1 && len(pool.waiting) == 0
	})
}

// An answer that breaks off ends the caller's connection, and what was sent behind the request is no request any more.
func TestNothingIsAskedForACallerWhoseConnectionHasEnded(t *testing.T) {
	var asked atomic.Int64
	target, _ := scripted(t, func(_ int64, conn net.Conn, in *bufio.Reader) {
		take(in)
		asked.Add(1)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
	})
	edge := start(t, func(c *config) { c.gatewayHTTP = target })
	_, in := edge.dial(t, strings.Repeat(post("/v1/a", "Content-Length: 1")+"1", 5))
	_, _ = io.Copy(io.Discard, in)
	eventually(t, "it is forgotten", func() bool { return edge.plainCallers() == 0 })
	equal(t, "asked", asked.Load(), int64(1))
}

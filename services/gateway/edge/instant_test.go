package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// instantGateway answers without a thought, in the parts given, each written by itself: when a request's body has come,
// or its head alone. Its answers are good ones: it reads all that it was sent, and keeps the connection.
func instantGateway(t *testing.T, waitsForBody bool, answer []string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerAtOnce(conn, waitsForBody, answer)
		}
	}()
	return "http://" + listener.Addr().String()
}

func answerAtOnce(conn net.Conn, waitsForBody bool, answer []string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		request, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		read := make(chan error, 1)
		drain := func() { _, err := io.Copy(io.Discard, request.Body); read <- err }
		if waitsForBody {
			drain()
		} else {
			go drain()
		}
		for _, part := range answer {
			if _, err := io.WriteString(conn, part); err != nil {
				return
			}
		}
		if <-read != nil {
			return
		}
	}
}

// answerOf is an answer of so many events, and what its reader sees.
func answerOf(events int) (parts []string, text string) {
	parts = append(parts, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
	for i := range events {
		event := fmt.Sprintf("data: {\"n\":%d}\n\n", i)
		parts = append(parts, fmt.Sprintf("%x\r\n%s\r\n", len(event), event))
		text += event
	}
	return append(parts, "0\r\n\r\n"), text
}

// A gateway may be quicker than the edge is at sending: that must not cut its answer.
func TestAnInstantAnswerIsNeverCut(t *testing.T) {
	for _, c := range []struct{ requests, events int }{{4000, 1}, {2000, 100}} {
		answer, text := answerOf(c.events)
		for _, waits := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d events, after the body: %v", c.events, waits), func(t *testing.T) {
				edge := spawn(t, "--gateway-http", instantGateway(t, waits, answer))
				equal(t, "cut answers", manyAtOnce(t, edge.base, c.requests, 16, strings.Repeat("a", 300), text), 0)
			})
		}
	}
}

// What is larger than the edge keeps is still being sent when the answer comes.
func TestAnInstantAnswerToALargeBodyIsNeverCut(t *testing.T) {
	answer, text := answerOf(500)
	edge := spawn(t, "--gateway-http", instantGateway(t, false, answer))
	equal(t, "cut answers", manyAtOnce(t, edge.base, 200, 4, strings.Repeat("a", maxReplayBytes+maxReplayBytes/2), text), 0)
}

// manyAtOnce sends so many requests, some at a time, and counts the answers that are not the text.
func manyAtOnce(t *testing.T, base string, requests, atOnce int, body, text string) int64 {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: atOnce, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var left, cut atomic.Int64
	left.Store(int64(requests))
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				response, err := client.Post(base+"/v1/chat/completions", "application/json", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || string(got) != text {
					cut.Add(1)
				}
			}
		})
	}
	all.Wait()
	return cut.Load()
}

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

// moment is when an instant gateway answers.
type moment string

const (
	afterTheBody moment = "after the body"
	// besideTheBody: it begins when the head has come, and ends when the body has.
	besideTheBody moment = "beside the body"
	beforeTheBody moment = "before the body"
)

// instantGateway answers without a thought, in the parts given, each written by itself. Its answers are good ones: it
// reads all that it was sent, and keeps the connection.
func instantGateway(t *testing.T, when moment, answer []string) string {
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
			go answerAtOnce(conn, when, answer)
		}
	}()
	return "http://" + listener.Addr().String()
}

func answerAtOnce(conn net.Conn, when moment, answer []string) {
	defer conn.Close()
	before := map[moment]int{besideTheBody: len(answer) - 1, beforeTheBody: len(answer)}[when]
	in := bufio.NewReader(conn)
	for {
		request, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		read := make(chan error, 1)
		go func() { _, err := io.Copy(io.Discard, request.Body); read <- err }()
		if !writeParts(conn, answer[:before]) || <-read != nil || !writeParts(conn, answer[before:]) {
			return
		}
	}
}

func writeParts(conn net.Conn, parts []string) bool {
	for _, part := range parts {
		if _, err := io.WriteString(conn, part); err != nil {
			return false
		}
	}
	return true
}

const (
	wholeText   = "0123456789abcdef0123456789abcdef"
	wholeAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 32\r\n\r\n" + wholeText
)

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
	for _, c := range []struct{ requests, events int }{{2000, 1}, {1500, 100}} {
		answer, text := answerOf(c.events)
		for _, when := range []moment{afterTheBody, besideTheBody, beforeTheBody} {
			t.Run(fmt.Sprintf("%d events %s", c.events, when), func(t *testing.T) {
				edge := spawn(t, "--gateway-http", instantGateway(t, when, answer))
				equal(t, "cut answers", manyAtOnce(t, edge.base, c.requests, 16, strings.Repeat("a", 300), text), 0)
			})
		}
	}
}

// What is larger than the edge keeps is still being sent when the answer comes.
func TestAnInstantAnswerToALargeBodyIsNeverCut(t *testing.T) {
	answer, text := answerOf(500)
	edge := spawn(t, "--gateway-http", instantGateway(t, besideTheBody, answer))
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

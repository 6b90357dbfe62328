package main

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"

	gatewayv1 "penstock.dev/proto/penstock/gateway/v1"
)

// starving is a caller over HTTP/2 that keeps its connection well and gives its streams no window. A method may stand
// before the path.
func starving(t *testing.T, edge *running, path, body string) *http2.Framer {
	t.Helper()
	conn, err := tls.Dial("tcp", edge.address(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(6*patience)))
	_, err = conn.Write([]byte(http2.ClientPreface))
	must(t, err)
	framer := http2.NewFramer(conn, conn)
	must(t, framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	method, path, found := strings.Cut(path, " ")
	if !found {
		method, path = "GET", method
		if body != "" {
			method = "POST"
		}
	}
	for _, field := range [][2]string{{":method", method}, {":scheme", "https"}, {":authority", "edge"}, {":path", path}, {"authorization", "Bearer k"}} {
		must(t, encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
	}
	must(t, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: body == ""}))
	if body != "" {
		must(t, framer.WriteData(1, true, []byte(body)))
	}
	return framer
}

// untilReset answers what keeps a connection going, and returns when the stream is reset.
func untilReset(t *testing.T, framer *http2.Framer) {
	t.Helper()
	for {
		frame, err := framer.ReadFrame()
		must(t, err)
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				must(t, framer.WriteSettingsAck())
			}
		case *http2.PingFrame:
			must(t, framer.WritePing(true, frame.Data))
		case *http2.RSTStreamFrame:
			return
		}
	}
}

func TestAReaderOverHTTP2ThatStallsIsCut(t *testing.T) {
	certFile, keyFile, _ := selfSigned(t)
	edge := start(t, func(c *config) { c.tlsCert, c.tlsKey, c.writeTimeout = certFile, keyFile, 100*time.Millisecond })
	left := make(chan struct{}, 1)
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/stream":
			w.Header().Set("Content-Type", "text/event-stream")
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("data: x\n\n"))
				_ = http.NewResponseController(w).Flush()
			}
			left <- struct{}{}
		case "/v1/large":
			_, _ = w.Write([]byte(strings.Repeat("x", 1<<20)))
		default:
			_, _ = w.Write([]byte("small"))
		}
	}
	edge.gateway.stream = func(_ *gatewayv1.StreamChatRequest, s grpc.ServerStreamingServer[gatewayv1.StreamChatResponse]) error {
		for s.Context().Err() == nil {
			if err := s.Send(delta("x")); err != nil {
				break
			}
		}
		left <- struct{}{}
		return nil
	}
	for _, path := range []string{"/v1/stream", "/v1/large", "/v1/small", "/api/v1/chat:stream", "/nowhere", "/openapi.json", "/healthz", "/docs"} {
		body := ""
		if strings.HasPrefix(path, "/api") {
			body = "{}"
		}
		untilReset(t, starving(t, edge, path, body))
		if strings.HasSuffix(path, "stream") {
			soon(t, "the gateway hears of it", left, 2*patience)
		}
		eventually(t, "nothing is in flight: "+path, func() bool { return edge.inFlight.count() == 0 })
	}
}

func TestAReaderOverHTTP2MayPauseBetweenWrites(t *testing.T) {
	certFile, keyFile, pool := selfSigned(t)
	edge := start(t, func(c *config) { c.tlsCert, c.tlsKey, c.writeTimeout = certFile, keyFile, 50*time.Millisecond })
	again := make(chan struct{})
	edge.gateway.wire = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 2 {
			_, _ = w.Write([]byte("data: x\n\n"))
			_ = http.NewResponseController(w).Flush()
			<-again
		}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	response, err := client.Post("https://"+edge.address()+"/v1/stream", "", nil)
	must(t, err)
	defer response.Body.Close()
	equal(t, "protocol", response.ProtoMajor, 2)
	// Silence of the gateway's is no reader's fault, however long.
	time.Sleep(200 * time.Millisecond)
	close(again)
	equal(t, "answer", readAll(t, response), "data: x\n\ndata: x\n\n")
}

func TestAMethodThatIsNoTokenIsRefused(t *testing.T) {
	certFile, keyFile, _ := selfSigned(t)
	edge := start(t, func(c *config) { c.tlsCert, c.tlsKey = certFile, keyFile })
	edge.gateway.wire = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }
	for method, want := range map[string]string{"(": "400", "{GET}": "400", "BREW": "418"} {
		framer := starving(t, edge, method+" /v1/models", "")
		equal(t, method, statusOf(t, framer), want)
	}
}

// statusOf gives the status of the first answer.
func statusOf(t *testing.T, framer *http2.Framer) string {
	t.Helper()
	for {
		frame, err := framer.ReadFrame()
		must(t, err)
		head, ok := frame.(*http2.HeadersFrame)
		if !ok {
			continue
		}
		fields, err := hpack.NewDecoder(4096, nil).DecodeFull(head.HeaderBlockFragment())
		must(t, err)
		for _, field := range fields {
			if field.Name == ":status" {
				return field.Value
			}
		}
	}
}

package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

func TestTheFirstChunkArrivesBeforeTheSecondIsWritten(t *testing.T) {
	edge := start(t)
	proceed := make(chan struct{})
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, chunk := range []string{"data: one\n\n", "data: two\n\n"} {
			io.WriteString(w, chunk)
			w.(http.Flusher).Flush()
			select {
			case <-proceed:
			case <-r.Context().Done():
			}
		}
	}
	response := edge.send(t, "POST", "/v1/chat/completions", `{}`)
	reader := bufio.NewReader(response.Body)
	for _, want := range []string{"data: one\n", "\n", "data: two\n", "\n"} {
		line, err := reader.ReadString('\n')
		must(t, err)
		equal(t, "line", line, want)
		if line == "\n" {
			proceed <- struct{}{}
		}
	}
	_, err := reader.ReadByte()
	equal(t, "end", err, io.EOF)
}

func TestACallerThatLeavesCancelsTheUpstreamRequest(t *testing.T) {
	edge := start(t)
	entered, cancelled := make(chan struct{}, 1), make(chan struct{}, 1)
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/v1/chat/completions" {
			w.(http.Flusher).Flush()
		}
		entered <- struct{}{}
		<-r.Context().Done()
		cancelled <- struct{}{}
	}
	for _, path := range []string{"/v1/chat/completions", "/v1/embeddings"} {
		conn, _ := edge.dial(t, post(path, "Content-Length: 2")+"{}")
		soon(t, "the request", entered, patience)
		conn.Close()
		soon(t, "the cancellation", cancelled, patience)
	}
}

func TestAGatewayThatDiesInTheMiddleIsNotACleanEnd(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "data: one\n\n")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	body, err := io.ReadAll(edge.send(t, "POST", "/v1/chat/completions", `{}`).Body)
	equal(t, "what came", string(body), "data: one\n\n")
	if err == nil {
		t.Error("the answer ended as if it were whole")
	}
}

func TestAGatewayThatIsNotThere(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	closed.Close()
	edge := start(t, func(c *config) {
		c.gatewayHTTP, c.gatewayGRPC = "http://"+closed.Addr().String(), closed.Addr().String()
	})
	for path, want := range map[string]string{
		"/v1/chat/completions": `{"error":{"code":"service_unavailable","message":"The gateway did not answer; try again.","param":null,"type":"server_error"}}`,
		"/v1/messages":         `{"error":{"message":"The gateway did not answer; try again.","type":"api_error"},"type":"error"}`,
		"/api/v1/chat":         "",
		"/api/v1/chat:stream":  "",
	} {
		response := edge.send(t, "POST", path, `{}`)
		equal(t, path, response.StatusCode, 503)
		equal(t, path, response.Header.Get("Retry-After"), "1")
		body := readAll(t, response)
		if want != "" {
			equal(t, path, body, want)
		} else {
			equal(t, path, strings.Contains(body, `"SERVICE_UNAVAILABLE"`), true)
		}
		equal(t, "address in "+path, strings.Contains(body, "127.0.0.1"), false)
	}
	equal(t, "ready", edge.send(t, "GET", "/readyz", "").StatusCode, 503)
}

func TestAGatewayThatDoesNotAnswer(t *testing.T) {
	edge := start(t, func(c *config) { c.responseTimeout = 50 * time.Millisecond })
	edge.gateway.wire = func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	response := edge.send(t, "POST", "/v1/chat/completions", `{}`)
	equal(t, "status", response.StatusCode, 504)
	equal(t, "code", strings.Contains(readAll(t, response), `"code":"timeout"`), true)
}

// What took too long was never sent, so the caller may send it again.
func TestAGatewayThatDoesNotFinishTheHandshake(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { silent.Close() })
	edge := start(t, func(c *config) {
		c.gatewayHTTP, c.connectTimeout = "https://"+silent.Addr().String(), 50*time.Millisecond
	})
	response := edge.send(t, "POST", "/v1/chat/completions", `{}`)
	equal(t, "status", response.StatusCode, 503)
	equal(t, "Retry-After", response.Header.Get("Retry-After"), "1")
}

func TestAnswersPassUnchanged(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Ratelimit-Limit-Requests", "10")
		w.Header().Set("X-Path", r.URL.EscapedPath())
		w.WriteHeader(429)
		io.WriteString(w, `{"error":{"message":"slow down"}}`)
	}
	response := edge.send(t, "GET", "/v1/models/openai%2Fgpt-4o", "")
	equal(t, "status", response.StatusCode, 429)
	equal(t, "header", response.Header.Get("X-Ratelimit-Limit-Requests"), "10")
	equal(t, "path", response.Header.Get("X-Path"), "/v1/models/openai%2Fgpt-4o")
	equal(t, "body", readAll(t, response), `{"error":{"message":"slow down"}}`)
}

func TestQueriesMethodsAndFormsPass(t *testing.T) {
	edge := start(t)
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.Method+" "+r.URL.RequestURI()+" "+string(body))
	}
	for _, c := range [][3]string{
		{"GET", "/v1/vector_stores?limit=2&after=vs_1", ""},
		{"DELETE", "/v1/files/file-1", ""},
		{"POST", "/v1/files", "--X\r\n\x00\xff\r\n--X--\r\n"},
	} {
		equal(t, c[1], readAll(t, edge.send(t, c[0], c[1], c[2])), c[0]+" "+c[1]+" "+c[2])
	}
}

func TestRoutesHaveFewNames(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/chat/completions": "/v1/chat/completions", "/v1/models/": "/v1/models", "/v1/models/a/b": "/v1/models/{id}", "/v1/x": "/v1/*",
		"/v1/files": "/v1/files", "/v1/files/file-1/content": "/v1/files/{id}/content", "/v1/files/a/b/c": "/v1/*",
		"/v1/vector_stores/vs_1/search": "/v1/vector_stores/{id}/search", "/v1/files/a/secret": "/v1/*",
		"/v1/batches/batch_1/cancel": "/v1/batches/{id}/cancel", "/v1/batches": "/v1/batches",
		"/v1/messages/batches": "/v1/messages/batches", "/v1/messages/batches/msgbatch_1": "/v1/messages/batches/{id}",
		"/v1/messages/batches/msgbatch_1/results": "/v1/messages/batches/{id}/results", "/v1/messages/batchesx": "/v1/*",
		"/v1/messages/batches/msgbatch_1/secret": "/v1/*", "/v1/messages/other": "/v1/*",
		"/v1/responses/resp_1": "/v1/responses/{id}", "/v1/responses/resp_1/input_items": "/v1/responses/{id}/input_items",
		"/v1/responses/resp_1/secret": "/v1/*", "/v1/responses/input_tokens": "/v1/responses/input_tokens",
		"/v1/responses/compact":                       "/v1/responses/compact",
		"/v1/vector_stores/vs_1/file_batches/b/files": "/v1/vector_stores/{id}/file_batches/{id}/files",
	} {
		equal(t, path, wireRoute(path), want)
	}
}

func TestUnixSockets(t *testing.T) {
	dir := t.TempDir()
	backendSocket, edgeSocket := filepath.Join(dir, "http.sock"), filepath.Join(dir, "edge.sock")
	backend, err := net.Listen("unix", backendSocket)
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })}
	go server.Serve(backend)
	t.Cleanup(func() { server.Close() })
	// A socket that a killed process left behind must not stop the next one.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: edgeSocket})
	must(t, err)
	stale.SetUnlinkOnClose(false)
	stale.Close()
	start(t, func(c *config) { c.listen, c.gatewayHTTP = "unix:"+edgeSocket, "unix://"+backendSocket })
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", edgeSocket)
	}}}
	defer client.CloseIdleConnections()
	response, err := client.Get("http://edge/v1/models")
	must(t, err)
	defer response.Body.Close()
	equal(t, "body", readAll(t, response), "hello")
	if _, err := listen("unix:" + edgeSocket); err == nil {
		t.Error("a socket in use was taken over")
	}
}

func TestTLSServesHTTP2(t *testing.T) {
	certFile, keyFile, pool := selfSigned(t)
	edge := start(t, func(c *config) { c.tlsCert, c.tlsKey, c.bodyTimeout = certFile, keyFile, 3*time.Second })
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	base := "https://" + edge.address()
	response, err := client.Post(base+"/v1/embeddings", "application/json", strings.NewReader(`{"a":1}`))
	must(t, err)
	defer response.Body.Close()
	equal(t, "protocol", response.Proto, "HTTP/2.0")
	equal(t, "echo", readAll(t, response), `{"a":1}`)

	reader, writer := io.Pipe()
	defer writer.Close()
	request, _ := http.NewRequest("POST", base+"/v1/embeddings", reader)
	slow, err := client.Do(request)
	must(t, err)
	defer slow.Body.Close()
	equal(t, "slow body", slow.StatusCode, http.StatusRequestTimeout)
}

func TestAGatewayBehindTLS(t *testing.T) {
	certFile, keyFile, _ := selfSigned(t)
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	must(t, err)
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	backend.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	backend.StartTLS()
	t.Cleanup(backend.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	healthv1.RegisterHealthServer(server, health.NewServer())
	go server.Serve(listener)
	t.Cleanup(server.Stop)

	trusting := start(t, func(c *config) {
		c.gatewayHTTP, c.gatewayGRPC, c.gatewayCA = backend.URL, listener.Addr().String(), certFile
	})
	equal(t, "wire", readAll(t, trusting.send(t, "GET", "/v1/models", "")), "hello")
	equal(t, "gRPC", trusting.send(t, "GET", "/readyz", "").StatusCode, 200)
	otherCA, _, _ := selfSigned(t)
	wary := start(t, func(c *config) {
		c.gatewayHTTP, c.gatewayGRPC, c.gatewayCA = backend.URL, listener.Addr().String(), otherCA
	})
	equal(t, "wire", wary.send(t, "GET", "/v1/models", "").StatusCode, 503)
	equal(t, "gRPC", wary.send(t, "GET", "/readyz", "").StatusCode, 503)
}

func selfSigned(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "edge"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	must(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	must(t, os.WriteFile(certFile, certPEM, 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}

// Whatever a gateway does not do any more, its callers are told in the end.
func TestAnAnswerThatStopsInTheMiddleIsCutWhenItsTimeIsOver(t *testing.T) {
	left := make(chan struct{}, 4)
	edge := start(t, func(c *config) { c.responseTimeout = 500 * time.Millisecond })
	edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/v1/completions" {
			w.Header().Set("Content-Length", "100")
		}
		io.WriteString(w, "data: {}\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		left <- struct{}{}
	}
	for _, path := range []string{"/v1/chat/completions", "/v1/completions"} {
		for _, body := range []io.Reader{strings.NewReader("{}"), io.MultiReader(strings.NewReader("{}"))} {
			// The second one has no length that is known, so it is not a plain request.
			request, err := http.NewRequest("POST", edge.base+path, body)
			must(t, err)
			response, err := http.DefaultClient.Do(request)
			if err == nil {
				_, err = io.ReadAll(response.Body)
				response.Body.Close()
			}
			// Of a whole answer nothing may have been sent yet; on a busy machine, nothing of any.
			cut := errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
			equal(t, path, cut || err == nil && response.StatusCode == http.StatusGatewayTimeout, true)
			<-left
		}
	}
}

func TestAnAnswerIsWaitedForNoLongerThanItsCallerWaits(t *testing.T) {
	cfg, started := &config{responseTimeout: 610 * time.Second}, time.Now()
	for timeout, want := range map[string]time.Duration{
		"": 610 * time.Second, "5s": 15 * time.Second, "500ms": 10*time.Second + 500*time.Millisecond,
		"2h": 610 * time.Second, "nonsense": 610 * time.Second, "-5s": 610 * time.Second, "0s": 610 * time.Second,
	} {
		equal(t, timeout, answerDue(cfg, started, timeout).Sub(started), want)
	}
}

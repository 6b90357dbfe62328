package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// over puts one file in another's place, as who renews certificates does.
func over(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to+".new", content, 0o600))
	must(t, os.Rename(to+".new", to))
}

func shownBy(t *testing.T, address string) []byte {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	must(t, err)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Raw
}

func TestListenerShowsARenewedCertificate(t *testing.T) {
	certFile, keyFile, _ := selfSigned(t)
	newCert, newKey, _ := selfSigned(t)
	edge := start(t, func(c *config) { c.tlsCert, c.tlsKey = certFile, keyFile })
	before := shownBy(t, edge.address())
	over(t, newKey, keyFile) // half of a pair
	equal(t, "half of a pair", string(shownBy(t, edge.address())), string(before))
	over(t, newCert, certFile)
	after := shownBy(t, edge.address())
	if string(after) == string(before) {
		t.Fatal("the certificate of before is still shown")
	}
	must(t, os.Remove(certFile))
	equal(t, "no file", string(shownBy(t, edge.address())), string(after))
}

// Both ways at once: the gateway is replaced by one of another authority, which trusts that authority alone.
func TestGatewayIsReachedByRenewedCertificates(t *testing.T) {
	certFile, keyFile, _ := selfSigned(t)
	newCert, newKey, newPool := selfSigned(t)
	pair, err := tls.LoadX509KeyPair(newCert, newKey)
	must(t, err)
	serverTLS := &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: newPool,
		NextProtos: []string{"h2", "http/1.1"},
	}
	wireListener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: serverTLS.Certificates, ClientAuth: serverTLS.ClientAuth, ClientCAs: newPool,
	})
	must(t, err)
	wire := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }),
		ErrorLog: slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelError)}
	go wire.Serve(wireListener)
	t.Cleanup(func() { wire.Close() })
	grpcListener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(serverTLS)))
	healthv1.RegisterHealthServer(server, health.NewServer())
	go server.Serve(grpcListener)
	t.Cleanup(server.Stop)

	edge := start(t, func(c *config) {
		c.gatewayHTTP, c.gatewayGRPC = "https://"+wireListener.Addr().String(), grpcListener.Addr().String()
		c.gatewayCA, c.gatewayCert, c.gatewayKey = certFile, certFile, keyFile
		c.readinessMemory = 0
	})
	equal(t, "wire before", edge.send(t, "GET", "/v1/models", "").StatusCode, 503)
	equal(t, "gRPC before", edge.send(t, "GET", "/readyz", "").StatusCode, 503)
	over(t, newKey, keyFile)
	over(t, newCert, certFile)
	equal(t, "wire", readAll(t, edge.send(t, "GET", "/v1/models", "")), "hello")
	edge.untilReady(t)
}

func TestAuthorityThatCannotBeReadLeavesTheOneOfBefore(t *testing.T) {
	certFile, _, _ := selfSigned(t)
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	authority, err := newRenewedAuthority(logger, certFile)
	must(t, err)
	before := authority.get()
	must(t, os.WriteFile(certFile, []byte("nothing"), 0o600))
	if authority.get() != before {
		t.Fatal("a broken file was taken")
	}
	other, _, _ := selfSigned(t)
	over(t, other, certFile)
	if now := authority.get(); now == before || now == (*x509.CertPool)(nil) {
		t.Fatal("the new authority was not taken")
	}
	if _, err := newRenewedAuthority(logger, certFile+".missing"); err == nil {
		t.Fatal("a missing file was taken at the start")
	}
}

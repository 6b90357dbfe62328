package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

func TestTheEdgeProbesItself(t *testing.T) {
	edge := start(t)
	as := config{listen: strings.TrimPrefix(edge.base, "http://")}
	must(t, probeSelf(&as, "/readyz"))
	edge.gateway.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	must(t, probeSelf(&as, "/healthz"))
	if err := probeSelf(&as, "/readyz"); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("not ready, and the probe says %v", err)
	}
}

func TestAProbeFindsAListenerOnAllInterfaces(t *testing.T) {
	edge := start(t, func(c *config) { c.listen = ":0" })
	_, port, err := net.SplitHostPort(edge.address())
	must(t, err)
	for _, listen := range []string{":" + port, "0.0.0.0:" + port, "[::]:" + port} {
		must(t, probeSelf(&config{listen: listen}, "/healthz"))
	}
}

func TestAProbeTrustsTheConfiguredCertificateAlone(t *testing.T) {
	certFile, keyFile, _ := selfSigned(t)
	edge := start(t, func(c *config) { c.tlsCert, c.tlsKey = certFile, keyFile })
	as := config{listen: edge.address(), tlsCert: certFile, tlsKey: keyFile}
	must(t, probeSelf(&as, "/readyz"))
	as.tlsCert, as.tlsKey, _ = selfSigned(t)
	if err := probeSelf(&as, "/readyz"); err == nil || !strings.Contains(err.Error(), "another certificate") {
		t.Errorf("a stranger answers, and the probe says %v", err)
	}
}

func TestAProbeReachesAUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "edge")
	start(t, func(c *config) { c.listen = "unix:" + socket })
	must(t, probeSelf(&config{listen: "unix:" + socket}, "/readyz"))
}

func TestTheProbeIsAnExitCode(t *testing.T) {
	edge := start(t)
	t.Setenv("PENSTOCK_EDGE_LISTEN", strings.TrimPrefix(edge.base, "http://"))
	equal(t, "ready", run([]string{"--probe=/readyz"}), 0)
	edge.server.Close()
	equal(t, "gone", run([]string{"--probe=/readyz"}), exitFailed)
	equal(t, "no path", run([]string{"--probe=readyz"}), exitUsage)
}

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

	"github.com/pires/go-proxyproto"
	"google.golang.org/grpc/metadata"

	gatewayv1 "penstock.dev/proto/penstock/gateway/v1"
)

func TestTheNearestHopThatIsNoTrustedProxyCounts(t *testing.T) {
	clients, err := parseTrusted("10.0.0.0/8, 2001:db8::/32,192.0.2.7")
	must(t, err)
	for _, row := range []struct{ remote, forwarded, want string }{
		{"203.0.113.9:1", "198.51.100.1", "203.0.113.9"}, // nobody trusts it
		{"10.0.0.1:1", "", "10.0.0.1"},
		{"10.0.0.1:1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "1.2.3.4, 198.51.100.1", "198.51.100.1"}, // the caller's own word is on the left
		{"10.0.0.1:1", "1.2.3.4,198.51.100.1,10.9.9.9,192.0.2.7", "198.51.100.1"},
		{"10.0.0.1:1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
		{"10.0.0.1:1", "1.2.3.4|198.51.100.1|10.0.0.2", "198.51.100.1"}, // three fields
		{"10.0.0.1:1", "198.51.100.1:443", "198.51.100.1"},
		{"10.0.0.1:1", "[2001:db9::1]:443", "2001:db9::1"},
		{"10.0.0.1:1", "[2001:db9::1]", "2001:db9::1"},
		{"10.0.0.1:1", "2001:DB9:0::1", "2001:db9::1"},
		{"10.0.0.1:1", "::ffff:198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "198.51.100.1, ::ffff:10.0.0.2", "198.51.100.1"},
		{"[::ffff:10.0.0.1]:1", "198.51.100.1", "198.51.100.1"},
		{"[2001:db8::1]:1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "fe80::1%eth0", "fe80::1"},
		{"10.0.0.1:1", "unknown", "10.0.0.1"},
		{"10.0.0.1:1", "198.51.100.1, _hidden", "10.0.0.1"},
		{"10.0.0.1:1", "198.51.100.1,", "10.0.0.1"},
		{"10.0.0.1:1", "garbage, 198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "198.51.100.1:99999", "10.0.0.1"},
		{"10.0.0.1:1", "198.51.100.1, " + strings.Repeat("10.0.0.2,", 30) + "10.0.0.2", "198.51.100.1"},
		{"10.0.0.1:1", "198.51.100.1, " + strings.Repeat("10.0.0.2,", 500) + "10.0.0.2", "10.0.0.1"},
		{"@", "198.51.100.1", "unknown"}, // a unix socket
	} {
		var fields []string
		if row.forwarded != "" {
			fields = strings.Split(row.forwarded, "|")
		}
		equal(t, row.remote+" "+row.forwarded, clients.of(row.remote, fields), row.want)
	}
	equal(t, "nobody", (*clientAddresses)(nil).of("10.0.0.1:1", []string{"198.51.100.1"}), "10.0.0.1")
	equal(t, "nobody", (&clientAddresses{}).of("10.0.0.1:1", []string{"198.51.100.1"}), "10.0.0.1")
}

func TestRangesThatAreNoneAreRefused(t *testing.T) {
	for _, list := range []string{"10.0.0.1/8", "10.0.0.0/33", "proxy.example", "10.0.0.0/8;10.1.0.0/16"} {
		if _, err := parseTrusted(list); err == nil {
			t.Errorf("%q was taken", list)
		}
	}
	for _, args := range [][]string{{"--trusted-proxies=x"}, {"--proxy-protocol"}, {"--parent-sampling=sometimes"}} {
		if _, err := parseConfig(args, func(string) (string, bool) { return "", false }); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}

// told starts an edge that notes the address that it tells the gateway.
func told(t *testing.T, whole bool, adjust ...func(*config)) (*running, chan string) {
	t.Helper()
	edge := newUnserved(t, adjust...)
	edge.serveOnly(whole)
	addresses := make(chan string, 1)
	edge.gateway.wire = func(_ http.ResponseWriter, r *http.Request) {
		addresses <- r.Header.Get(headerClientAddress)
		if r.Header.Get(headerForwardedFor) != "" {
			t.Error("X-Forwarded-For went on")
		}
	}
	return edge, addresses
}

func trusting(ranges string) func(*config) {
	return func(c *config) {
		c.trustedProxies = ranges
		c.clients, _ = parseTrusted(ranges)
	}
}

func TestGatewayIsToldWhatATrustedProxySays(t *testing.T) {
	for _, whole := range []bool{false, true} {
		for ranges, want := range map[string]string{"127.0.0.0/8": "198.51.100.1", "10.0.0.0/8": "127.0.0.1", "": "127.0.0.1"} {
			edge, addresses := told(t, whole, trusting(ranges))
			edge.send(t, "GET", "/v1/models", "", "X-Forwarded-For", "1.2.3.4", "x-forwarded-for", "198.51.100.1")
			equal(t, fmt.Sprint(ranges, whole), soon(t, "the request", addresses, patience), want)
		}
	}
}

func TestTypedApiIsToldTheSame(t *testing.T) {
	edge := start(t, trusting("127.0.0.0/8"))
	seen := make(chan string, 1)
	edge.gateway.chat = func(ctx context.Context, _ *gatewayv1.ChatRequest) (*gatewayv1.ChatResponse, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		seen <- strings.Join(append(md["x-penstock-client-address"], md["x-forwarded-for"]...), "|")
		return &gatewayv1.ChatResponse{}, nil
	}
	edge.send(t, "POST", "/api/v1/chat", "{}", "X-Forwarded-For", "198.51.100.1")
	equal(t, "address", soon(t, "the call", seen, patience), "198.51.100.1")
}

// proxied makes one request behind a header on a connection of its own; the answer's status, 0 where there is none.
func proxied(t *testing.T, edge *running, header string, secured bool) int {
	t.Helper()
	conn, err := net.Dial("tcp", edge.address())
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, header)
	must(t, err)
	if secured {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	if _, err = io.WriteString(conn, "GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		return 0
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	return response.StatusCode
}

func binaryHeader(t *testing.T, source string) string {
	t.Helper()
	from, err := net.ResolveTCPAddr("tcp", source)
	must(t, err)
	content, err := proxyproto.HeaderProxyFromAddrs(2, from, from).Format()
	must(t, err)
	return string(content)
}

func TestProxyHeadersOfTrustedProxiesCount(t *testing.T) {
	certFile, keyFile, _ := selfSigned(t)
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL}).Format()
	must(t, err)
	for _, secured := range []bool{false, true} {
		edge, addresses := told(t, false, trusting("127.0.0.0/8"), func(c *config) {
			if c.proxyProtocol = true; secured {
				c.tlsCert, c.tlsKey = certFile, keyFile
			}
		})
		for header, want := range map[string]string{
			"PROXY TCP4 198.51.100.1 192.0.2.1 4711 443\r\n":  "198.51.100.1",
			"PROXY TCP6 2001:db9::1 2001:db9::2 4711 443\r\n": "2001:db9::1",
			"PROXY UNKNOWN\r\n":                   "127.0.0.1",
			binaryHeader(t, "198.51.100.2:4711"):  "198.51.100.2",
			binaryHeader(t, "[2001:db9::3]:4711"): "2001:db9::3",
			string(local):                         "127.0.0.1",
		} {
			equal(t, header, proxied(t, edge, header, secured), 200)
			equal(t, header, soon(t, "the request", addresses, patience), want)
		}
		for _, header := range []string{"", "PROXY TCP4 nonsense\r\n", "PROXY TCP4 " + strings.Repeat("1", 500) + "\r\n", "\r\n\r\n\x00\r\nQUIT\n\x55"} {
			equal(t, header, proxied(t, edge, header, secured), 0)
		}
	}
}

func TestStrangersProxyHeadersAreNoRequest(t *testing.T) {
	edge, _ := told(t, false, trusting("10.0.0.0/8"), func(c *config) { c.proxyProtocol = true })
	equal(t, "with one", proxied(t, edge, "PROXY TCP4 10.0.0.1 192.0.2.1 4711 443\r\n", false), 400)
	equal(t, "without", proxied(t, edge, "", false), 200)
}

// Whoever a PROXY header names may be a proxy in its turn.
func TestBothWaysToSayItFollowEachOther(t *testing.T) {
	edge, addresses := told(t, false, trusting("127.0.0.0/8,10.0.0.0/8"), func(c *config) { c.proxyProtocol = true })
	for header, want := range map[string]string{
		"PROXY TCP4 10.0.0.5 192.0.2.1 4711 443\r\n": "198.51.100.1", "PROXY TCP4 203.0.113.5 192.0.2.1 4711 443\r\n": "203.0.113.5",
	} {
		conn, err := net.Dial("tcp", edge.address())
		must(t, err)
		_, err = io.WriteString(conn, header+"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.1\r\nConnection: close\r\n\r\n")
		must(t, err)
		equal(t, header, soon(t, "the request", addresses, patience), want)
		conn.Close()
	}
}

func TestEdgeAsksItselfAsAProxy(t *testing.T) {
	edge, _ := told(t, false, trusting("127.0.0.0/8"), func(c *config) { c.proxyProtocol = true })
	as := *edge.cfg
	as.listen = edge.address()
	must(t, probeSelf(&as, "/healthz"))
}

func TestStrangersDoNotHaveTracesSampled(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
	for _, row := range []struct {
		sampling, ranges, flag, want string
		ratio                        float64
	}{
		{samplingOfTrusted, "", "01", "00", 0},
		{samplingOfTrusted, "", "01", "01", 1},
		{samplingOfTrusted, "", "00", "00", 1},
		{samplingOfTrusted, "127.0.0.0/8", "01", "01", 0},
		{samplingOfNobody, "127.0.0.0/8", "01", "00", 0},
		{samplingOfAll, "", "01", "01", 0},
	} {
		for _, whole := range []bool{false, true} {
			edge := newUnserved(t, trusting(row.ranges), func(c *config) { c.parentSampling, c.traceSampleRatio = row.sampling, row.ratio })
			edge.serveOnly(whole)
			seen := make(chan string, 1)
			edge.gateway.wire = func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Get(headerTraceparent) }
			edge.send(t, "GET", "/v1/models", "", "Traceparent", parent+row.flag)
			got := strings.Split(soon(t, "the request", seen, patience), "-")
			equal(t, fmt.Sprint(row, whole, " trace"), got[1], "0af7651916cd43dd8448eb211c80319c")
			equal(t, fmt.Sprint(row, whole), got[3], row.want)
		}
	}
}

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"
)

const envPrefix = "PENSTOCK_EDGE_"

// config is everything the edge can be told; a flag each, and an environment variable each.
type config struct {
	listen              string
	trustedProxies      string
	proxyProtocol       bool
	clients             *clientAddresses // by trustedProxies
	gatewayGRPC         string
	gatewayHTTP         string
	gatewayConnections  int
	gatewayCA           string
	gatewayName         string
	gatewayCert         string
	gatewayKey          string
	gatewayTokenFile    string
	gatewayToken        string
	gatewayProofs       *gatewayProofs // by the files above; nil without an authority
	tlsCert             string
	tlsKey              string
	maxHeaderBytes      int
	maxBodyBytes        int64
	maxUploadBytes      int64
	maxHeldBytes        int64
	maxMessageBytes     int
	maxConnections      int
	maxTypedBytes       int64
	maxTypedBytesOf     int64
	memoryLimit         int64
	memoryLookEvery     time.Duration
	maxJSONElements     int
	maxJSONDepth        int
	wrongKeysBurst      int
	wrongKeysPerSecond  float64
	wrongKeysAddresses  int
	headerTimeout       time.Duration
	bodyTimeout         time.Duration
	bodyMinRate         int64
	idleTimeout         time.Duration
	writeTimeout        time.Duration
	unaryTimeout        time.Duration
	streamTimeout       time.Duration
	responseTimeout     time.Duration
	connectTimeout      time.Duration
	handshakesAtOnce    int
	handshakeWait       time.Duration
	gatewayIdleTimeout  time.Duration
	readinessTimeout    time.Duration
	readinessMemory     time.Duration
	drainNotice         time.Duration
	grace               time.Duration
	corsOrigins         string
	origins             []string
	servePages          bool
	otlp                string
	traceSampleRatio    float64
	parentSampling      string
	serviceVersion      string
	logLevel            slog.Level
	showVersionThenExit bool
	probeThenExit       string
}

func (c *config) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("penstock-edge", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&c.listen, "listen", "127.0.0.1:8080", "`address` to serve on: host:port or unix:/path")
	fs.StringVar(&c.trustedProxies, "trusted-proxies", "", "`ranges` of the balancers and proxies in front, such as 10.0.0.0/8,2001:db8::/32, whose X-Forwarded-For says where a request comes from")
	fs.BoolVar(&c.proxyProtocol, "proxy-protocol", false, "connections from --trusted-proxies begin with a PROXY header, version 1 or 2")
	fs.StringVar(&c.gatewayGRPC, "gateway-grpc", "127.0.0.1:8081", "gateway's gRPC `target`: host:port, dns:///name:port or unix:///path; several separated by commas")
	fs.StringVar(&c.gatewayHTTP, "gateway-http", "http://127.0.0.1:8082", "gateway's HTTP `target` for the wire formats: http://host:port, https://host:port or unix:///path; several separated by commas, and every address of a name counts")
	fs.IntVar(&c.gatewayConnections, "gateway-connections", 8, "gRPC connections to the gateway; calls take turns")
	fs.StringVar(&c.gatewayCA, "gateway-ca", "", "PEM `file` of the authority that proves the gateway; with it, gRPC uses TLS, and https:// trusts it alone")
	fs.StringVar(&c.gatewayName, "gateway-name", "", "`name` in the gateway's certificate, where it is not the target's host")
	fs.StringVar(&c.gatewayCert, "gateway-cert", "", "PEM `file` of the certificate chain that proves the edge to the gateway; with --gateway-key and --gateway-ca")
	fs.StringVar(&c.gatewayKey, "gateway-key", "", "PEM `file` of its private key")
	fs.StringVar(&c.gatewayTokenFile, "gateway-token-file", "", "`file` of the token that proves the edge to the gateway, so that it believes the client's address; 'secrets.edge_token_file' there")
	fs.StringVar(&c.tlsCert, "tls-cert", "", "PEM `file` of the listener's certificate chain; with --tls-key")
	fs.StringVar(&c.tlsKey, "tls-key", "", "PEM `file` of the listener's private key; with --tls-cert")
	fs.IntVar(&c.maxHeaderBytes, "max-header-bytes", 32<<10, "largest request head")
	fs.Int64Var(&c.maxBodyBytes, "max-body-bytes", 32<<20, "largest request body")
	fs.Int64Var(&c.maxUploadBytes, "max-upload-bytes", 208<<20, "largest body of POST /v1/files, POST /v1/messages/batches and /passthrough/, which goes on as it comes; the gateway's 'batches.max_file_bytes' bounds the file in it")
	fs.Int64Var(&c.maxHeldBytes, "max-held-bytes", 96<<20, "memory of bodies that no gateway has yet; beyond it a body goes on as it comes, and only once")
	fs.IntVar(&c.maxMessageBytes, "max-message-bytes", 32<<20, "largest gRPC message, either way")
	fs.IntVar(&c.maxConnections, "max-connections", 32768, "connections at once, and never more than half the files that the process may open; once half of them are there, one address has an eighth at most")
	fs.Int64Var(&c.maxTypedBytes, "max-typed-bytes", 96<<20, "memory of the typed API's bodies that are being transcoded or answered; beyond it, 503")
	fs.Int64Var(&c.maxTypedBytesOf, "max-typed-bytes-per-address", 64<<20, "of those, the bodies from one address; one that is alone always passes")
	fs.Int64Var(&c.memoryLimit, "memory-limit", 128<<20, "`bytes` of memory from which on garbage is collected as often as it takes to stay below; no request is refused for it")
	fs.DurationVar(&c.memoryLookEvery, "memory-look-every", 5*time.Second, "time between two looks at whether a burst has left memory behind, which is then given back to the system")
	fs.IntVar(&c.maxJSONElements, "max-json-elements", 250_000, "values in a body of the typed API")
	fs.IntVar(&c.maxJSONDepth, "max-json-depth", 64, "arrays and objects within each other in a body of the typed API")
	fs.IntVar(&c.wrongKeysBurst, "wrong-keys-burst", 100, "wrong API keys that may come from one address at once")
	fs.Float64Var(&c.wrongKeysPerSecond, "wrong-keys-per-second", 2, "wrong API keys a second that may come from one address; more get 429, and right keys pass all the same; 0 for any number")
	fs.IntVar(&c.wrongKeysAddresses, "wrong-keys-addresses", 100_000, "addresses of which that is remembered")
	fs.DurationVar(&c.headerTimeout, "header-timeout", 10*time.Second, "time for a request's head to arrive")
	fs.DurationVar(&c.bodyTimeout, "body-timeout", 30*time.Second, "time for a request's body to arrive, longer only at --body-min-rate")
	fs.Int64Var(&c.bodyMinRate, "body-min-rate", 16<<10, "bytes per second that buy a body more time")
	fs.DurationVar(&c.idleTimeout, "idle-timeout", 60*time.Second, "time a connection may wait between requests")
	fs.DurationVar(&c.writeTimeout, "write-timeout", 30*time.Second, "time one write may wait for a reader that does not read")
	fs.DurationVar(&c.unaryTimeout, "unary-timeout", 60*time.Second, "deadline of a typed unary call that names none")
	fs.DurationVar(&c.streamTimeout, "stream-timeout", 600*time.Second, "deadline of a typed stream that names none")
	fs.DurationVar(&c.responseTimeout, "response-timeout", 610*time.Second, "time for the gateway's answer on the wire formats, to its last byte; longer than the gateway's longest deadline. A caller's own timeout ends it sooner, after 10 s more")
	fs.DurationVar(&c.connectTimeout, "connect-timeout", 3*time.Second, "time to connect to the gateway")
	fs.IntVar(&c.handshakesAtOnce, "handshakes-at-once", 64, "TLS connections on the wire formats that are being made to one gateway at a time; more wait for their turn")
	fs.DurationVar(&c.handshakeWait, "handshake-wait", 30*time.Second, "time a request waits for that turn")
	fs.DurationVar(&c.gatewayIdleTimeout, "gateway-idle-timeout", 60*time.Second, "time an unused HTTP connection to the gateway is kept; must be shorter than the gateway keeps it")
	fs.DurationVar(&c.readinessTimeout, "readiness-timeout", time.Second, "time the gateway has to say that it is ready")
	fs.DurationVar(&c.readinessMemory, "readiness-memory", 15*time.Second, "time for which its last word stands while it is late")
	fs.DurationVar(&c.drainNotice, "drain-notice", time.Second, "time after SIGTERM in which /readyz says 503 and requests are still served, so that a balancer can look")
	fs.DurationVar(&c.grace, "grace", 30*time.Second, "time requests in flight have to end after SIGTERM")
	fs.StringVar(&c.corsOrigins, "cors-origins", "", "`origins` whose pages may call the API from a browser, such as https://app.example.com, separated by commas; * is every origin; empty allows none. Never for administration")
	fs.BoolVar(&c.servePages, "pages", true, "serve / and /docs, the pages for people")
	fs.StringVar(&c.otlp, "otlp", "", "OTLP gRPC `endpoint` for spans: host:port, http://host:port or https://host:port; empty exports nothing")
	fs.Float64Var(&c.traceSampleRatio, "trace-sample-ratio", 0.01, "share of the traces that are sampled where nobody's word counts, 0 to 1")
	fs.StringVar(&c.parentSampling, "parent-sampling", samplingOfTrusted, "`whose` word on whether a trace is sampled counts: trusted (proxies'), always (everybody's) or never")
	fs.StringVar(&c.serviceVersion, "service-version", version, "version that spans report")
	fs.TextVar(&c.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error; debug logs every request")
	fs.BoolVar(&c.showVersionThenExit, "version", false, "print the version and exit")
	fs.StringVar(&c.probeThenExit, "probe", "", "ask the edge that listens by these settings for `path`, such as /readyz; exit 0 where it answers 200")
	return fs
}

// parseConfig reads flags, then the environment for the flags not given, and
// returns flag.ErrHelp when help was asked for. Any other error is one sentence.
func parseConfig(args []string, lookupEnv func(string) (string, bool)) (*config, error) {
	c := &config{}
	fs := c.flags()
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var err error
	fs.VisitAll(func(f *flag.Flag) {
		value, ok := lookupEnv(envName(f.Name))
		if !ok || given[f.Name] || err != nil || f.Name == "version" || f.Name == "probe" {
			return
		}
		if setErr := fs.Set(f.Name, value); setErr != nil {
			err = fmt.Errorf("invalid value %q for %s: %w", value, envName(f.Name), setErr)
		}
	})
	if err != nil {
		return nil, err
	}
	return c, c.validate()
}

func envName(flagName string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

func (c *config) validate() error {
	if (c.tlsCert == "") != (c.tlsKey == "") {
		return errors.New("--tls-cert and --tls-key must be given together")
	}
	if c.traceSampleRatio < 0 || c.traceSampleRatio > 1 || c.traceSampleRatio != c.traceSampleRatio {
		return errors.New("--trace-sample-ratio must lie between 0 and 1")
	}
	var err error
	if c.clients, err = parseTrusted(c.trustedProxies); err != nil {
		return fmt.Errorf("--trusted-proxies: %w", err)
	}
	if c.proxyProtocol && len(c.clients.trusted) == 0 {
		return errors.New("--proxy-protocol needs --trusted-proxies: whose PROXY headers count")
	}
	switch c.parentSampling {
	case samplingOfTrusted, samplingOfAll, samplingOfNobody:
	default:
		return errors.New("--parent-sampling must be trusted, always or never")
	}
	for name, value := range map[string]int64{
		"gateway-connections": int64(c.gatewayConnections), "max-header-bytes": int64(c.maxHeaderBytes),
		"max-body-bytes": c.maxBodyBytes, "max-upload-bytes": c.maxUploadBytes, "max-held-bytes": c.maxHeldBytes, "max-message-bytes": int64(c.maxMessageBytes), "body-min-rate": c.bodyMinRate,
		"max-connections": int64(c.maxConnections),
		"max-typed-bytes": c.maxTypedBytes, "max-typed-bytes-per-address": c.maxTypedBytesOf,
		"memory-limit":      c.memoryLimit,
		"max-json-elements": int64(c.maxJSONElements), "max-json-depth": int64(c.maxJSONDepth),
		"wrong-keys-burst": int64(c.wrongKeysBurst), "wrong-keys-addresses": int64(c.wrongKeysAddresses),
		"header-timeout": int64(c.headerTimeout), "body-timeout": int64(c.bodyTimeout), "idle-timeout": int64(c.idleTimeout),
		"write-timeout": int64(c.writeTimeout), "unary-timeout": int64(c.unaryTimeout), "stream-timeout": int64(c.streamTimeout),
		"response-timeout": int64(c.responseTimeout), "connect-timeout": int64(c.connectTimeout),
		"handshakes-at-once": int64(c.handshakesAtOnce), "handshake-wait": int64(c.handshakeWait),
		"memory-look-every":    int64(c.memoryLookEvery),
		"gateway-idle-timeout": int64(c.gatewayIdleTimeout), "readiness-timeout": int64(c.readinessTimeout),
	} {
		if value <= 0 {
			return fmt.Errorf("--%s must be greater than zero", name)
		}
	}
	if !(c.wrongKeysPerSecond >= 0) {
		return errors.New("--wrong-keys-per-second must not be negative")
	}
	for name, value := range map[string]time.Duration{
		"grace": c.grace, "drain-notice": c.drainNotice, "readiness-memory": c.readinessMemory,
	} {
		if value < 0 {
			return fmt.Errorf("--%s must not be negative", name)
		}
	}
	if _, _, err := splitAddress(c.listen); err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if c.origins, err = parseOrigins(c.corsOrigins); err != nil {
		return fmt.Errorf("--cors-origins: %w", err)
	}
	if _, err := parseHTTPTargets(c.gatewayHTTP); err != nil {
		return fmt.Errorf("--gateway-http: %w", err)
	}
	if c.gatewayName != "" && c.gatewayCA == "" {
		return errors.New("--gateway-name needs --gateway-ca")
	}
	if (c.gatewayCert == "") != (c.gatewayKey == "") {
		return errors.New("--gateway-cert and --gateway-key must be given together")
	}
	if c.gatewayCert != "" && c.gatewayCA == "" {
		return errors.New("--gateway-cert needs --gateway-ca")
	}
	if c.probeThenExit != "" && !strings.HasPrefix(c.probeThenExit, "/") {
		return errors.New("--probe must be a path, such as /readyz")
	}
	if c.gatewayGRPC == "" {
		return errors.New("--gateway-grpc must not be empty")
	}
	return nil
}

// splitAddress gives the network and address that net.Listen takes.
func splitAddress(listen string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(listen, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if path == "" {
			return "", "", errors.New("the socket's path is empty")
		}
		return "unix", path, nil
	}
	if !strings.Contains(listen, ":") {
		return "", "", fmt.Errorf("%q is neither host:port nor unix:/path", listen)
	}
	return "tcp", listen, nil
}

// httpTarget is where the wire formats are served: over TCP, or over a unix socket when socket is set.
type httpTarget struct {
	scheme string
	host   string
	socket string
}

// parseHTTPTargets reads a comma-separated list of targets of one scheme.
func parseHTTPTargets(list string) ([]httpTarget, error) {
	var targets []httpTarget
	for i, text := range strings.Split(list, ",") {
		target, err := parseHTTPTarget(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		if target.socket != "" && i > 0 {
			// A connection is kept by its host, and each socket has connections of its own.
			target.host = fmt.Sprintf("gateway-%d", i)
		}
		if i > 0 && target.scheme != targets[0].scheme {
			return nil, errors.New("http and https targets cannot be mixed")
		}
		targets = append(targets, target)
	}
	return targets, nil
}

func parseHTTPTarget(target string) (httpTarget, error) {
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return httpTarget{}, fmt.Errorf("%q is not a URL", target)
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		return httpTarget{scheme: "http", host: "gateway", socket: u.Path}, nil
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && (u.Path == "" || u.Path == "/"):
		return httpTarget{scheme: u.Scheme, host: u.Host}, nil
	}
	return httpTarget{}, fmt.Errorf("%q is none of http://host:port, https://host:port and unix:///path", target)
}

func printHelp(w io.Writer) {
	fs := (&config{}).flags()
	fmt.Fprintf(w, "penstock-edge: the public HTTP port of Penstock.\n\nEvery flag is also an environment variable: --listen is %s.\n\n", envName("listen"))
	fs.SetOutput(w)
	fs.PrintDefaults()
}

func newLogger(c *config) *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: c.logLevel})).With("service", "edge")
}

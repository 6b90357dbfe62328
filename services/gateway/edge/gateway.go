package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // asks each gateway whether it serves
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// Streams of tokens are small and many: a window of this size never stalls one,
	// and a fixed size turns off the bandwidth estimator and its pings.
	streamWindowBytes     = 256 << 10
	connectionWindowBytes = 16 << 20
)

// gatewayConns is a few connections to the gateway under the interface of one.
// Several, because workers that share a port get whole connections, and because a
// server may limit the streams of each. It puts the deadline on every call and
// notes the metadata that came back.
type gatewayConns struct {
	conns         []*grpc.ClientConn
	next          atomic.Uint32
	unaryTimeout  time.Duration
	streamTimeout time.Duration
	responses     map[string]protoreflect.MessageType
}

func dialGateway(cfg *config, trust *tls.Config) (*gatewayConns, error) {
	g := &gatewayConns{
		unaryTimeout: cfg.unaryTimeout, streamTimeout: cfg.streamTimeout, responses: streamResponses(typedMethods()),
	}
	transport := insecure.NewCredentials()
	if trust != nil {
		transport = newRenewingTLS(trust, cfg.gatewayProofs)
	}
	retry := backoff.DefaultConfig
	retry.BaseDelay = 100 * time.Millisecond
	// grpc's own two minutes would outlast any restart of a gateway.
	retry.MaxDelay = 500 * time.Millisecond
	target, resolvers := grpcTarget(cfg.gatewayGRPC)
	for range cfg.gatewayConnections {
		conn, err := grpc.NewClient(target,
			grpc.WithResolvers(resolvers...),
			grpc.WithTransportCredentials(transport),
			grpc.WithNoProxy(),
			grpc.WithDisableRetry(),
			grpc.WithDisableServiceConfig(),
			grpc.WithDefaultServiceConfig(serviceConfig(target)),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: cfg.connectTimeout}),
			grpc.WithInitialWindowSize(streamWindowBytes),
			grpc.WithInitialConnWindowSize(connectionWindowBytes),
			grpc.WithDefaultCallOptions(
				grpc.MaxCallRecvMsgSize(cfg.maxMessageBytes), grpc.MaxCallSendMsgSize(cfg.maxMessageBytes)),
			grpc.WithUserAgent("penstock-edge/"+version),
		)
		if err != nil {
			g.close()
			return nil, err
		}
		g.conns = append(g.conns, conn)
	}
	return g, nil
}

// grpcTarget gives what grpc dials: the target itself, or a resolver that knows the addresses of a list.
func grpcTarget(list string) (string, []resolver.Builder) {
	texts := strings.Split(list, ",")
	if len(texts) == 1 {
		return list, nil
	}
	var addresses []resolver.Address
	for _, text := range texts {
		text = strings.TrimSpace(text)
		name, _, err := net.SplitHostPort(text)
		if err != nil {
			name = ""
		}
		addresses = append(addresses, resolver.Address{Addr: text, ServerName: name})
	}
	listed := manual.NewBuilderWithScheme("gateways")
	listed.InitialState(resolver.State{Addresses: addresses})
	return "gateways:///listed", []resolver.Builder{listed}
}

// serviceConfig has calls take turns. Where there may be several gateways, one that says that it does not serve gets
// none; a single one is asked all the same, as it refuses with a reason.
func serviceConfig(target string) string {
	if strings.HasPrefix(target, "dns:") || strings.HasPrefix(target, "gateways:") {
		return `{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""}}`
	}
	return `{"loadBalancingConfig":[{"round_robin":{}}]}`
}

func (g *gatewayConns) close() {
	for _, conn := range g.conns {
		_ = conn.Close()
	}
}

// pick gives the next connection, and passes over those that reach no gateway just now while another may.
func (g *gatewayConns) pick() *grpc.ClientConn {
	offset := int(g.next.Add(1))
	for i := range g.conns {
		conn := g.conns[(offset+i)%len(g.conns)]
		if state := conn.GetState(); state == connectivity.Ready || state == connectivity.Idle {
			return conn
		}
	}
	return g.conns[offset%len(g.conns)]
}

// Invoke makes a unary call with the caller's deadline, or the default one.
func (g *gatewayConns) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	call := exchangeOf(ctx)
	ctx, cancel := context.WithTimeout(ctx, call.timeoutOr(g.unaryTimeout))
	defer cancel()
	return g.pick().Invoke(ctx, method, args, reply, append(opts, grpc.Header(&call.header), grpc.Trailer(&call.trailer))...)
}

// NewStream opens a stream with the caller's deadline, or the default one.
func (g *gatewayConns) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	call := exchangeOf(ctx)
	ctx, cancel := context.WithTimeout(ctx, call.timeoutOr(g.streamTimeout))
	stream, err := g.pick().NewStream(ctx, desc, method, opts...)
	if err != nil {
		cancel()
		return nil, err
	}
	return &peekedStream{ClientStream: stream, call: call, cancel: cancel, response: g.responses[method]}, nil
}

// peekedStream takes the first message before it gives the header. grpc-gateway
// asks for the header before it answers, so a stream that fails without a message
// becomes an ordinary error with its own HTTP status, not a 200 with an error in it.
type peekedStream struct {
	grpc.ClientStream
	call     *exchange
	cancel   context.CancelFunc
	response protoreflect.MessageType
	first    proto.Message
	ended    bool
}

func (s *peekedStream) Header() (metadata.MD, error) {
	header, err := s.ClientStream.Header()
	s.call.header = header
	if s.call.sent != nil {
		s.call.sent()
	}
	if err == nil && s.response != nil && s.first == nil {
		first := s.response.New().Interface()
		if err = s.RecvMsg(first); err == nil {
			s.first = first
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.finish()
		return nil, err
	}
	return header, nil
}

func (s *peekedStream) RecvMsg(m any) error {
	if s.ended {
		return io.EOF
	}
	if s.first != nil {
		proto.Merge(m.(proto.Message), s.first)
		s.first = nil
		return nil
	}
	err := s.ClientStream.RecvMsg(m)
	if err != nil {
		s.finish()
	}
	return err
}

func (s *peekedStream) finish() {
	if !s.ended {
		s.ended = true
		s.call.trailer = s.Trailer()
	}
	s.cancel()
}

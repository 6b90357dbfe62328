// Command penstock-edge is the public HTTP port of Penstock. It accepts, bounds
// and forwards: the typed API under /api/v1/ is transcoded to gRPC, the OpenAI and
// Anthropic wire formats under /v1/ are proxied unbuffered. It decides nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"google.golang.org/grpc/grpclog"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version = "dev"

const (
	exitFailed = 1
	exitUsage  = 2
)

// ballastBytes are never touched, so they take address space and no memory. The
// collector counts them as live and therefore lets as much garbage gather before
// it runs: with a live heap of a few megabytes that saves a sixth of the CPU.
const ballastBytes = 16 << 20

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	cfg, err := parseConfig(args, os.LookupEnv)
	if errors.Is(err, flag.ErrHelp) {
		printHelp(os.Stdout)
		return 0
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "penstock-edge: %v\n", err)
		return exitUsage
	}
	if cfg.showVersionThenExit {
		fmt.Println("penstock-edge", version)
		return 0
	}
	if cfg.probeThenExit != "" {
		if err := probeSelf(cfg, cfg.probeThenExit); err != nil {
			fmt.Fprintf(os.Stderr, "penstock-edge: %v\n", err)
			return exitFailed
		}
		return 0
	}
	logger := newLogger(cfg)
	// grpc-go and grpc-gateway write plain lines; what matters comes back as a status.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	debug.SetMemoryLimit(cfg.memoryLimit)
	ballast := make([]byte, ballastBytes)
	defer runtime.KeepAlive(ballast)
	go newLeftovers().watch(cfg.memoryLookEvery)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	// Whoever has all processes of a deployment reload must not end the one that has nothing to reload.
	signal.Ignore(syscall.SIGHUP)

	edge, err := newEdge(context.Background(), cfg, logger)
	if err != nil {
		logger.Error("cannot start", "error", err.Error())
		return exitFailed
	}
	served := make(chan error, 1)
	go func() { served <- edge.serve() }()
	logger.Info("listening", "address", edge.address(), "gateway_grpc", cfg.gatewayGRPC, "gateway_http", cfg.gatewayHTTP,
		"tls", cfg.tlsCert != "", "version", version)

	select {
	case err := <-served:
		logger.Error("stopped serving", "error", err.Error())
		return exitFailed
	case received := <-signals:
		logger.Info("draining", "signal", received.String(), "in_flight", edge.inFlight.count(), "grace", cfg.grace.String())
	}
	go func() {
		received := <-signals
		logger.Warn("stopping at once", "signal", received.String(), "in_flight", edge.inFlight.count())
		os.Exit(exitFailed)
	}()
	cut := edge.drain(context.Background())
	logger.Info("stopped", "requests_cut", cut)
	return 0
}

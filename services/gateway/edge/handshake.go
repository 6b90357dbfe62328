package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"
)

var errNoTurn = errors.New("too many connections are being made")

// handshakes makes TLS connections to one gateway, so many at a time.
//
// A handshake costs the gateway a thousand times what it costs the one who asks. Of thousands at once none
// would end in time; of those that wait for their turn, all do.
type handshakes struct {
	dialer  *net.Dialer
	trust   *tls.Config
	proofs  *gatewayProofs
	timeout time.Duration
	wait    time.Duration
	turns   chan struct{}
}

func newHandshakes(cfg *config, dialer *net.Dialer, trust *tls.Config) *handshakes {
	return &handshakes{
		dialer:  dialer,
		trust:   trust,
		proofs:  cfg.gatewayProofs,
		timeout: cfg.connectTimeout,
		wait:    cfg.handshakeWait,
		turns:   make(chan struct{}, cfg.handshakesAtOnce),
	}
}

// dial is http.Transport's DialTLSContext. Every error is one of dialing: no request was sent.
func (h *handshakes) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := h.takeTurn(ctx); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	defer func() { <-h.turns }()
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	dialer := tls.Dialer{NetDialer: h.dialer, Config: h.proofs.today(h.trust)}
	connection, err := dialer.DialContext(ctx, network, address)
	if err != nil && !isDialError(err) {
		// By itself the transport reports a handshake that took too long as if a request had been sent.
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	return connection, err
}

func (h *handshakes) takeTurn(ctx context.Context) error {
	select {
	case h.turns <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(h.wait)
	defer patience.Stop()
	select {
	case h.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return errNoTurn
	}
}

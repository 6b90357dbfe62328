package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// stamp tells one state of a file from another.
type stamp struct {
	size     int64
	modified time.Time
	file     os.FileInfo
}

func (s stamp) same(other stamp) bool {
	return s.size == other.size && s.modified.Equal(other.modified) && (s.file == nil) == (other.file == nil) &&
		(s.file == nil || os.SameFile(s.file, other.file))
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.Size(), info.ModTime(), info}, nil
}

// renewed is what files hold, read again when they have changed. What cannot be used, such as half of a pair, leaves
// what was there, and is looked at again the next time.
type renewed[T any] struct {
	paths  []string
	read   func() (T, error)
	logger *slog.Logger

	mutex   sync.Mutex
	held    T
	stamps  []stamp
	refused []stamp
}

// newRenewed reads the files for the first time; an error says why they cannot be used.
func newRenewed[T any](logger *slog.Logger, read func() (T, error), paths ...string) (*renewed[T], error) {
	r := &renewed[T]{paths: paths, read: read, logger: logger}
	stamps, err := r.look()
	if err != nil {
		return nil, err
	}
	if r.held, err = read(); err != nil {
		return nil, err
	}
	r.stamps = stamps
	return r, nil
}

// get gives what the files hold now.
func (r *renewed[T]) get() T {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	stamps, err := r.look()
	if err != nil || equalStamps(stamps, r.stamps) {
		return r.held
	}
	found, err := r.read()
	if after, lookErr := r.look(); err != nil || lookErr != nil || !equalStamps(stamps, after) {
		if err != nil && !equalStamps(stamps, r.refused) {
			r.refused = stamps
			r.logger.Warn("renewed certificates cannot be used; those of before stand", "file", r.paths[0], "error", err.Error())
		}
		return r.held
	}
	r.held, r.stamps = found, stamps
	r.logger.Info("certificates renewed", "file", r.paths[0])
	return r.held
}

func (r *renewed[T]) look() ([]stamp, error) {
	stamps := make([]stamp, len(r.paths))
	for i, path := range r.paths {
		var err error
		if stamps[i], err = stampOf(path); err != nil {
			return nil, err
		}
	}
	return stamps, nil
}

func equalStamps(a, b []stamp) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].same(b[i]) {
			return false
		}
	}
	return true
}

func newRenewedPair(logger *slog.Logger, certFile, keyFile string) (*renewed[*tls.Certificate], error) {
	return newRenewed(logger, func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		return &pair, err
	}, certFile, keyFile)
}

func newRenewedAuthority(logger *slog.Logger, file string) (*renewed[*x509.CertPool], error) {
	return newRenewed(logger, func() (*x509.CertPool, error) { return readAuthority(file) }, file)
}

func readAuthority(file string) (*x509.CertPool, error) {
	authority, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--gateway-ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("--gateway-ca: %s holds no certificate", file)
	}
	return roots, nil
}

// gatewayProofs are what the edge shows the gateway, and whom it believes to be one, by the files of today.
type gatewayProofs struct {
	authority *renewed[*x509.CertPool]
	own       *renewed[*tls.Certificate] // nil where it shows nothing
}

func newGatewayProofs(cfg *config, logger *slog.Logger) (*gatewayProofs, error) {
	if cfg.gatewayCA == "" {
		return nil, nil
	}
	proofs := &gatewayProofs{}
	var err error
	if proofs.authority, err = newRenewedAuthority(logger, cfg.gatewayCA); err != nil {
		return nil, err
	}
	if cfg.gatewayCert != "" {
		if proofs.own, err = newRenewedPair(logger, cfg.gatewayCert, cfg.gatewayKey); err != nil {
			return nil, fmt.Errorf("--gateway-cert and --gateway-key: %w", err)
		}
	}
	return proofs, nil
}

// today gives the configuration of the next handshake. An authority is part of a configuration that is in use and must
// not be changed any more, so each handshake has its own.
func (p *gatewayProofs) today(standing *tls.Config) *tls.Config {
	if p == nil {
		return standing
	}
	config := standing.Clone()
	config.RootCAs = p.authority.get()
	if p.own != nil {
		config.Certificates = []tls.Certificate{*p.own.get()}
	}
	return config
}

// renewingTLS is grpc's transport over TLS, with the configuration of today for each handshake.
type renewingTLS struct {
	credentials.TransportCredentials
	standing *tls.Config
	proofs   *gatewayProofs
}

func newRenewingTLS(standing *tls.Config, proofs *gatewayProofs) credentials.TransportCredentials {
	return &renewingTLS{credentials.NewTLS(standing), standing, proofs}
}

// ClientHandshake implements credentials.TransportCredentials.
func (r *renewingTLS) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(r.proofs.today(r.standing)).ClientHandshake(ctx, authority, conn)
}

// Clone implements credentials.TransportCredentials.
func (r *renewingTLS) Clone() credentials.TransportCredentials {
	return &renewingTLS{r.TransportCredentials.Clone(), r.standing.Clone(), r.proofs}
}

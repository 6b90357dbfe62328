package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const selfProbeTimeout = 4 * time.Second

// probeSelf asks the edge that runs by the same settings on this machine for path; nil says that it answered 200.
// It is the health check of an image that has no shell.
func probeSelf(cfg *config, path string) error {
	network, address, err := splitAddress(cfg.listen)
	if err != nil {
		return err
	}
	if network == "tcp" {
		address = fromHere(address)
	}
	trust, err := trustInSelf(cfg)
	if err != nil {
		return err
	}
	var dialer net.Dialer
	client := &http.Client{Timeout: selfProbeTimeout, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err == nil && cfg.proxyProtocol && cfg.clients.trustsPeer(conn.LocalAddr().String()) {
				_, err = io.WriteString(conn, "PROXY UNKNOWN\r\n")
			}
			return conn, err
		},
		TLSClientConfig:   trust,
		DisableKeepAlives: true,
	}}
	scheme := "http"
	if trust != nil {
		scheme = "https"
	}
	response, err := client.Get(scheme + "://localhost" + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, response.Status)
	}
	return nil
}

// fromHere gives an address that reaches a listener on all interfaces.
func fromHere(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}

// trustInSelf trusts the configured certificate alone: it names the public host, and localhost is asked.
func trustInSelf(cfg *config) (*tls.Config, error) {
	own, err := loadTLS(cfg)
	if own == nil {
		return nil, err
	}
	leaf := own.Certificates[0].Certificate[0]
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // in favour of the comparison below
		VerifyConnection: func(state tls.ConnectionState) error {
			if !bytes.Equal(state.PeerCertificates[0].Raw, leaf) {
				return errors.New("it shows another certificate than the configured one")
			}
			return nil
		},
	}, nil
}

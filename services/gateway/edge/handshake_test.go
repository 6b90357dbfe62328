package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A gateway that takes its time over each handshake is asked for a few at a time, and all of a burst are served.
func TestHandshakesOfABurstTakeTurns(t *testing.T) {
	const requests, atOnce = 40, 3
	certFile, keyFile, _ := selfSigned(t)
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	must(t, err)
	var underWay, most atomic.Int64
	full := make(chan struct{})
	var once sync.Once
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	backend.TLS = &tls.Config{
		Certificates: []tls.Certificate{certificate},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			raise(&most, underWay.Add(1))
			if underWay.Load() == atOnce {
				once.Do(func() { close(full) })
			}
			select {
			case <-full:
			case <-time.After(patience / 5): // it is found wanting below
			}
			time.Sleep(10 * time.Millisecond)
			underWay.Add(-1)
			return nil, nil
		},
	}
	backend.StartTLS()
	t.Cleanup(backend.Close)
	edge := start(t, func(c *config) {
		c.gatewayHTTP, c.gatewayCA, c.handshakesAtOnce = backend.URL, certFile, atOnce
	})
	for _, status := range edge.sendAtOnce(t, requests) {
		equal(t, "status", status, 200)
	}
	equal(t, "handshakes at once", most.Load(), atOnce)
}

// Who waits for a turn behind a gateway that hangs is told before it would have one.
func TestATurnIsNotWaitedForTooLong(t *testing.T) {
	const requests, atOnce = 20, 2
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { silent.Close() })
	var accepted atomic.Int64
	go func() {
		var kept []net.Conn // what nothing refers to is closed when it is collected, and would give its turn back
		for {
			connection, err := silent.Accept()
			if err != nil {
				for _, each := range kept {
					each.Close()
				}
				return
			}
			kept = append(kept, connection)
			accepted.Add(1)
		}
	}()
	edge := start(t, func(c *config) {
		c.gatewayHTTP, c.handshakesAtOnce = "https://"+silent.Addr().String(), atOnce
		c.connectTimeout, c.handshakeWait = 5*time.Second, 20*time.Millisecond
	})
	for _, status := range edge.sendAtOnce(t, requests) {
		equal(t, "status", status, 503)
	}
	equal(t, "connections", accepted.Load(), atOnce)
}

// sendAtOnce gives the status of each of so many requests on the wire formats.
func (r *running) sendAtOnce(t *testing.T, requests int) []int {
	t.Helper()
	statuses := make([]int, requests)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() {
			response, err := r.client.Get(r.base + "/v1/models")
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			statuses[i] = response.StatusCode
		})
	}
	all.Wait()
	return statuses
}

func raise(most *atomic.Int64, to int64) {
	for old := most.Load(); to > old && !most.CompareAndSwap(old, to); old = most.Load() {
	}
}

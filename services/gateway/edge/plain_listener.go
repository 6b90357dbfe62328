package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Where no connection can be accepted, for want of descriptors, the next attempt waits, each time longer.
const (
	acceptPause    = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// plainListener serves plain requests on the wire formats by itself, and is the listener of a whole server for
// everything else: a connection that brings anything but a plain request goes there, with all that was read of it, and
// stays there.
type plainListener struct {
	net.Listener
	front       *front
	gateways    *balancer
	tls         *tls.Config
	others      chan net.Conn
	closed      chan struct{}
	once        sync.Once
	date        dateClock
	mutex       sync.Mutex
	callers     map[*caller]struct{}
	connections *connections
}

func newPlainListener(listener net.Listener, f *front, gateways *balancer, tlsConfig *tls.Config) *plainListener {
	return &plainListener{
		Listener: listener, front: f, gateways: gateways, tls: tlsConfig,
		others: make(chan net.Conn), closed: make(chan struct{}), callers: map[*caller]struct{}{},
		connections: newConnections(connectionsPermitted(f.cfg.maxConnections), f.cfg.clients),
	}
}

// Accept gives the whole server its next connection.
func (l *plainListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.others:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends accepting; callers that are connected stay.
func (l *plainListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// serve accepts connections until the listener is closed.
func (l *plainListener) serve() {
	for pause := acceptPause; ; {
		conn, err := l.Listener.Accept()
		switch {
		case err == nil:
			pause = acceptPause
			counted := l.connections.admit(conn)
			if counted == nil {
				conn.Close()
				continue
			}
			go l.admit(counted)
		case errors.Is(err, net.ErrClosed):
			_ = l.Close()
			return
		default:
			l.front.logger.Warn(fmt.Sprintf("http: Accept error: %v; retrying in %v", err, pause))
			time.Sleep(pause)
			pause = min(2*pause, maxAcceptPause)
		}
	}
}

// admit sees a connection through its handshake and serves it.
func (l *plainListener) admit(conn net.Conn) {
	if cfg := l.front.cfg; cfg.proxyProtocol {
		proxied, err := cfg.clients.readProxyHeader(conn, cfg.headerTimeout)
		if err != nil {
			l.front.logger.Warn(fmt.Sprintf("http: PROXY header from %s: %v", conn.RemoteAddr(), err))
			conn.Close()
			return
		}
		conn = proxied
	}
	if l.tls != nil {
		secured, ok := l.handshake(conn)
		if !ok {
			conn.Close()
			return
		}
		if secured.ConnectionState().NegotiatedProtocol == "h2" {
			l.handOver(secured, nil)
			return
		}
		conn = secured
	}
	c := newCaller(l, conn)
	l.mutex.Lock()
	l.callers[c] = struct{}{}
	l.mutex.Unlock()
	c.lead()
}

func (l *plainListener) handshake(conn net.Conn) (*tls.Conn, bool) {
	secured := tls.Server(conn, l.tls)
	_ = conn.SetDeadline(time.Now().Add(l.front.cfg.headerTimeout))
	err := secured.Handshake()
	var noTLS tls.RecordHeaderError
	if errors.As(err, &noTLS) && noTLS.Conn != nil {
		// A browser that was told http:// shows this; it is net/http's text.
		_, _ = io.WriteString(noTLS.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
	}
	if err != nil {
		l.front.logger.Warn(fmt.Sprintf("http: TLS handshake error from %s: %v", conn.RemoteAddr(), err))
		return nil, false
	}
	_ = conn.SetDeadline(time.Time{})
	return secured, true
}

// handOver gives a connection to the whole server, and with it what was read already.
func (l *plainListener) handOver(conn net.Conn, read []byte) {
	_ = conn.SetDeadline(time.Time{})
	if len(read) > 0 {
		conn = &resumedConn{Conn: conn, read: append([]byte(nil), read...)}
	}
	select {
	case l.others <- conn:
	case <-l.closed:
		conn.Close()
	}
}

func (l *plainListener) forget(c *caller) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	delete(l.callers, c)
}

// closeIdle closes the connections that wait for their next request.
func (l *plainListener) closeIdle() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for c := range l.callers {
		if c.isIdle() {
			c.conn.Close()
		}
	}
}

// closeAll cuts every connection.
func (l *plainListener) closeAll() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for c := range l.callers {
		c.conn.Close()
	}
}

// resumedConn gives what was read already before anything else.
type resumedConn struct {
	net.Conn
	read []byte
}

func (r *resumedConn) Read(p []byte) (int, error) {
	if len(r.read) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.read)
	if r.read = r.read[n:]; len(r.read) == 0 {
		r.read = nil
	}
	return n, nil
}

// CloseWrite is what net/http looks for, so that an answer is not lost to what the caller still sends.
func (r *resumedConn) CloseWrite() error {
	if half, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

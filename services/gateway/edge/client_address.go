package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/pires/go-proxyproto"
)

// maxForwardedHops bounds how far a chain of proxies is followed.
const maxForwardedHops = 32

// unknownAddress stands where there is none, as behind a unix socket.
const unknownAddress = "unknown"

var errNoProxyHeader = errors.New("a trusted proxy sent no PROXY header")

// clientAddresses finds where requests come from. Nobody is believed but the proxies in the trusted ranges: their
// word is X-Forwarded-For, or the PROXY protocol where that is on. Without ranges, and as nil, it believes nobody.
type clientAddresses struct {
	trusted []netip.Prefix
}

// parseTrusted reads ranges such as 10.0.0.0/8,2001:db8::/32, or addresses alone.
func parseTrusted(list string) (*clientAddresses, error) {
	found := &clientAddresses{}
	for _, text := range strings.Split(list, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil || prefix != prefix.Masked() || prefix.Addr().Zone() != "" {
			return nil, fmt.Errorf("%q is no range such as 10.0.0.0/8 or 2001:db8::/32", text)
		}
		found.trusted = append(found.trusted, prefix)
	}
	return found, nil
}

// trusts says whether an address is one of a trusted proxy.
func (c *clientAddresses) trusts(addr netip.Addr) bool {
	if c == nil || !addr.IsValid() {
		return false
	}
	for _, prefix := range c.trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// trustsPeer says whether the other end of a connection is a trusted proxy.
func (c *clientAddresses) trustsPeer(remote string) bool {
	if c == nil || len(c.trusted) == 0 {
		return false
	}
	addr, ok := hopAddress(remote)
	return ok && c.trusts(addr)
}

// of gives the address that a request comes from: the nearest hop that is no trusted proxy. remote is the connection's
// other end, forwarded are the X-Forwarded-For fields in their order. What a proxy has said and cannot be read, or a
// chain without an end, leaves the other end.
func (c *clientAddresses) of(remote string, forwarded []string) string {
	peer := addressOf(remote)
	if len(forwarded) == 0 || !c.trustsPeer(remote) {
		return peer
	}
	nearest, hops := netip.Addr{}, 0
	for i := len(forwarded) - 1; i >= 0; i-- {
		for rest, more := forwarded[i], true; more; hops++ {
			var hop string
			rest, hop, more = lastHop(rest)
			addr, ok := hopAddress(hop)
			if !ok || hops >= maxForwardedHops {
				return peer
			}
			if nearest = addr; !c.trusts(addr) {
				return addr.String()
			}
		}
	}
	// The request began at one of them.
	return nearest.String()
}

// lastHop cuts the last element off a list with commas.
func lastHop(list string) (rest, hop string, more bool) {
	if at := strings.LastIndexByte(list, ','); at >= 0 {
		return list[:at], list[at+1:], true
	}
	return "", list, false
}

// hopAddress reads an address with or without a port; IPv4 within IPv6 is IPv4, and a zone is another machine's business.
func hopAddress(text string) (netip.Addr, bool) {
	text = strings.Trim(text, " \t")
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		port, portErr := netip.ParseAddrPort(text)
		if portErr != nil {
			return netip.Addr{}, false
		}
		addr = port.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// addressOf gives the host of the other end; "unknown" where it has none, as behind a unix socket.
func addressOf(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil && host != "" {
		return host
	}
	return unknownAddress
}

// proxiedConn is a connection whose other end is known by a PROXY header.
type proxiedConn struct {
	resumedConn
	remote net.Addr
}

// RemoteAddr gives where the proxy's own client is.
func (p *proxiedConn) RemoteAddr() net.Addr { return p.remote }

// readProxyHeader takes the PROXY header off a connection that a trusted proxy has made, which must have one: without,
// whoever it serves could write one. Others' bytes are left alone.
func (c *clientAddresses) readProxyHeader(conn net.Conn, timeout time.Duration) (net.Conn, error) {
	if !c.trustsPeer(conn.RemoteAddr().String()) {
		return conn, nil
	}
	_ = conn.SetReadDeadline(time.Now().Add(timeout))
	reader := bufio.NewReader(conn)
	header, err := proxyproto.Read(reader)
	if errors.Is(err, proxyproto.ErrNoProxyProtocol) {
		return nil, errNoProxyHeader
	}
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadDeadline(time.Time{})
	read, _ := reader.Peek(reader.Buffered())
	remote := conn.RemoteAddr()
	// A header of the proxy's own, such as a health check's, names nobody.
	if source, _, ok := header.TCPAddrs(); ok && !header.Command.IsLocal() {
		remote = source
	}
	return &proxiedConn{resumedConn{Conn: conn, read: append([]byte(nil), read...)}, remote}, nil
}

package main

import (
	"errors"
	"net"
	"sync"
)

// crowded is the part of all connections beyond which one address may have no more than its share: until then nobody
// is turned away, and behind a balancer all come from one address.
const crowded = 2

// addressShare is the part of all connections that one address may have then.
const addressShare = 8

// connections counts who is connected, so that descriptors never run out, and no address has them all. Trusted proxies
// bring everybody's, and may.
type connections struct {
	max     int
	proxies *clientAddresses
	mutex   sync.Mutex
	all     int
	of      map[string]int
}

func newConnections(max int, proxies *clientAddresses) *connections {
	return &connections{max: max, proxies: proxies, of: map[string]int{}}
}

// connectionsPermitted is how many there may be: each can need another one, to a gateway, and some files are open anyway.
func connectionsPermitted(wanted int) int {
	if files := descriptors(); files > 0 {
		return max(1, min(wanted, (files-64)/2))
	}
	return wanted
}

// admit counts a connection in and gives it with what counts it out; nil where there is no room for it.
func (c *connections) admit(conn net.Conn) net.Conn {
	remote := conn.RemoteAddr().String()
	site, bounded := siteOf(addressOf(remote)), !c.proxies.trustsPeer(remote)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.all >= c.max || bounded && c.all >= c.max/crowded && c.of[site] >= max(1, c.max/addressShare) {
		return nil
	}
	c.all++
	c.of[site]++
	return &countedConn{Conn: conn, of: c, site: site}
}

func (c *connections) leave(site string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.all--
	if c.of[site]--; c.of[site] == 0 {
		delete(c.of, site)
	}
}

// countedConn counts itself out when it is closed.
type countedConn struct {
	net.Conn
	of   *connections
	site string
	once sync.Once
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.of.leave(c.site) })
	return err
}

// CloseWrite is what lets a caller read an answer that ends its connection.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

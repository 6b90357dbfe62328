package main

import (
	"net/netip"
	"sync"
)

// siteBits is how much of an IPv6 address tells one site from another: whoever has one address of such a network has all.
const siteBits = 64

// siteOf gives what counts as one address: of IPv6 the network, of IPv4 within IPv6 the IPv4 address.
func siteOf(address string) string {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	parsed = parsed.Unmap().WithZone("")
	if parsed.Is4() {
		return parsed.String()
	}
	return netip.PrefixFrom(parsed, siteBits).Masked().String()
}

// shares is memory that requests may take: so much in all, so much for one address.
type shares struct {
	max, maxOf int64
	mutex      sync.Mutex
	taken      int64
	takenOf    map[string]int64
}

func newShares(max, maxOf int64) *shares {
	return &shares{max: max, maxOf: maxOf, takenOf: map[string]int64{}}
}

// share is what one request has taken.
type share struct {
	of    *shares
	site  string
	bytes int64
}

// take takes more memory; false where there is none left. A request that is alone with its address, or altogether,
// always gets what it asks for: another bound is the largest body.
func (s *share) take(bytes int64) bool {
	s.of.mutex.Lock()
	defer s.of.mutex.Unlock()
	all, own := s.of.taken, s.of.takenOf[s.site]
	if all+bytes > s.of.max && all > s.bytes || own+bytes > s.of.maxOf && own > s.bytes {
		return false
	}
	s.of.taken += bytes
	s.of.takenOf[s.site] = own + bytes
	s.bytes += bytes
	return true
}

// release gives everything back; may be repeated.
func (s *share) release() {
	s.of.mutex.Lock()
	defer s.of.mutex.Unlock()
	s.of.taken -= s.bytes
	if s.of.takenOf[s.site] -= s.bytes; s.of.takenOf[s.site] <= 0 {
		delete(s.of.takenOf, s.site)
	}
	s.bytes = 0
}

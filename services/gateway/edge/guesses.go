package main

import (
	"container/list"
	"hash/maphash"
	"net/http"
	"sync"
	"time"
)

// maxRemembered bounds the credentials that are remembered, right ones and wrong ones each.
const maxRemembered = 100_000

// wrongFor is how long a wrong credential counts once, however often it comes: a job with an old key is no guesser, and
// must not shut its neighbours out.
const wrongFor = time.Minute

// guesses bounds how fast one address may try credentials that turn out wrong: a token bucket an address, of which
// only failures take. A credential that has been right passes whatever its address has done: many share one.
//
// It knows nothing about keys. What the gateway answers tells it.
type guesses struct {
	burst, perSecond float64
	maxSites         int
	now              func() time.Time
	seed             maphash.Seed
	mutex            sync.Mutex
	sites            map[string]*list.Element
	order            list.List // of *bucket, who failed last first
	right            remembered
	wrong            remembered
}

type bucket struct {
	site   string
	tokens float64
	filled time.Time
}

// credentialHeaders carry what a request proves itself with.
var credentialHeaders = [...]string{"Authorization", "X-Api-Key", "Api-Key"}

// credential stands for what a request proves itself with; 0 for nothing.
type credential uint64

func newGuesses(cfg *config) *guesses {
	return &guesses{
		burst: float64(cfg.wrongKeysBurst), perSecond: cfg.wrongKeysPerSecond, maxSites: cfg.wrongKeysAddresses,
		now: time.Now, seed: maphash.MakeSeed(), sites: map[string]*list.Element{},
	}
}

// add gives what stands for c and one more field that carries a credential.
func (g *guesses) add(c credential, name string, value []byte) credential {
	if len(value) == 0 {
		return c
	}
	return max(1, c+credential(maphash.Bytes(g.seed, value)^maphash.String(g.seed, name)))
}

// in gives what stands for all that a request's header proves.
func (g *guesses) in(header http.Header) (c credential) {
	for _, name := range credentialHeaders {
		for _, value := range header[name] {
			c = g.add(c, name, []byte(value))
		}
	}
	return c
}

// admits says whether a request may be tried.
func (g *guesses) admits(address string, c credential) bool {
	if c == 0 || g.perSecond <= 0 {
		return true
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if len(g.sites) == 0 {
		return true
	}
	element := g.sites[siteOf(address)]
	return element == nil || g.fill(element.Value.(*bucket)) >= 1 || g.right.has(c)
}

// heard notes how a request has ended.
func (g *guesses) heard(address string, c credential, httpStatus int) {
	if c == 0 || g.perSecond <= 0 {
		return
	}
	switch {
	case httpStatus >= 200 && httpStatus < 300:
		g.mutex.Lock()
		g.right.add(c, time.Time{})
		g.mutex.Unlock()
	case httpStatus == http.StatusUnauthorized:
		g.mutex.Lock()
		g.failed(siteOf(address), c)
		g.mutex.Unlock()
	}
}

func (g *guesses) failed(site string, c credential) {
	g.right.remove(c)
	now := g.now()
	if until, ok := g.wrong.get(c); ok && now.Before(until) {
		return
	}
	g.wrong.add(c, now.Add(wrongFor))
	element := g.sites[site]
	if element == nil {
		for len(g.sites) >= g.maxSites {
			last := g.order.Back()
			delete(g.sites, g.order.Remove(last).(*bucket).site)
		}
		element = g.order.PushFront(&bucket{site: site, tokens: g.burst, filled: now})
		g.sites[site] = element
	}
	g.order.MoveToFront(element)
	b := element.Value.(*bucket)
	b.tokens = max(0, g.fill(b)-1)
}

// fill adds what time has brought; a bucket that is full again is forgotten.
func (g *guesses) fill(b *bucket) float64 {
	now := g.now()
	b.tokens = min(g.burst, b.tokens+now.Sub(b.filled).Seconds()*g.perSecond)
	b.filled = now
	return b.tokens
}

// remembered keeps credentials, the newer half of its bound at least.
type remembered struct{ young, old map[credential]time.Time }

func (r *remembered) get(c credential) (time.Time, bool) {
	if until, ok := r.young[c]; ok {
		return until, true
	}
	until, ok := r.old[c]
	return until, ok
}

func (r *remembered) has(c credential) bool {
	_, ok := r.get(c)
	return ok
}

func (r *remembered) add(c credential, until time.Time) {
	if r.young == nil || len(r.young) >= maxRemembered/2 {
		if _, ok := r.young[c]; !ok {
			r.old, r.young = r.young, make(map[credential]time.Time)
		}
	}
	r.young[c] = until
}

func (r *remembered) remove(c credential) {
	delete(r.young, c)
	delete(r.old, c)
}

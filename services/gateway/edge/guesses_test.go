package main

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func newTestGuesses(burst int, perSecond float64) (*guesses, *time.Time) {
	now := time.Unix(1_800_000_000, 0)
	g := newGuesses(&config{wrongKeysBurst: burst, wrongKeysPerSecond: perSecond, wrongKeysAddresses: 3})
	g.now = func() time.Time { return now }
	return g, &now
}

func (g *guesses) key(text string) credential { return g.add(0, "Authorization", []byte(text)) }

func TestWrongKeysOfAnAddressAreBounded(t *testing.T) {
	g, now := newTestGuesses(3, 1)
	for i := range 3 {
		c := g.key(fmt.Sprint("guess", i))
		equal(t, "admitted", g.admits("10.0.0.1", c), true)
		g.heard("10.0.0.1", c, http.StatusUnauthorized)
	}
	equal(t, "a fourth", g.admits("10.0.0.1", g.key("guess4")), false)
	equal(t, "another address", g.admits("10.0.0.2", g.key("guess4")), true)
	equal(t, "nothing shown", g.admits("10.0.0.1", 0), true)
	*now = now.Add(time.Second)
	equal(t, "a second later", g.admits("10.0.0.1", g.key("guess4")), true)
}

func TestAKeyThatHasBeenRightPassesWhateverItsAddressDid(t *testing.T) {
	g, _ := newTestGuesses(1, 1)
	right := g.key("right")
	g.heard("10.0.0.9", right, http.StatusOK)
	g.heard("10.0.0.1", g.key("wrong"), http.StatusUnauthorized)
	equal(t, "right", g.admits("10.0.0.1", right), true)
	equal(t, "a failure is no proof", g.admits("10.0.0.1", g.key("other")), false)
	g.heard("10.0.0.1", g.key("other"), http.StatusNotFound)
	equal(t, "nor is what the edge says itself", g.admits("10.0.0.1", g.key("other")), false)
	g.heard("10.0.0.1", right, http.StatusUnauthorized) // revoked
	equal(t, "revoked", g.admits("10.0.0.1", right), false)
}

func TestOneOldKeyThatComesAgainAndAgainShutsNobodyOut(t *testing.T) {
	g, _ := newTestGuesses(2, 1)
	for range 100 {
		g.heard("10.0.0.1", g.key("old"), http.StatusUnauthorized)
	}
	equal(t, "a neighbour", g.admits("10.0.0.1", g.key("new")), true)
}

func TestAddressesAreBoundedInNumber(t *testing.T) {
	g, _ := newTestGuesses(1, 1)
	for i := range 10 {
		g.heard(fmt.Sprintf("2001:db8:%d::1", i), g.key(fmt.Sprint(i)), http.StatusUnauthorized)
	}
	equal(t, "kept", len(g.sites), 3)
	equal(t, "order", g.order.Len(), 3)
	equal(t, "the last", g.admits("2001:db8:9::2", g.key("x")), false)
	var r remembered
	for i := range 3 * maxRemembered {
		r.add(credential(i), time.Time{})
	}
	equal(t, "credentials", len(r.young)+len(r.old) <= maxRemembered, true)
	equal(t, "the newest", r.has(credential(3*maxRemembered-1)), true)
}

func TestAnAddressThatGuessesGets429AndKnownKeysGoOn(t *testing.T) {
	for _, whole := range []bool{false, true} {
		edge := newUnserved(t, func(c *config) { c.wrongKeysBurst, c.wrongKeysPerSecond = 5, 0.001 })
		edge.serveOnly(whole)
		asked := 0
		edge.gateway.wire = func(w http.ResponseWriter, r *http.Request) {
			asked++
			if r.Header.Get("Authorization") != "Bearer right" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}
		ask := func(key string) *http.Response {
			return edge.send(t, "POST", "/v1/chat/completions", "{}", "Authorization", "Bearer "+key)
		}
		equal(t, "right", ask("right").StatusCode, 200)
		eventually(t, "it is known", func() bool {
			return edge.guesses().right.has(edge.guesses().key("Bearer right"))
		})
		for i := range 5 {
			equal(t, "wrong", ask(fmt.Sprint("wrong", i)).StatusCode, 401)
		}
		eventually(t, "it is counted", func() bool { return !edge.guesses().admits("127.0.0.1", edge.guesses().key("x")) })
		before := asked
		response := ask("wrong9")
		equal(t, "too many", response.StatusCode, 429)
		equal(t, "retry", response.Header.Get("Retry-After"), "1")
		detail := decode(t, readAll(t, response))["error"].(map[string]any)
		equal(t, "type", detail["type"], any("rate_limit_error"))
		equal(t, "asked", asked, before)
		equal(t, "right all the same", ask("right").StatusCode, 200)
		// Its bytes are no stranger's: it was let in as one that is known.
		equal(t, "typed", edge.send(t, "GET", "/api/v1/models", "", "Authorization", "Bearer wrong9").StatusCode, 429)
	}
}

func TestGuessesBehindATrustedProxyAreThoseOfTheAddressThatItNames(t *testing.T) {
	for _, whole := range []bool{false, true} {
		edge := newUnserved(t, trusting("127.0.0.0/8"), func(c *config) { c.wrongKeysBurst, c.wrongKeysPerSecond = 3, 0.001 })
		edge.serveOnly(whole)
		edge.gateway.wire = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
		ask := func(from, key string) int {
			return edge.send(t, "POST", "/v1/chat/completions", "{}", "Authorization", "Bearer "+key, "X-Forwarded-For", from).StatusCode
		}
		for i := range 3 {
			equal(t, "wrong", ask("198.51.100.1", fmt.Sprint("wrong", i)), 401)
		}
		eventually(t, "it is counted", func() bool { return !edge.guesses().admits("198.51.100.1", edge.guesses().key("x")) })
		equal(t, "too many", ask("198.51.100.1", "wrong9"), 429)
		equal(t, "another behind the same proxy", ask("198.51.100.2", "wrong9"), 401)
	}
}

func (r *running) guesses() *guesses { return r.plain.front.guesses }

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A request is understood the same whether it is served as a plain one or by the whole server: a caller must not be able
// to bring about by its spelling that the edge and the gateway see different requests.

// witness is an edge, and a gateway behind it that writes down what it is sent.
type witness struct {
	address string
	mutex   sync.Mutex
	seen    []string
}

const secondID = "the-second"

// second follows each request on its connection.
const second = "GET /v1/models HTTP/1.1\r\nHost: edge\r\nX-Request-Id: " + secondID + "\r\n\r\n"

func newWitness(t *testing.T, whole bool, patience time.Duration) *witness {
	t.Helper()
	w := &witness{}
	edge := newUnserved(t, func(c *config) {
		c.headerTimeout, c.bodyTimeout, c.idleTimeout = patience, patience, 10*patience
	})
	edge.gateway.wire = w.note
	w.address = edge.address()
	edge.serveOnly(whole)
	return w
}

func (w *witness) note(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var lines []string
	for name, values := range r.Header {
		for _, value := range values {
			if name == "Traceparent" {
				value = value[:35] + value[52:] // without the span, which is new
				if !strings.Contains(value, givenTrace) {
					value = "new"
				}
			}
			if name == "X-Request-Id" && len(value) == 32 {
				value = "new"
			}
			lines = append(lines, name+": "+value)
		}
	}
	slices.Sort(lines)
	w.mutex.Lock()
	w.seen = append(w.seen, fmt.Sprintf("%s %s %d %v %q %v %q", r.Method, r.RequestURI, r.ContentLength, r.TransferEncoding, lines, err, body))
	w.mutex.Unlock()
	out.Header().Set("X-Request-Id", r.Header.Get("X-Request-Id"))
	fmt.Fprintf(out, "%d", len(body))
}

// judge sends a request and a second one, in two parts, and gives all that came of it: the answers, and what the gateway
// was sent.
func (w *witness) judge(request []byte, cut int) (string, error) {
	conn, err := net.Dial("tcp", w.address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	w.mutex.Lock()
	w.seen = nil
	w.mutex.Unlock()
	if err := conn.SetDeadline(time.Now().Add(4 * patience)); err != nil {
		return "", err
	}
	// The edge may close before it has read all.
	_, _ = conn.Write(request[:cut])
	_, _ = conn.Write(append(bytes.Clone(request[cut:]), second...))
	var verdict strings.Builder
	for in := bufio.NewReader(conn); ; {
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			fmt.Fprintln(&verdict, "closed")
			break
		}
		body, err := io.ReadAll(response.Body)
		if errors.Is(err, syscall.ECONNRESET) {
			// The answer's end, too: the edge has closed with bytes of the caller unread, and which of the two ends a
			// caller sees is a matter of time.
			err = nil
		}
		fmt.Fprintln(&verdict, response.StatusCode, string(body), err)
		if response.Header.Get("X-Request-Id") == secondID || response.Close {
			break
		}
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return verdict.String() + strings.Join(w.seen, "\n"), nil
}

const givenTrace = "0af7651916cd43dd8448eb211c80319c"

var originals = []string{
	"POST /v1/chat/completions HTTP/1.1\r\nHost: edge\r\nAuthorization: Bearer psk_x\r\nContent-Type: application/json\r\nUser-Agent: sdk/1\r\n" +
		"X-Stainless-Retry-Count: 1\r\nContent-Length: 17\r\nConnection: keep-alive\r\n\r\n{\"model\":\"gpt-4\"}",
	"GET /v1/models/gpt-4o HTTP/1.1\r\nHost: edge:80\r\nAccept: */*\r\nX-Forwarded-For: 1.2.3.4\r\nCookie: a=b\r\n\r\n",
	"POST /v1/messages HTTP/1.1\r\nhost: edge\r\nx-api-key: k\r\nanthropic-version: 2023-06-01\r\nx-request-id: mine\r\n" +
		"traceparent: 00-" + givenTrace + "-b7ad6b7169203331-01\r\ntracestate: a=b\r\ncontent-length: 5\r\n\r\nhello",
	"POST /v1/embeddings HTTP/1.1\r\nHost: edge\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
}

// pieces are what requests are smuggled with.
var pieces = []string{
	"\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", "\x00", "\x7f", "\xc3\xbc", ":", ",", ";", "+", "-", "0", "0x", "1", "17", "%2e", "%00", "..", "/", "//", "/./", "?a=b", "#a",
	"Content-Length: 5\r\n", "Content-Length: 0\r\n", "content-length : 5\r\n", "Content-Length: 5, 5\r\n", "Transfer-Encoding: chunked\r\n",
	"Transfer-Encoding: identity\r\n", "Transfer-Encoding:\x0bchunked\r\n", "Connection: close\r\n", "Connection: X-Api-Key\r\n", "Expect: 100-continue\r\n",
	"Upgrade: websocket\r\n", "Host: other\r\n", "Host:\r\n", "Content-Encoding: identity\r\n", "X-Request-Id: b\r\n", "X-Request-Id:\r\n", "User-Agent: two\r\n",
	"Traceparent: 00-nonsense\r\n", "X-Api-Key:\r\n", "X-Api-Key: two\r\n", "X_api_key: z\r\n", " folded\r\n", "Grpc-Metadata-X: y\r\n", "X-Penstock-Edge-Token: guess\r\n",
	"X-Penstock-Client-Address: 1.2.3.4\r\n", "Te: trailers\r\n", "Trailer: X-A\r\n", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "GET /v1/models HTTP/1.1\r\nHost: edge\r\n\r\n",
}

// mutate changes a request in a few places.
func mutate(random *rand.Rand, original string) []byte {
	request := []byte(original)
	for range 1 + random.IntN(3) {
		at := random.IntN(len(request))
		switch random.IntN(7) {
		case 0:
			request = slices.Insert(request, at, []byte(pieces[random.IntN(len(pieces))])...)
		case 1:
			// A line of its own, at a place where a line may be.
			if end := bytes.IndexByte(request[at:], '\n'); end >= 0 {
				request = slices.Insert(request, at+end+1, []byte(pieces[random.IntN(len(pieces))])...)
			}
		case 2:
			request = slices.Delete(request, at, min(len(request), at+1+random.IntN(3)))
		case 3:
			request[at] ^= 1 << random.IntN(8)
		case 4:
			request[at] = byte(random.IntN(256))
		case 5:
			// Twice the same line.
			lines := bytes.SplitAfter(request, []byte("\n"))
			i := random.IntN(len(lines))
			request = bytes.Join(slices.Insert(lines, i, lines[i]), nil)
		case 6:
			piece := pieces[random.IntN(len(pieces))]
			request = append(append(bytes.Clone(request[:at]), piece...), request[min(len(request), at+len(piece)):]...)
		}
		if len(request) == 0 {
			return []byte(original)
		}
	}
	return request
}

func TestPlainRequestsAreUnderstoodAsTheWholeServerDoes(t *testing.T) {
	const judges, each = 8, 400
	var all sync.WaitGroup
	for i := range judges {
		plain, whole := newWitness(t, false, 100*time.Millisecond), newWitness(t, true, 100*time.Millisecond)
		// What is told apart by a deadline is asked again, of edges with more patience.
		calmPlain, calmWhole := newWitness(t, false, 5*time.Second), newWitness(t, true, 5*time.Second)
		random := rand.New(rand.NewPCG(uint64(i), 20261129))
		all.Go(func() {
			for n := range each {
				request := []byte(originals[n%len(originals)])
				if n >= len(originals) {
					request = mutate(random, originals[n%len(originals)])
				}
				cut := random.IntN(len(request))
				if differ(t, plain, whole, request, cut) == "" {
					continue
				}
				if difference := differ(t, calmPlain, calmWhole, request, cut); difference != "" {
					t.Errorf("%q\n%s", request, difference)
				}
			}
		})
	}
	all.Wait()
}

func differ(t *testing.T, plain, whole *witness, request []byte, cut int) string {
	t.Helper()
	one, err := plain.judge(request, cut)
	if err != nil {
		t.Error(err)
	}
	other, err := whole.judge(request, cut)
	if err != nil {
		t.Error(err)
	}
	if one == other {
		return ""
	}
	return fmt.Sprintf("as a plain one:\n%s\nby the whole server:\n%s", one, other)
}

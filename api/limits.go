package api

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limits are the rate of all, and those of clients; clients that were not seen for long are forgotten.
type limits struct {
	all  *rate.Limiter
	each float64

	mu      sync.Mutex
	clients map[string]*limited
}

type limited struct {
	*rate.Limiter
	seen time.Time
}

const maxClients = 10_000

func newLimits(all, each float64) *limits {
	return &limits{all: rate.NewLimiter(rate.Limit(all), max(1, int(all))), each: each, clients: map[string]*limited{}}
}

// standing is what a client may still do, as the headers of the IETF's draft (draft-ietf-httpapi-ratelimit-headers) say it.
type standing struct {
	policy string // whose limit it is
	quota  int    // a second
	left   int    // now
}

func (s standing) headers(set func(name, value string)) {
	set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=1", s.policy, s.quota))
	set("RateLimit", fmt.Sprintf("%q;r=%d;t=1", s.policy, s.left))
}

// refusal is the answer to who asks too much.
func (s standing) refusal(detail string) *problem {
	p := newProblem(http.StatusTooManyRequests, detail).retryAfter("1")
	s.headers(p.headers.Set)
	return p
}

// allow takes n of what a client, and all together, may do now. What the client may not is not taken from all.
func (l *limits) allow(name string, n int) (bool, standing) {
	now := time.Now()
	c := l.client(name, now)
	if c == nil {
		return false, standing{"all", int(l.each), 0}
	}
	mine := standing{policy: "client", quota: int(l.each)}
	if !c.AllowN(now, n) {
		mine.left = max(0, int(c.TokensAt(now)))
		return false, mine
	}
	if !l.all.AllowN(now, n) {
		return false, standing{"all", int(l.all.Limit()), max(0, int(l.all.TokensAt(now)))}
	}
	mine.left = max(0, int(c.TokensAt(now)))
	return true, mine
}

// client is the client's, or nil where there are too many.
func (l *limits) client(name string, now time.Time) *limited {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.clients[name]
	if c == nil {
		if len(l.clients) >= maxClients {
			for name, c := range l.clients {
				if now.Sub(c.seen) > time.Minute {
					delete(l.clients, name)
				}
			}
		}
		if len(l.clients) >= maxClients {
			return nil
		}
		c = &limited{Limiter: rate.NewLimiter(rate.Limit(l.each), max(1, int(l.each)))}
		l.clients[name] = c
	}
	c.seen = now
	return c
}

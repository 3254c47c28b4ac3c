package audit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// proxy stands between the writer and a server, and can take the server away.
type proxy struct {
	address, server string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
	running  sync.WaitGroup
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	p := &proxy{address: "127.0.0.1:0", server: server, open: map[net.Conn]bool{}}
	p.up(t)
	t.Cleanup(func() { p.down(); p.running.Wait() })
	return p
}

// up lets connections through, on the same port as before.
func (p *proxy) up(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener, p.address = l, l.Addr().String()
	p.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.serve(c) })
		}
	})
}

func (p *proxy) serve(c net.Conn) {
	s, err := net.Dial("tcp", p.server)
	if err != nil {
		c.Close()
		return
	}
	p.mu.Lock()
	p.open[c], p.open[s] = true, true
	p.mu.Unlock()
	end := func() { c.Close(); s.Close() }
	p.running.Go(func() { io.Copy(s, c); end() })
	io.Copy(c, s)
	end()
}

// down refuses connections and cuts those that stand.
func (p *proxy) down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for c := range p.open {
		c.Close()
	}
	clear(p.open)
}

// through leads a URL through the proxy; the server's certificate is for localhost.
func (p *proxy) through(t *testing.T, secret kafka.Secret) kafka.Secret {
	t.Helper()
	u, err := url.Parse(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(p.address)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = "localhost:" + port
	return kafka.Secret(u.String())
}

// cutter cuts the connection at a COMMIT: before the server sees it, or after the server has done it and before the answer arrives.
type cutter struct {
	answered bool         // cut after the server has committed
	times    atomic.Int32 // how often it still cuts
}

var errCut = errors.New("the cable was cut")

func (c *cutter) connect(_ context.Context, _ *pgconn.Config, conn net.Conn) (net.Conn, error) {
	return &cuttable{Conn: conn, cutter: c}, nil
}

type cuttable struct {
	net.Conn
	cutter *cutter
}

func (c *cuttable) Write(b []byte) (int, error) {
	if !bytes.Contains(b, []byte("commit\x00")) || c.cutter.times.Add(-1) < 0 {
		return c.Conn.Write(b)
	}
	if c.cutter.answered {
		if _, err := c.Conn.Write(b); err != nil {
			return 0, err
		}
		if _, err := c.Conn.Read(make([]byte, 1)); err != nil {
			return 0, err
		}
	}
	c.Conn.Close()
	return 0, errCut
}

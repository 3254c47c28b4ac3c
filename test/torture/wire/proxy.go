// Package wire is a TCP proxy that can be told to fail the way networks do.
package wire

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is what a link does to its connections.
type Fault struct {
	Cut       bool          // open connections are reset, new ones are accepted and reset at once
	Stall     bool          // half-open: connections stay and are taken, nothing passes
	Delay     time.Duration // each piece waits this long, in each direction
	BytesPerS int           // of each connection and direction; 0: no limit
	TearAfter int           // answers are torn: a connection is reset when this many bytes more came from the target; 0: not
}

// Hits counts what a link did to connections: a fault that hit nothing did not happen.
type Hits struct {
	Resets  int64 // connections reset
	Stalled int64 // pieces that waited for the end of a stall
	Delayed int64 // pieces that waited
	Bytes   int64 // passed, both directions
}

// Sub is what happened since an earlier look.
func (h Hits) Sub(since Hits) Hits {
	return Hits{h.Resets - since.Resets, h.Stalled - since.Stalled, h.Delayed - since.Delayed, h.Bytes - since.Bytes}
}

// Link is a proxy from one port of loopback to a target.
type Link struct {
	Name     string
	listener net.Listener
	target   string

	mu    sync.Mutex
	fault Fault
	lift  chan struct{} // closed when the fault in force ends
	conns map[*conn]struct{}
	ended bool

	resets, stalled, delayed, bytes atomic.Int64
}

// conn is one connection of a client with its connection to the target.
type conn struct {
	client, server *net.TCPConn
	torn           atomic.Int64 // bytes from the target until it is reset; below 0: never
}

// New makes a link that listens on a port of loopback, 0 for any, and passes everything to target, host:port.
func New(name string, port int, target string) (*Link, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("link %s: %w", name, err)
	}
	link := &Link{Name: name, listener: l, target: target, lift: make(chan struct{}), conns: map[*conn]struct{}{}}
	go link.accept()
	return link, nil
}

// Port that the link listens on.
func (l *Link) Port() int { return l.listener.Addr().(*net.TCPAddr).Port }

// Hits so far.
func (l *Link) Hits() Hits {
	return Hits{l.resets.Load(), l.stalled.Load(), l.delayed.Load(), l.bytes.Load()}
}

// Set puts a fault in force instead of the one before; the zero Fault passes everything.
func (l *Link) Set(f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = f
	close(l.lift)
	l.lift = make(chan struct{})
	for c := range l.conns {
		c.torn.Store(tearing(f))
		if f.Cut {
			l.reset(c)
		}
	}
}

func tearing(f Fault) int64 {
	if f.TearAfter > 0 {
		return int64(f.TearAfter)
	}
	return -1
}

// Close ends the link and its connections.
func (l *Link) Close() {
	l.listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	close(l.lift)
	for c := range l.conns {
		c.client.Close()
		c.server.Close()
	}
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of file descriptors: some will be free
			continue
		}
		go l.serve(client.(*net.TCPConn))
	}
}

// serve joins a client with the target until either ends.
func (l *Link) serve(client *net.TCPConn) {
	f, _ := l.now()
	if f.Cut {
		l.resets.Add(1)
		client.SetLinger(0)
		client.Close()
		return
	}
	server, err := net.DialTimeout("tcp", l.target, 5*time.Second)
	if err != nil { // the client finds what it would find without a proxy
		client.SetLinger(0)
		client.Close()
		return
	}
	c := &conn{client: client, server: server.(*net.TCPConn)}
	if !l.keep(c) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.pass(c, c.server, c.client, false) })
	both.Go(func() { l.pass(c, c.client, c.server, true) })
	both.Wait()
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
}

// keep takes a new connection into the books, unless the link is cut or closed by now.
func (l *Link) keep(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.torn.Store(tearing(l.fault))
	if l.fault.Cut || l.ended {
		l.reset(c)
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

// reset ends a connection the hard way.
func (l *Link) reset(c *conn) {
	l.resets.Add(1)
	c.client.SetLinger(0)
	c.server.SetLinger(0)
	c.client.Close()
	c.server.Close()
}

func (l *Link) now() (Fault, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault, l.lift
}

// pass copies one direction until it ends, under the fault in force at each piece.
func (l *Link) pass(c *conn, to, from *net.TCPConn, answers bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !l.forward(c, to, buf[:n], answers) {
			return
		}
		if err != nil {
			return
		}
	}
}

func (l *Link) forward(c *conn, to *net.TCPConn, piece []byte, answers bool) bool {
	f, lift := l.now()
	for f.Stall {
		l.stalled.Add(1)
		<-lift
		if f, lift = l.now(); l.isEnded() {
			return false
		}
	}
	wait := f.Delay
	if f.BytesPerS > 0 {
		wait += time.Duration(float64(len(piece)) / float64(f.BytesPerS) * float64(time.Second))
	}
	if wait > 0 {
		l.delayed.Add(1)
		select {
		case <-time.After(wait):
		case <-lift:
		}
	}
	if answers && c.torn.Load() >= 0 {
		if left := c.torn.Add(-int64(len(piece))); left <= 0 {
			part := max(0, len(piece)+int(left)-1)
			to.Write(piece[:part])
			l.reset(c)
			return false
		}
	}
	l.bytes.Add(int64(len(piece)))
	_, err := to.Write(piece)
	return err == nil
}

func (l *Link) isEnded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

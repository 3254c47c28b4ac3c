//go:build durable

package simulation

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// network is what the broker listens on and clients dial. It is of pipes: a goroutine that waits for one waits for other goroutines only, so that the
// clock of a bubble can move.
type network struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newNetwork() *network {
	return &network{accepted: make(chan net.Conn), closed: make(chan struct{})}
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.accepted:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (n *network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9092} }

// connect makes the broker accept a connection.
func (n *network) connect() (net.Conn, error) {
	ours, its := net.Pipe()
	select {
	case n.accepted <- its:
		return ours, nil
	case <-n.closed:
		return nil, errors.New("connection refused")
	}
}

// dial is of clients that no fault touches.
func (n *network) dial(context.Context, string, string) (net.Conn, error) { return n.connect() }

// fault is what happens at one request of a process.
type fault int

const (
	none         fault = iota
	loseRequest        // the connection breaks before the broker gets it
	loseResponse       // the connection breaks after the broker has acted on it
	delayRequest       // it reaches the broker late
	delayAnswer        // the answer comes late
	killBefore         // the process dies before the broker gets it
	killAfter          // the process dies after the broker has acted on it
	freeze             // the process stands still, past session and transaction, then goes on
	faults
)

var faultNames = [faults]string{"none", "lose the request", "lose the response", "delay the request", "delay the answer", "die before it", "die after it", "freeze at it"}

func (f fault) String() string { return faultNames[f] }

// process is the network side of one scorer: its requests are numbered, and suffer what is planned for their numbers.
type process struct {
	network *network
	plan    map[int]fault // by number of the request, from 1
	late    time.Duration // of delays and of a freeze

	mu       sync.Mutex
	requests int
	hit      []fault // that happened
	dead     bool
	died     chan struct{}
	thaw     chan struct{} // nil while it is not frozen
	conns    []net.Conn
}

func newProcess(n *network, plan map[int]fault, late time.Duration) *process {
	return &process{network: n, plan: plan, late: late, died: make(chan struct{})}
}

var errDead = errors.New("the process is dead")

func (p *process) dial(context.Context, string, string) (net.Conn, error) {
	if p.isDead() {
		return nil, errDead
	}
	p.wait()
	broker, err := p.network.connect()
	if err != nil {
		return nil, err
	}
	client, ours := net.Pipe()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, broker, ours)
	link := &link{process: p, client: ours, broker: broker, answers: make(chan fault, 1000)}
	go link.up()
	go link.down()
	return client, nil
}

// next counts a request, and says what befalls it.
func (p *process) next() fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	f := p.plan[p.requests]
	if f != none {
		p.hit = append(p.hit, f)
	}
	return f
}

// die cuts every connection; nothing of the process reaches the broker any more.
func (p *process) die() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return
	}
	p.dead = true
	close(p.died)
	for _, c := range p.conns {
		c.Close()
	}
}

func (p *process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// freeze holds everything between the process and the broker for a while. What was under way arrives after it.
func (p *process) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.thaw != nil {
		return
	}
	thaw := make(chan struct{})
	p.thaw = thaw
	time.AfterFunc(p.late, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		close(thaw)
		p.thaw = nil
	})
}

// wait waits for the end of a freeze.
func (p *process) wait() {
	p.mu.Lock()
	thaw := p.thaw
	p.mu.Unlock()
	if thaw != nil {
		select {
		case <-thaw:
		case <-p.died:
		}
	}
}

// link is one connection of a process.
type link struct {
	*process
	client, broker net.Conn
	answers        chan fault // of the requests under way, in order: what befalls their answers
}

func (l *link) close() {
	l.client.Close()
	l.broker.Close()
}

// up passes requests.
func (l *link) up() {
	defer l.close()
	defer close(l.answers)
	for {
		frame, err := readFrame(l.client)
		if err != nil {
			return
		}
		f := l.next()
		switch f {
		case loseRequest:
			return
		case killBefore:
			l.die()
			return
		case delayRequest:
			time.Sleep(l.late)
		case freeze:
			l.process.freeze()
		}
		l.wait()
		l.answers <- f
		if _, err := l.broker.Write(frame); err != nil {
			return
		}
	}
}

// down passes answers.
func (l *link) down() {
	defer l.close()
	for {
		frame, err := readFrame(l.broker)
		if err != nil {
			return
		}
		switch <-l.answers {
		case loseResponse:
			return
		case killAfter:
			l.die()
			return
		case delayAnswer:
			time.Sleep(l.late)
		}
		l.wait()
		if _, err := l.client.Write(frame); err != nil {
			return
		}
	}
}

// readFrame reads a request or an answer: four bytes of length, and as many as those say.
func readFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, 4, 512)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(frame))
	frame = append(frame, make([]byte, n)...)
	_, err := io.ReadFull(r, frame[4:])
	return frame, err
}

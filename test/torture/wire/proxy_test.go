package wire

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// echo answers what it is sent, in capitals.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 1<<16)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					c.Write([]byte(strings.ToUpper(string(buf[:n]))))
				}
			}()
		}
	}()
	return l.Addr().String()
}

func linked(t *testing.T) (*Link, net.Conn) {
	t.Helper()
	l, err := New("test", 0, echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, dial(t, l)
}

func dial(t *testing.T, l *Link) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends a word and reads an answer of its length.
func ask(c net.Conn, word string, within time.Duration) (string, error) {
	if _, err := c.Write([]byte(word)); err != nil {
		return "", err
	}
	return answer(c, len(word), within)
}

func answer(c net.Conn, n int, within time.Duration) (string, error) {
	c.SetReadDeadline(time.Now().Add(within))
	buf := make([]byte, n)
	got, err := io.ReadFull(c, buf)
	return string(buf[:got]), err
}

func TestALinkPassesEverything(t *testing.T) {
	l, c := linked(t)
	if got, err := ask(c, "hello", time.Minute); err != nil || got != "HELLO" {
		t.Errorf("%q, %v", got, err)
	}
	if h := l.Hits(); h.Bytes != 10 || h.Resets+h.Stalled+h.Delayed != 0 {
		t.Errorf("%+v", h)
	}
}

func TestACutLinkResetsWhatIsOpenAndWhatComes(t *testing.T) {
	l, c := linked(t)
	if _, err := ask(c, "hello", time.Minute); err != nil {
		t.Fatal(err)
	}
	l.Set(Fault{Cut: true})
	if _, err := answer(c, 1, time.Minute); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("an open connection: %v", err)
	}
	if c, err := net.Dial("tcp", l.listener.Addr().String()); err == nil { // or it is reset that soon
		if _, err := ask(c, "again", time.Minute); err == nil {
			t.Error("a new connection got an answer")
		}
		c.Close()
	}
	l.Set(Fault{})
	if got, err := ask(dial(t, l), "mended", time.Minute); got != "MENDED" {
		t.Errorf("%q, %v", got, err)
	}
	if h := l.Hits(); h.Resets != 2 {
		t.Errorf("%+v", h)
	}
}

func TestAStalledLinkHoldsWhatItGotAndPassesItLater(t *testing.T) {
	l, c := linked(t)
	l.Set(Fault{Stall: true})
	if got, err := ask(c, "hello", 50*time.Millisecond); err == nil {
		t.Errorf("%q came through", got)
	}
	for deadline := time.Now().Add(time.Minute); l.Hits().Stalled == 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	l.Set(Fault{})
	if got, err := answer(c, 5, time.Minute); got != "HELLO" {
		t.Errorf("%q, %v", got, err)
	}
	if h := l.Hits(); h.Stalled != 1 {
		t.Errorf("%+v", h)
	}
}

func TestDelayAndBandwidthHoldEachPieceAndCountIt(t *testing.T) {
	for _, f := range []Fault{{Delay: 30 * time.Millisecond}, {BytesPerS: 150}} {
		l, c := linked(t)
		l.Set(f)
		begin := time.Now()
		if got, err := ask(c, "hello", time.Minute); got != "HELLO" {
			t.Errorf("%q, %v", got, err)
		}
		if took := time.Since(begin); took < 60*time.Millisecond { // no upper bound: the clock proves that it waited
			t.Errorf("%+v took %v, two pieces wait 30 ms each", f, took)
		}
		if h := l.Hits(); h.Delayed != 2 {
			t.Errorf("%+v", h)
		}
	}
}

func TestATornAnswerEndsInTheMiddle(t *testing.T) {
	l, c := linked(t)
	l.Set(Fault{TearAfter: 8})
	if got, err := ask(c, "hello", time.Minute); got != "HELLO" {
		t.Errorf("%q, %v", got, err)
	}
	got, err := ask(c, "world", time.Minute)
	if !errors.Is(err, syscall.ECONNRESET) || len(got) > 2 {
		t.Errorf("%q, %v: wanted at most 2 bytes and a reset", got, err)
	}
	if h := l.Hits(); h.Resets != 1 {
		t.Errorf("%+v", h)
	}
}

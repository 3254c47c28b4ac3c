package rig

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAServerEndsWithTheProgramThatWantedIt(t *testing.T) {
	skipWhenShort(t, "PostgreSQL")
	owner := exec.Command("sleep", "600")
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	s, err := newScript("postgres.sh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.remove() })
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.run([]string{"OWNER_PID=" + strconv.Itoa(owner.Process.Pid), fmt.Sprintf("PGPORT=%d", ports[0])}, "start", s.dir); err != nil {
		t.Fatal(err)
	}
	server, err := attach(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := execute(t, server.OwnerURL, "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	owner.Wait()
	ctx, tick := limited(t, time.Minute), time.Tick(100*time.Millisecond)
	for {
		if _, err := os.Stat(s.dir); errors.Is(err, fs.ErrNotExist) {
			return
		}
		select {
		case <-tick:
		case <-ctx.Done():
			t.Fatalf("%s is still there: the server outlived its owner", s.dir)
		}
	}
}

// halfTest takes Fatalf for an answer instead of the end.
type halfTest struct {
	*testing.T
	fatal string
}

func (h *halfTest) Fatalf(format string, args ...any) {
	h.fatal = fmt.Sprintf(format, args...)
	panic(h)
}

func TestAServerThatDoesNotStartIsAFailureThatSaysWhy(t *testing.T) {
	skipWhenShort(t, "Kafka")
	h := &halfTest{T: t}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(h) {
				panic(r)
			}
		}()
		PrivateKafka(h, 1, "log.retention.bytes=plenty")
	}()
	if !strings.Contains(h.fatal, "log.retention.bytes") {
		t.Errorf("got %q, want the setting that is wrong", h.fatal)
	}
}

func TestAServerIsNotSkippedSilently(t *testing.T) {
	for _, test := range []string{"TestSharedKafkaIsSharedAndCannotBeHurt", "TestSharedPostgresIsSharedAndCannotBeHurt"} {
		out, err := exec.CommandContext(t.Context(), os.Args[0], "-test.short", "-test.v", "-test.run", "^"+test+"$").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, want := range []string{"--- SKIP: " + test, "needs a real", "make test"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s under -short: the output lacks %q:\n%s", test, want, out)
			}
		}
	}
}

func TestNoPortIsGivenTwice(t *testing.T) {
	const asks = "MLMONITOR_TEST_CLAIMS" // a port: asked in a process of its own
	if port, err := strconv.Atoi(os.Getenv(asks)); err == nil {
		fmt.Println("free:", claim(port))
		return
	}
	inAnother := func(port int) string {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoPortIsGivenTwice$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", asks, port))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		answer, _, _ := strings.Cut(string(out), "\n")
		return answer
	}
	given, err := FreePorts(30)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range given {
		if port < 15000 || port > 31999 || claim(port) {
			t.Errorf("port %d was given, and is free", port)
		}
	}
	if answer := inAnother(given[0]); answer != "free: false" {
		t.Errorf("another process finds of a port that was given %q", answer)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if claim(port) {
		t.Errorf("port %d has a server, and is free", port)
	}
	l.Close()
	if answer := inAnother(port); answer != "free: true" {
		t.Errorf("another process finds of a free port %q", answer)
	}
}

func TestUniqueNamesDifferAndMayNameATopic(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := Unique("topic"), Unique("topic")
		if a == b || !strings.HasPrefix(a, "topic-") || strings.Trim(a, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			rt.Errorf("%q, %q", a, b)
		}
	})
}

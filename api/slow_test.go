package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestThoseWhoNeverFinishAskingHoldNobodyUp: clients that send a header byte by byte, or nothing at all, are cut off; others are answered meanwhile, and a stop waits for none of them.
func TestThoseWhoNeverFinishAskingHoldNobodyUp(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a timeout")
	}
	cfg := Config{Host: "127.0.0.1", Auth: "off", Timeout: time.Second, Rate: 1e7, ClientRate: 1e6, Remember: 10, MaxConnections: 20000}
	s, err := New(t.Context(), cfg, &oracle{}, func() InForce { return InForce{Champion: loaded()} }, Sources{}, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	address := s.listener.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var slow []net.Conn
	for i := range 300 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			if _, err := fmt.Fprint(c, "POST /predict HTTP/1.1\r\nHost: x\r\nX-A: "); err != nil {
				t.Fatal(err)
			}
		}
		slow = append(slow, c)
	}
	if resp, data := post(t, s.URL()+"/predict", "", example(t, 0)); resp.StatusCode != 200 {
		t.Errorf("beside them: %d %s", resp.StatusCode, data)
	}
	for i, c := range slow {
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Fatalf("connection %d is not cut off: %v", i, err)
		}
	}
	// One that is in the middle of it when the server stops.
	late, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if _, err := fmt.Fprint(late, "POST /predict HTTP/1.1\r\nHost: x\r\nX-A: "); err != nil {
		t.Fatal(err)
	}
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the server does not stop")
	}
}

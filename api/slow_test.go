package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestThoseWhoNeverFinishAskingHoldNobodyUp: clients that send a header byte by byte, or nothing at all, are cut off; others are answered meanwhile, and a stop waits for none of them.
func TestThoseWhoNeverFinishAskingHoldNobodyUp(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a timeout")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Host: "127.0.0.1", Auth: "off", Timeout: time.Second, Rate: 1e7, ClientRate: 1e6, Remember: 10, MaxConnections: 20000}
	if cfg.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), cfg, &oracle{}, func() InForce { return InForce{Champion: loaded()} }, Sources{}, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	url := "http://" + address
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if resp, err := http.Get(url + "/docs"); err == nil {
			resp.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server does not answer")
		}
	}
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
	if resp, data := post(t, url+"/predict", "", example(t, 0)); resp.StatusCode != 200 {
		t.Errorf("beside them: %d %s", resp.StatusCode, data)
	}
	for i, c := range slow {
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
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
	case <-time.After(8 * time.Second):
		t.Error("the server does not stop")
	}
}

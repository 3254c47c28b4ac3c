package api

import (
	"net/http"
	"testing"
)

func TestOnlyATrustedProxySaysWhereARequestComesFrom(t *testing.T) {
	believed, err := parseProxies([]string{"10.0.0.0/8", "192.0.2.7", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"203.0.113.5:4000", nil, "203.0.113.5"},
		{"203.0.113.5:4000", []string{"198.51.100.1"}, "203.0.113.5"}, // it is no proxy of ours
		{"10.1.2.3:4000", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.1.2.3:4000", []string{"6.6.6.6, 198.51.100.1"}, "198.51.100.1"}, // what the client said of itself
		{"10.1.2.3:4000", []string{"6.6.6.6", "198.51.100.1, 192.0.2.7"}, "198.51.100.1"},
		{"10.1.2.3:4000", nil, "10.1.2.3"},
		{"10.1.2.3:4000", []string{"nonsense"}, "10.1.2.3"},
		{"10.1.2.3:4000", []string{"10.9.9.9"}, "10.9.9.9"},
		{"[fd00::1]:4000", []string{"2001:db8::5"}, "2001:db8::5"},
		{"[::ffff:10.1.2.3]:4000", []string{"198.51.100.1"}, "198.51.100.1"},
		{"@", nil, "@"},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{"X-Forwarded-For": c.forwarded}}
		if got := believed.client(r); got != c.want {
			t.Errorf("%s with %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
	if got := (proxies)(nil).client(&http.Request{RemoteAddr: "10.1.2.3:4000", Header: http.Header{"X-Forwarded-For": {"198.51.100.1"}}}); got != "10.1.2.3" {
		t.Errorf("without a proxy: %s", got)
	}
	if _, err := parseProxies([]string{"proxy"}); err == nil {
		t.Error("a name is taken")
	}
}

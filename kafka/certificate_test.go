package kafka

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

func TestWhatIsWrongWithACertificateIsSaidAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		expired bool
		hosts   []string
		want    string // "" when nothing is wrong
	}{
		"good":         {},
		"expired":      {expired: true, want: "has expired"},
		"another host": {hosts: []string{"kafka.example"}, want: "for another host"},
	} {
		server, ca := rig.Certificate(t, t.TempDir(), tc.expired, tc.hosts...)
		c := valid()
		c.Brokers, c.CAFile = brokers(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}})), ca
		attempts := 0
		err := Connect(t.Context(), &c, quiet, func(error) { attempts++ })
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.want != "" && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if attempts != 1 {
			t.Errorf("%s: %d attempts", name, attempts)
		}
	}
}

package rig

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
)

// T is what rig needs of a test. *testing.T and *testing.B have it; a program without tests may bring its own, whose Fatalf must not return.
type T interface {
	Helper()
	Cleanup(func())
	Failed() bool
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// skipWhenShort ends a test that needs a real server, under go test -short.
func skipWhenShort(t T, server string) {
	t.Helper()
	s, ok := t.(interface{ Skipf(string, ...any) })
	if ok && testing.Testing() && testing.Short() {
		s.Skipf("needs a real %s, which -short leaves out: run `make test`", server)
	}
}

// Unique makes a name that no other test has, for a topic, group or transactional id: "verdicts" gives "verdicts-k3vq7r…".
func Unique(prefix string) string {
	return fmt.Sprintf("%s-%s", prefix, strings.ToLower(rand.Text()[:12]))
}

package main

import (
	"strings"
	"testing"
)

func TestListSelectsPeers(t *testing.T) {
	for list, want := range map[string]string{"all": names(peers), "none": "", "ydf,lightgbm": "ydf,lightgbm"} {
		if some, err := selected(list); err != nil || names(some) != want {
			t.Errorf("%q selects %s, %v", list, names(some), err)
		}
	}
	if _, err := selected("ydf,lightbgm"); err == nil || !strings.Contains(err.Error(), `"lightbgm"`) {
		t.Errorf("a wrong name is not refused by name: %v", err)
	}
}

// shell starts a peer that is a shell script.
func shell(t *testing.T, script string) *remote {
	t.Helper()
	r, err := start(t.Context(), []string{"sh", "-c", script})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

func TestPeerAnswersWhileItsLibraryPrints(t *testing.T) {
	r := shell(t, `while read -r command batch seconds; do echo "[Warning] hello"; echo "= $batch.5"; done`)
	for _, batch := range []int{1, 64} {
		if ns, err := r.nanoseconds(batch); err != nil || ns != float64(batch)+0.5 {
			t.Errorf("batch %d: %v, %v", batch, ns, err)
		}
	}
}

func TestPeerThatEndsSaysWhy(t *testing.T) {
	r := shell(t, `read -r command; echo trace >&2; echo "no such library" >&2; exit 3`)
	if _, err := r.nanoseconds(1); err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), ": no such library") {
		t.Errorf("the error is %v", err)
	}
}

func TestPeerThatMeasuresNothingIsAFault(t *testing.T) {
	for _, answer := range []string{"0", "-1", "NaN", "fast"} {
		if ns, err := shell(t, "read -r command; echo = "+answer).nanoseconds(1); err == nil {
			t.Errorf("%q is taken as %v ns", answer, ns)
		}
	}
}

package kafka

import (
	"testing"
	"time"
)

func TestAnInstanceIsTakenWhenItIsFencedAgainAndAgain(t *testing.T) {
	var f Fences
	at := time.Unix(1_800_000_000, 0)
	for i, step := range []struct {
		after time.Duration
		taken bool
	}{{0, false}, {time.Second, false}, {time.Second, true}, {time.Second, true}, {2 * time.Minute, false}, {40 * time.Second, false}, {40 * time.Second, false}} {
		at = at.Add(step.after)
		if got := f.Taken(at); got != step.taken {
			t.Errorf("fence %d: taken %t", i, got)
		}
	}
}

package consumer

import "testing"

// A transaction that hangs in one partition was what the rest of the topics shows. To abort one that was committed loses its answers: the torture lost 381 that
// way, following the brokers' own tool.
func TestAHangingTransactionIsEndedAsItWas(t *testing.T) {
	for name, c := range map[string]struct {
		evidence
		offset int64 // of the group in input partition 4
		commit bool
	}{
		"the group has passed its inputs":                    {evidence{answered: map[int32]int64{4: 17}}, 18, true},
		"the group stands at its first input":                {evidence{answered: map[int32]int64{4: 17}}, 10, false},
		"its last input is not passed":                       {evidence{answered: map[int32]int64{4: 17}}, 17, false},
		"it was aborted, and another answered":               {evidence{answered: map[int32]int64{4: 17}, again: true}, 18, false},
		"a part of it is committed":                          {evidence{answered: map[int32]int64{4: 17}, visible: true}, 10, true},
		"only its offsets hang, and its answers are visible": {evidence{answered: map[int32]int64{}, visible: true}, 10, true},
		"only its offsets hang, and nothing is visible":      {evidence{answered: map[int32]int64{}}, 10, false},
	} {
		commit, why := c.verdict(func(p int32) int64 {
			if p != 4 {
				t.Errorf("%s: asked for partition %d", name, p)
			}
			return c.offset
		})
		if commit != c.commit || why == "" {
			t.Errorf("%s: commit %t, %q", name, commit, why)
		}
	}
}

package consumer

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// pairs is how many transactions the challenger scored.
func pairs(m *running) (n float64) {
	for _, a := range drift.Decisions {
		for _, b := range drift.Decisions {
			n += testutil.ToFloat64(m.members[0].shadows.decisions.WithLabelValues(string(a), string(b)))
		}
	}
	return n
}

// shadowed returns when a process has its challenger in the shadow.
func shadowed(t *testing.T, m *running) {
	t.Helper()
	eventually(t, "the challenger is in the shadow", func() bool { return testutil.CollectAndCount(m.members[0].shadows.info) == 1 })
}

// shadowVerdicts are those of the topic in the shadow, by source.
func (c *cluster) shadowVerdicts(t *testing.T) map[schemas.Source]schemas.Verdict {
	t.Helper()
	whole, err := kafka.Settled(t.Context(), &c.topics, c.topics.Shadow, settlePatience)
	if err != nil {
		t.Fatal(err)
	}
	all := map[schemas.Source]schemas.Verdict{}
	err = kafka.Read(t.Context(), &c.topics, c.topics.Shadow, whole, func(r *kafka.Record) error {
		v, err := schemas.ParseVerdict(r.Value)
		if _, twice := all[v.Source]; twice {
			t.Errorf("%v is in the shadow twice", v.Source)
		}
		if v.Source.Partition != r.Partition {
			t.Errorf("%v is in partition %d of the shadow", v.Source, r.Partition)
		}
		all[v.Source] = v
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func aChallengerScoresAndDecidesNothing(t *testing.T, c *cluster) {
	c.topics.Shadow = c.group + ".shadow"
	layOut(t, c)
	cfg := c.config("a")
	cfg.ShadowBudget = 1000
	m := c.start(t, cfg, version(t, 1))
	c.send(t, 0, 200, 0)
	c.answered(t, 200)
	m.models.SetChallenger(version(t, 2), 0, "to compare")
	shadowed(t, m)
	c.send(t, 200, 800, 0.02)
	found := c.answered(t, 1000)
	if under := c.asTold(t); under["2"] != 0 {
		t.Errorf("the challenger decides: %v", under)
	}
	eventually(t, "the challenger has scored", func() bool { return len(c.shadowVerdicts(t)) > 0 && pairs(m) == float64(len(c.shadowVerdicts(t))) })
	inShadow := c.shadowVerdicts(t)
	for source, v := range inShadow {
		champion, err := schemas.ParseVerdict([]byte(found[source][0]))
		if err != nil || v.Bundle.Version != "2" || champion.Probability != v.Probability || champion.Decision != v.Decision {
			t.Fatalf("%v in the shadow is %+v, the champion's %+v, %v", source, v, champion, err)
		}
	}
	if n := len(inShadow); n < 700 || n > 800 {
		t.Errorf("%d of 800 are in the shadow", n)
	}
	if psi := m.members[0].shadows.psi(); psi != 0 {
		t.Errorf("PSI of the same model is %v", psi)
	}

	m.models.SetChallenger(nil, 0, "enough")
	c.send(t, 1000, 100, 0)
	c.answered(t, 1100)
	if n := len(c.shadowVerdicts(t)); n != len(inShadow) {
		t.Errorf("without a challenger %d are in the shadow, %d were", n, len(inShadow))
	}
}

// aFailingChallengerTouchesNothing: its topic is missing, or there is no time.
func aFailingChallengerTouchesNothing(t *testing.T, c *cluster) {
	c.topics.Shadow = c.group + ".absent"
	cfg := c.config("a")
	cfg.TxnTimeout, cfg.Session = time.Minute, time.Minute // the client is made anew where either is over
	m := c.start(t, cfg, version(t, 1))
	m.models.SetChallenger(version(t, 2), 0, "to compare")
	eventually(t, "the challenger is left alone", m.members[0].shadows.off)
	c.send(t, 0, 300, 0.02)
	c.answered(t, 300)
	eventually(t, "the member is ready", func() bool { return m.Ready(t.Context()) == nil })
	if testutil.ToFloat64(m.members[0].metrics.restarts) != 0 || pairs(m) != 0 {
		t.Error("the champion's client was made anew, or the challenger scored")
	}
	if err := m.end(t); err != nil {
		t.Fatal(err)
	}

	layOut(t, c)
	again := c.start(t, c.config("a"), version(t, 1)) // no time: SHADOW_BUDGET is 0
	again.models.SetChallenger(version(t, 2), 0, "to compare")
	shadowed(t, again)
	c.send(t, 300, 600, 0)
	c.answered(t, 900)
	eventually(t, "what there is no time for is counted", func() bool {
		return testutil.ToFloat64(again.members[0].shadows.skipped.WithLabelValues("budget")) > 100
	})
}

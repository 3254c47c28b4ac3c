package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// TestDoctorSaysWhatIsWrong runs it on a cluster that works, on one without topics, and on none.
func TestDoctorSaysWhatIsWrong(t *testing.T) {
	s := sharedStack(t)
	for _, c := range []struct {
		name  string
		env   []string
		fails string // the check that does; "" for none
	}{
		{"a cluster that works", nil, ""},
		{"no topics", []string{"KAFKA_TOPIC_VERDICTS=" + s.topics.Verdicts + ".not-there"}, "topics"},
		{"no cluster", []string{"KAFKA_BROKERS=127.0.0.1:1"}, "cluster"},
	} {
		env := append(s.env[:len(s.env):len(s.env)], c.env...)
		out, err := run(t, env, "doctor", "--json")
		if (err != nil) != (c.fails != "") {
			t.Errorf("%s: %v", c.name, err)
		}
		var found []kafka.Finding
		if err := json.Unmarshal([]byte(out), &found); err != nil {
			t.Fatalf("%s: %v: %s", c.name, err, out)
		}
		for _, f := range found {
			if (f.State == kafka.Fail) != (f.Check == c.fails) || f.State != kafka.OK && f.Mend == "" {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
		if text, _ := run(t, env, "doctor"); !strings.Contains(text, "cluster") {
			t.Errorf("%s: prints %q", c.name, text)
		}
	}
}

package kafka

import (
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

func TestTheRetryOfABrokerIsJudged(t *testing.T) {
	for _, c := range []struct {
		backoff, most string
		want          State
		says          string
	}{
		{"20", "100", Warn, "20 ms on broker 1"},
		{"1", "100", OK, "1 ms on broker 1"},
		{"1", "1", Fail, "may wait for ever"},
		{"", "", Warn, "does not say"},
	} {
		f := judgeRetry("1", c.backoff, c.most)
		if f.State != c.want || !strings.Contains(f.Found, c.says) || (f.State == OK) != (f.Mend == "") {
			t.Errorf("%s, at most %s: %+v", c.backoff, c.most, f)
		}
	}
}

func TestAnExaminationOfNoCluster(t *testing.T) {
	found, err := Examine(t.Context(), &Config{Brokers: []string{"127.0.0.1:1"}, Transactions: "t", Verdicts: "v", DeadLetters: "d"})
	if err != nil || len(found) != 1 || found[0].State != Fail || found[0].Mend == "" {
		t.Errorf("%+v, %v", found, err)
	}
}

// findings by the check.
func examine(t *testing.T, cfg *Config) map[string]Finding {
	t.Helper()
	found, err := Examine(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]Finding{}
	for _, f := range found {
		by[f.Check] = f
	}
	return by
}

func TestAnExaminationOfRealBrokers(t *testing.T) {
	c := rig.Kafka(t, 1)
	name := rig.Unique("doctor")
	cfg := &Config{Brokers: c.Brokers, Transactions: name, Verdicts: name + ".out", DeadLetters: name + ".dlq"}
	if f := examine(t, cfg)["topics"]; f.State != Fail || f.Mend != "mlmonitor topics" {
		t.Errorf("without topics: %+v", f)
	}
	if _, err := LayOut(t.Context(), cfg, Layout{Partitions: 2, Replication: -1}, false); err != nil {
		t.Fatal(err)
	}
	want := map[string]State{"cluster": OK, "transaction.version": OK, "topics": OK, retryBackoff: Warn} // a default broker
	found := examine(t, cfg)
	for check, state := range want {
		if found[check].State != state {
			t.Errorf("%s: %+v, want %s", check, found[check], state)
		}
	}
	if f := found[retryBackoff]; !strings.HasPrefix(f.Found, "20 ms on broker 1") {
		t.Errorf("the default of Kafka is 20 ms, found %q", f.Found)
	}
	secure := *cfg
	secure.Brokers, secure.CAFile, secure.Mechanism, secure.Username, secure.Password = c.SecureBrokers, c.CAFile, "SCRAM-SHA-512", "app", Secret(c.AppPassword)
	if f := examine(t, &secure)[retryBackoff]; f.State != Warn || !strings.Contains(f.Mend, "DescribeConfigs") {
		t.Errorf("a user who may not read the settings: %+v", f)
	}
	secure.Password = "wrong"
	if f := examine(t, &secure)["cluster"]; f.State != Fail || !strings.Contains(f.Mend, "KAFKA_SASL_PASSWORD") {
		t.Errorf("a wrong password: %+v", f)
	}
}

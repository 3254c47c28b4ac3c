package kafka

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

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

func TestPartitionsWithoutALeaderFailAndThinOnesWarn(t *testing.T) {
	for _, c := range []struct {
		leaderless, thin []string
		want             State
		says             string
	}{
		{nil, nil, OK, "all 12"},
		{nil, []string{"t/1"}, Warn, "1 of 12 partitions lack a replica: t/1"},
		{[]string{"t/1", "t/2"}, []string{"t/3"}, Fail, "2 of 12 partitions have no leader: t/1, t/2"},
	} {
		if f := judgeReplicas("replicas", 12, c.leaderless, c.thin); f.State != c.want || !strings.Contains(f.Found, c.says) || (f.State == OK) != (f.Mend == "") {
			t.Errorf("%v, %v: %+v", c.leaderless, c.thin, f)
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
	want := map[string]State{"cluster": OK, "transaction.version": OK, "topics": OK, "replicas": OK, "certificate of the brokers": Skip, retryBackoff: Warn} // a default broker
	found := examine(t, cfg)
	for check, state := range want {
		if found[check].State != state {
			t.Errorf("%s: %+v, want %s", check, found[check], state)
		}
	}
	if f := found[retryBackoff]; !strings.HasPrefix(f.Found, "20 ms on broker 1") {
		t.Errorf("the default of Kafka is 20 ms, found %q", f.Found)
	}
	if f := found["cluster"]; !strings.Contains(f.Found, "1 brokers: Kafka v4.") {
		t.Errorf("the version: %+v", f)
	}
	lacking := *cfg
	lacking.Replies = name + ".replies"
	if f := examine(t, &lacking)["topics"]; f.State != Warn || !strings.Contains(f.Found, lacking.Replies) {
		t.Errorf("without the topic of replies: %+v", f)
	}
	secure := *cfg
	secure.Brokers, secure.CAFile, secure.Mechanism, secure.Username, secure.Password = c.SecureBrokers, c.CAFile, "SCRAM-SHA-512", "app", Secret(c.AppPassword)
	if f := examine(t, &secure)[retryBackoff]; f.State != Warn || !strings.Contains(f.Mend, "DescribeConfigs") {
		t.Errorf("a user who may not read the settings: %+v", f)
	}
	if f := examine(t, &secure)["certificate of the brokers"]; f.State != OK && f.State != Warn || !strings.Contains(f.Found, "20") {
		t.Errorf("the brokers' certificate: %+v", f)
	}
	right := Right{Topic: name, Operations: []kmsg.ACLOperation{kmsg.ACLOperationRead}}
	if f := ExamineRights(t.Context(), &secure, "score", []Right{right}); f.State != Fail || !strings.HasSuffix(f.Found, `user "app" may not Read topic `+name) {
		t.Errorf("a right that is missing: %+v", f)
	}
	if f := ExamineRights(t.Context(), cfg, "score", []Right{right, {Topic: name + ".nowhere", Operations: right.Operations}}); f.State != OK {
		t.Errorf("who may do everything: %+v", f)
	}
	secure.Password = "wrong"
	if f := examine(t, &secure)["cluster"]; f.State != Fail || !strings.Contains(f.Mend, "KAFKA_SASL_PASSWORD") {
		t.Errorf("a wrong password: %+v", f)
	}
}

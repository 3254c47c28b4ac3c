package rig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

func client(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func limited(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// topic makes one with a copy on every node.
func topic(t *testing.T, c *kgo.Client) string {
	t.Helper()
	name := Unique("rig")
	if _, err := kadm.NewClient(c).CreateTopic(limited(t, time.Minute), 1, -1, nil, name); err != nil {
		t.Fatal(err)
	}
	return name
}

func produce(t *testing.T, c *kgo.Client, topic, value string) {
	t.Helper()
	record := &kgo.Record{Topic: topic, Value: []byte(value)}
	if err := c.ProduceSync(limited(t, time.Minute), record).FirstErr(); err != nil {
		t.Fatalf("produce %s: %v", value, err)
	}
}

// values reads n records from the start of a topic.
func values(t *testing.T, brokers []string, topic string, n int) []string {
	t.Helper()
	c := client(t, kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx := limited(t, time.Minute)
	var found []string
	for len(found) < n {
		fetches := c.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("read %d of %d records: %v", len(found), n, fetches.Err())
		}
		fetches.EachRecord(func(r *kgo.Record) { found = append(found, string(r.Value)) })
	}
	return found
}

func TestKafkaHasTransactionVersion2Finalized(t *testing.T) {
	c := client(t, kgo.SeedBrokers(Kafka(t, 1).Brokers...))
	request := kmsg.NewPtrApiVersionsRequest()
	request.ClientSoftwareName, request.ClientSoftwareVersion = "rig", "1"
	response, err := request.RequestWith(limited(t, time.Minute), c)
	if err != nil {
		t.Fatal(err)
	}
	finalized := map[string]int16{}
	for _, f := range response.FinalizedFeatures {
		finalized[f.Name] = f.MaxVersionLevel
	}
	if finalized["transaction.version"] != 2 {
		t.Errorf("finalized features are %v, transaction.version must be 2", finalized)
	}
}

// secure gives a client of the listener with TLS.
func secure(t *testing.T, c *Cluster, user, password string) *kgo.Client {
	t.Helper()
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("%s holds no certificate", c.CAFile)
	}
	return client(t, kgo.SeedBrokers(c.SecureBrokers...), kgo.DialTLSConfig(&tls.Config{RootCAs: pool}),
		kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()))
}

func TestSecureListenerGrantsWhatTheACLsSayAndNoMore(t *testing.T) {
	c := Kafka(t, 1)
	admin, app := secure(t, c, "admin", c.AdminPassword), secure(t, c, "app", c.AppPassword)
	ctx := limited(t, time.Minute)
	granted, withheld := topic(t, admin), topic(t, admin)
	acl := kadm.NewACLs().Topics(granted).ResourcePatternType(kadm.ACLPatternLiteral).
		Operations(kadm.OpWrite, kadm.OpDescribe).Allow("User:app").AllowHosts("*")
	made, err := kadm.NewClient(admin).CreateACLs(ctx, acl)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range made {
		if m.Err != nil {
			t.Fatal(m.Err)
		}
	}
	produce(t, app, granted, "mine")
	err = app.ProduceSync(ctx, &kgo.Record{Topic: withheld, Value: []byte("not mine")}).FirstErr()
	if !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("produce without a grant: %v, want TOPIC_AUTHORIZATION_FAILED", err)
	}
}

func TestSecureListenerRefusesAWrongPassword(t *testing.T) {
	c := Kafka(t, 1)
	ctx := limited(t, 5*time.Second) // the client tries again until it is told to end
	if err := secure(t, c, "app", c.AdminPassword).Ping(ctx); err == nil {
		t.Error("a wrong password was let in")
	}
}

func TestSharedKafkaIsSharedAndCannotBeHurt(t *testing.T) {
	c := Kafka(t, 1)
	if again := Kafka(t, 1); again != c {
		t.Error("a second call made another cluster")
	}
	for verb, hurt := range map[string]func(int) error{"kill": c.Kill, "restart": c.Restart, "pause": c.Pause, "resume": c.Resume} {
		if err := hurt(0); !errors.Is(err, errShared) {
			t.Errorf("%s: got %v, want %v", verb, err, errShared)
		}
	}
}

func TestAcknowledgedRecordsSurviveTheKillOfANode(t *testing.T) {
	c := PrivateKafka(t, 3)
	if len(c.Brokers) != 3 {
		t.Fatalf("brokers are %v, want 3", c.Brokers)
	}
	producer := client(t, kgo.SeedBrokers(c.Brokers...), kgo.RequiredAcks(kgo.AllISRAcks()))
	name := topic(t, producer)
	produce(t, producer, name, "three up")
	if err := c.Kill(0); err != nil {
		t.Fatal(err)
	}
	produce(t, producer, name, "two up")
	if err := c.Restart(0); err != nil {
		t.Fatal(err)
	}
	produce(t, producer, name, "three again")
	want := []string{"three up", "two up", "three again"}
	if diff := cmp.Diff(want, values(t, c.Brokers, name, len(want))); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestAPausedNodeDoesNotAnswerUntilItIsResumed(t *testing.T) {
	c := PrivateKafka(t, 1)
	if err := c.Pause(0); err != nil {
		t.Fatal(err)
	}
	if err := client(t, kgo.SeedBrokers(c.Brokers...)).Ping(limited(t, time.Second)); err == nil {
		t.Error("a paused node answers")
	}
	if err := c.Resume(0); err != nil {
		t.Fatal(err)
	}
	if err := client(t, kgo.SeedBrokers(c.Brokers...)).Ping(limited(t, time.Minute)); err != nil {
		t.Errorf("after resume: %v", err)
	}
	if err := c.Kill(1); err == nil {
		t.Error("a node that does not exist was killed")
	}
}

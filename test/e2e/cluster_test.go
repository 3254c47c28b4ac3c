//go:build drill

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// TestALostClusterIsReplaced: under load all brokers die, and what they kept is gone. A new, empty cluster gets its layout from the backup, as docs/backup.md says, and everything goes on there under new names: the rows of before
// are as they were, and every transaction has one verdict. RPO and RTO are printed. Under the names of before the audit writes nothing.
func TestALostClusterIsReplaced(t *testing.T) {
	s := &stack{kafka: rig.PrivateKafka(t, 3), postgres: rig.PrivatePostgres(t)}
	s.db = s.postgres.Roles
	mustRun(t, []string{"DATABASE_URL=" + s.db.OwnerURL}, "migrate")
	plain := []string{"KAFKA_BROKERS=" + s.brokers(), "BUNDLE_DIR=sample"}
	mustRun(t, plain, "topics")
	s.furnish(t)
	before := s.layout(t, "")

	b := newBackup(t, s)
	b.run("deploy/backup/backup.sh init && deploy/backup/backup.sh kafka")

	// The roles have their rights and no others, and the passwords of the cluster that they meet.
	password := filepath.Join(t.TempDir(), "kafka_password")
	secret := func() {
		t.Helper()
		if err := os.WriteFile(password, []byte(s.kafka.AppPassword), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secret()
	secure := []string{"KAFKA_BROKERS=" + strings.Join(s.kafka.SecureBrokers, ","), "KAFKA_TLS_CA_FILE=" + s.kafka.CAFile, "KAFKA_SASL_MECHANISM=SCRAM-SHA-512", "KAFKA_SASL_USERNAME=app", "KAFKA_SASL_PASSWORD_FILE=" + password,
		"BUNDLE_DIR=sample", "DATABASE_URL=" + s.db.WriterURL}
	start := func(names []string) []*process {
		env := append(secure[:len(secure):len(secure)], names...)
		return []*process{supervise(t, "score", "score-0", rig.FreePort(t), env), supervise(t, "audit", "audit-0", rig.FreePort(t), env)}
	}
	roles := start(nil)
	for _, p := range roles {
		p.becomesReady(t)
	}
	source := newSource(t, 8000)
	sent := 0 // of the source's events, those that were given to the cluster
	client := s.client(t)
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for begun := time.Now(); time.Since(begun) < 12*time.Second; sent += 4 {
		<-pace.C
		source.send(t, client, "transactions", sent, sent+1, sent+2, sent+3)
	}

	// The disaster. What is sent meanwhile waits at its source.
	at := time.Now()
	if err := s.kafka.Lose(); err != nil {
		t.Fatal(err)
	}
	client.Close()
	for _, p := range roles {
		eventually(t, p.role+" says that its cluster is away", func() bool { ok, _ := p.ready(); return !ok })
	}

	// The way back.
	if err := s.kafka.Replace(); err != nil {
		t.Fatal(err)
	}
	replaced := time.Since(at)
	secret()
	b.configure()
	for _, p := range roles {
		// Before anybody has granted it anything.
		eventually(t, p.role+" says what it misses", func() bool { _, text := p.ready(); return strings.Contains(text, "Least privilege") })
		_, text := p.ready()
		t.Logf("%s, which runs on, says in the new cluster: %s", p.role, strings.TrimSpace(text))
	}
	b.run(fromTheDocs(t, "deploy/backup/restore.sh kafka layout"))
	laidOut := time.Since(at)
	if diff := cmp.Diff(before, s.layout(t, ".2")); diff != "" {
		t.Errorf("but for the names, the new cluster is laid out otherwise: %s", diff)
	}
	for _, p := range roles {
		p.stop()
	}
	s.topics.Brokers = s.kafka.Brokers
	s.topics.Transactions, s.topics.Verdicts, s.topics.DeadLetters, s.topics.Shadow, s.topics.Replies, s.topics.Models = "transactions.2", "verdicts.2", "transactions.dlq.2", "verdicts.shadow.2", "verdicts.replies.2", "mlmonitor.models.2"
	names := []string{"KAFKA_TOPIC_TRANSACTIONS=transactions.2", "KAFKA_TOPIC_VERDICTS=verdicts.2", "KAFKA_TOPIC_DEAD_LETTERS=transactions.dlq.2", "KAFKA_TOPIC_SHADOW=verdicts.shadow.2", "KAFKA_TOPIC_REPLIES=verdicts.replies.2",
		"KAFKA_TOPIC_MODELS=mlmonitor.models.2"}
	roles = start(names)
	kept := s.sql(t, keptRows)
	audited := s.audited(t)
	var again []int
	lost, refused, unacknowledged := 0, 0, 0
	for i, e := range source.events[:sent] {
		if audited[e.TransactionID()] {
			continue
		}
		again = append(again, i)
		switch {
		case !source.acknowledged[i].Load():
			unacknowledged++
		case e.Malformed != "":
			refused++
		default:
			lost++
		}
	}
	client = s.client(t)
	source.send(t, client, "transactions.2", again...)
	for i := sent; i < sent+1000; i++ {
		source.send(t, client, "transactions.2", i)
	}
	sent += 1000
	eventually(t, "a verdict is in the audit again", func() bool {
		return s.sql(t, `SELECT count(*)::text FROM verdicts WHERE topic = 'verdicts.2'`) != "0"
	})
	back := time.Since(at)

	var found app.Reconciliation
	eventually(t, "every input has one answer, and every verdict one row", func() bool {
		var err error
		found, err = app.Reconcile(t.Context(), &s.topics)
		return err == nil && found.Exact() && found.Transactions == int64(len(again)+1000) && s.sql(t, `SELECT count(*)::text FROM verdicts WHERE topic = 'verdicts.2'`) == fmt.Sprint(found.Verdicts)
	})
	if now := s.sql(t, keptRows); now != kept {
		t.Errorf("the rows of before were %s and are %s", kept, now)
	}
	good := 0
	for _, e := range source.events[:sent] {
		if e.Malformed == "" {
			good++
		}
	}
	if rows := s.sql(t, `SELECT count(*) || ' of ' || count(DISTINCT transaction_id) FROM verdicts`); rows != fmt.Sprintf("%d of %d", good, good) {
		t.Errorf("the audit has %s transactions, %d have one verdict each", rows, good)
	}
	if rows := s.sql(t, `SELECT count(*)::text FROM (SELECT source_topic, source_partition, source_offset FROM verdicts GROUP BY 1, 2, 3 HAVING count(*) > 1) AS twice`); rows != "0" {
		t.Errorf("%s inputs have two rows", rows)
	}
	if out := mustRun(t, append(plain, names...), "replay", "--verify"); strings.Contains(out, "DIFFERS") {
		t.Errorf("replay says %s", out)
	}
	t.Logf("RPO: %d of %d acknowledged transactions had no row, and %d dead letters were lost with the cluster; their producer sent them again, and %d that were not acknowledged: 0 of %d are without a verdict now", lost, sent-1000-unacknowledged, refused, unacknowledged, good)
	t.Logf("RTO: %.1f s to an empty cluster, %.1f s to its topics and rights, %.1f s until a verdict was in the audit again", replaced.Seconds(), laidOut.Seconds(), back.Seconds())

	// Who makes the topics under the names of before gets the same cluster as before, and no row.
	for _, p := range roles {
		p.stop()
	}
	b.run("deploy/backup/restore.sh kafka before && deploy/backup/restore.sh topics before")
	if diff := cmp.Diff(before, slices.DeleteFunc(s.layout(t, ""), func(line string) bool { return strings.Contains(line, ".2 ") })); diff != "" {
		t.Errorf("under the names of before it is laid out otherwise: %s", diff)
	}
	rows := s.count(t.Context())
	roles = start(nil)
	for i := sent; i < sent+1000; i++ {
		source.send(t, client, "transactions", i)
	}
	s.topics.Transactions, s.topics.Verdicts, s.topics.DeadLetters = "transactions", "verdicts", "transactions.dlq"
	eventually(t, "everything is answered", func() bool {
		found, err := app.Reconcile(t.Context(), &s.topics)
		return err == nil && found.Exact() && found.Transactions == 1000
	})
	eventually(t, "the audit refuses", func() bool {
		text, err := os.ReadFile(roles[1].log)
		return err == nil && strings.Contains(string(text), "topic verdicts was made anew")
	})
	out, err := run(t, append(plain, "DATABASE_URL="+s.db.WriterURL), "doctor")
	if err == nil || !strings.Contains(out, "topic verdicts was made anew") {
		t.Errorf("doctor says %v: %s", err, out)
	}
	if n := s.count(t.Context()); n != rows {
		t.Errorf("%d rows were written of a topic that was made anew", n-rows)
	}
}

// TestRolesRunOnIntoAnotherCluster: who makes the topics under their names of before, while everything runs, has scorers that answer what comes there, each once, and an audit that says why it writes nothing.
func TestRolesRunOnIntoAnotherCluster(t *testing.T) {
	s := newStack(t)
	score, audit := s.score(t, "score-0", rig.FreePort(t)), s.audit(t, "audit-0", rig.FreePort(t))
	scored := func(n int64) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d inputs are answered, each once", n), func() bool {
			found, err := app.Reconcile(t.Context(), &s.topics)
			return err == nil && found.Exact() && found.Transactions == n
		})
	}
	s.produce(t, 0, 300)
	scored(300)
	eventually(t, "all is audited", func() bool { return s.count(t.Context()) == 300 })
	if err := s.kafka.Lose(); err != nil {
		t.Fatal(err)
	}
	if err := s.kafka.Replace(); err != nil {
		t.Fatal(err)
	}
	mustRun(t, s.env, "topics")
	s.produce(t, 300, 500) // more than there were: offsets of before are passed
	scored(500)
	score.becomesReady(t)
	eventually(t, "the audit refuses", func() bool {
		ok, text := audit.ready()
		return !ok && strings.Contains(text, "topic verdicts was made anew")
	})
	if n := s.count(t.Context()); n != 300 {
		t.Errorf("the audit has %d rows, it had 300", n)
	}
	if score.starts(t) != 1 || audit.starts(t) != 1 {
		t.Errorf("the scorer was started %d times, the audit %d", score.starts(t), audit.starts(t))
	}
}

// TestAGroupIsPutBackWhereItWas: the offsets of a group that was deleted come back from the backup, and scorers go on where they were. Those of an older backup are not believed, and those of topics that were made anew not fed back.
func TestAGroupIsPutBackWhereItWas(t *testing.T) {
	s := sharedStack(t)
	b := newBackup(t, s)
	group := strings.TrimSuffix(s.topics.Transactions, ".in")
	scored := func(n int64) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d inputs are answered, each once", n), func() bool {
			found, err := app.Reconcile(t.Context(), &s.topics)
			return err == nil && found.Exact() && found.Transactions == n
		})
	}
	adm := kadm.NewClient(s.client(t))
	forget := func() {
		t.Helper()
		// A scorer that stopped while it waited holds its place until its session ends.
		eventually(t, "the group is deleted", func() bool { _, err := adm.DeleteGroup(t.Context(), group); return err == nil })
	}

	score := s.score(t, "score-0", rig.FreePort(t))
	s.produce(t, 0, 200)
	scored(200)
	b.run("deploy/backup/backup.sh init && deploy/backup/backup.sh kafka && deploy/backup/restore.sh kafka older")
	s.produce(t, 200, 100)
	scored(300)
	score.stop()
	b.run("deploy/backup/backup.sh kafka && deploy/backup/restore.sh kafka latest")

	for _, lost := range []struct{ what, run string }{{"no offsets", "true"}, {"those of an older backup", "deploy/backup/restore.sh offsets older " + group}} {
		forget()
		b.run(lost.run)
		score = s.score(t, "score-0", rig.FreePort(t))
		eventually(t, "a scorer with "+lost.what+" does not believe them", func() bool { _, text := score.ready(); return strings.Contains(text, "behind what is answered") })
		score.stop()
		scored(300)
	}
	forget()
	b.run("deploy/backup/restore.sh offsets latest " + group)
	score = s.score(t, "score-0", rig.FreePort(t))
	score.becomesReady(t)
	s.produce(t, 300, 100)
	scored(400)
	if out, err := b.try("deploy/backup/restore.sh offsets latest " + group); err == nil {
		t.Errorf("the offsets of a group at work were set: %s", out)
	}
	score.stop()

	if _, err := adm.DeleteTopic(t.Context(), s.topics.Transactions); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the topic is there again", func() bool { _, err := run(t, s.env, "topics"); return err == nil })
	if out, err := b.try("deploy/backup/restore.sh offsets latest " + group); err == nil || !strings.Contains(out, "made anew") {
		t.Errorf("offsets of before were set in a topic that was made anew: %v, %s", err, out)
	}
}

// keptRows is a fingerprint of the rows of before the loss.
const keptRows = `SELECT count(*) || ' ' || coalesce(md5(string_agg(v::text, '|' ORDER BY partition, "offset")), '') FROM verdicts AS v WHERE topic = 'verdicts'`

// furnish gives the cluster what another has after years: settings of topics, another application's topic, and rights of every kind.
func (s *stack) furnish(t *testing.T) {
	t.Helper()
	cl := s.client(t)
	adm := kadm.NewClient(cl)
	ok := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	set := func(name, value string) kadm.AlterConfig { return kadm.AlterConfig{Name: name, Value: &value} }
	ok(adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{set("min.insync.replicas", "1"), set("retention.ms", "1209600000")}, "transactions"))
	ok(adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{set("retention.ms", "7776000000"), set("min.insync.replicas", "2")}, "verdicts"))
	value := func(text string) *string { return &text }
	ok(adm.CreateTopic(t.Context(), 3, 2, map[string]*string{"cleanup.policy": value("compact,delete"), "compression.type": value("zstd"), "segment.bytes": value("1048577")}, "customers_eu"))

	grant := func(user string, b *kadm.ACLBuilder, operations ...kadm.ACLOperation) {
		t.Helper()
		ok(adm.CreateACLs(t.Context(), b.ResourcePatternType(kadm.ACLPatternLiteral).Operations(operations...).Allow(user).AllowHosts()))
	}
	// docs/operations.md, "Least privilege".
	grant("User:app", kadm.NewACLs().Topics("transactions"), kadm.OpRead)
	grant("User:app", kadm.NewACLs().Topics("verdicts", "transactions.dlq"), kadm.OpRead, kadm.OpWrite, kadm.OpDescribeConfigs)
	grant("User:app", kadm.NewACLs().Topics("mlmonitor.models", "verdicts.shadow", "verdicts.replies"), kadm.OpWrite)
	grant("User:app", kadm.NewACLs().Groups("mlmonitor-score", "mlmonitor-audit"), kadm.OpRead)
	grant("User:app", kadm.NewACLs().TransactionalIDs("mlmonitor-score-score-0"), kadm.OpWrite)
	// Others'.
	grant("User:CN=reports,OU=Fraud & Risk,O=Example", kadm.NewACLs().Topics("customers_eu"), kadm.OpAll)
	grant("User:ops", kadm.NewACLs().Clusters(), kadm.OpIdempotentWrite, kadm.OpDescribe)
	grant("User:ops", kadm.NewACLs().Groups("*"), kadm.OpDescribe)
	grant("User:ops", kadm.NewACLs().Groups("nightly (old)"), kadm.OpDelete)
	ok(adm.CreateACLs(t.Context(), kadm.NewACLs().Topics("customers").ResourcePatternType(kadm.ACLPatternPrefixed).Operations(kadm.OpRead).Deny("User:guest").DenyHosts("10.1.2.3")))
}

// layout is what there is: topics with all their settings, and rights, as lines. Names are told without suffix.
func (s *stack) layout(t *testing.T, suffix string) (lines []string) {
	t.Helper()
	cl := s.client(t)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	topics, err := adm.ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics.Sorted() {
		lines = append(lines, fmt.Sprintf("topic %s : %d partitions, %d replicas", strings.TrimSuffix(topic.Topic, suffix), len(topic.Partitions), topic.Partitions.NumReplicas()))
	}
	configs, err := adm.DescribeTopicConfigs(t.Context(), topics.Names()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs {
		for _, set := range c.Configs {
			lines = append(lines, fmt.Sprintf("topic %s : %s=%s, by %s", strings.TrimSuffix(c.Name, suffix), set.Key, set.MaybeValue(), set.Source))
		}
	}
	all := kmsg.NewPtrDescribeACLsRequest()
	all.ResourceType, all.ResourcePatternType, all.Operation, all.PermissionType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny, kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	rights, err := all.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rights.Resources {
		for _, a := range r.ACLs {
			lines = append(lines, fmt.Sprintf("%s %s : %s: %s of %s from %s: %s", r.ResourceType, strings.TrimSuffix(r.ResourceName, suffix), r.ResourcePatternType, a.Operation, a.Principal, a.Host, a.PermissionType))
		}
	}
	if rights.ErrorCode != 0 || len(rights.Resources) == 0 || len(topics) == 0 {
		t.Fatalf("%d topics, rights to %d resources, error %d", len(topics), len(rights.Resources), rights.ErrorCode)
	}
	slices.Sort(lines)
	return lines
}

// client may do all.
func (s *stack) client(t *testing.T) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.kafka.Brokers...), kgo.ProducerLinger(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// sql asks the database as its reader.
func (s *stack) sql(t *testing.T, statement string) string {
	t.Helper()
	return ask(t, s.db.ReaderURL, statement)
}

// audited are the ids of the transactions that have a row.
func (s *stack) audited(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for id := range strings.SplitSeq(s.sql(t, `SELECT coalesce(string_agg(transaction_id, ' '), '') FROM verdicts`), " ") {
		all[id] = true
	}
	return all
}

// source has transactions, and knows which of them Kafka has acknowledged.
type source struct {
	events       []producer.Event
	acknowledged []atomic.Bool
}

func newSource(t *testing.T, n int) *source {
	t.Helper()
	sim, err := producer.NewSimulator(producer.SimulatorConfig{Seed: 1, Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Customers: 300, Terminals: 100, Malformed: 0.005})
	if err != nil {
		t.Fatal(err)
	}
	s := &source{acknowledged: make([]atomic.Bool, n)}
	for range n {
		s.events = append(s.events, sim.Next(nil))
	}
	return s
}

func (s *source) send(t *testing.T, cl *kgo.Client, topic string, which ...int) {
	t.Helper()
	for _, i := range which {
		cl.Produce(t.Context(), &kgo.Record{Topic: topic, Key: s.events[i].Key, Value: s.events[i].Value}, func(_ *kgo.Record, err error) {
			if err == nil {
				s.acknowledged[i].Store(true)
			}
		})
	}
}

// fromTheDocs is the block of docs/backup.md that begins with a line.
func fromTheDocs(t *testing.T, line string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/backup.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begins := strings.Cut(string(text), "```sh\n"+line)
	block, _, ends := strings.Cut(rest, "```")
	if !begins || !ends {
		t.Fatalf("docs/backup.md has no block that begins with %s", line)
	}
	return line + block
}

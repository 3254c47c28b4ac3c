package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// grant is one of the rights that docs/operations.md lists.
type grant struct {
	role     string // that needs it
	resource string // topic, group or transactional id, without the prefix of this test
	acl      *kadm.ACLBuilder
	says     []string // what the role must say when it is missing
}

// TestEachMissingACLIsNamed takes one right away after the other, everything else granted: the role must say which, stay alive, not storm the brokers,
// and go on by itself once the right is there, with nothing lost or doubled.
func TestEachMissingACLIsNamed(t *testing.T) {
	s := sharedStack(t)
	db := rig.Postgres(t).Database(t)
	mustRun(t, []string{"DATABASE_URL=" + db.OwnerURL}, "migrate")
	s.db = db
	group := strings.TrimSuffix(s.topics.Transactions, ".in")
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.kafka.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	grants := []grant{
		{"score", s.topics.Transactions, kadm.NewACLs().Topics(s.topics.Transactions).Operations(kadm.OpRead), []string{"topic " + s.topics.Transactions, "Read"}},
		{"score", s.topics.Verdicts, kadm.NewACLs().Topics(s.topics.Verdicts).Operations(kadm.OpWrite), []string{"topic " + s.topics.Verdicts, "Write"}},
		{"score", s.topics.DeadLetters, kadm.NewACLs().Topics(s.topics.DeadLetters).Operations(kadm.OpWrite), []string{"topic " + s.topics.DeadLetters, "Write"}},
		{"score", s.topics.Verdicts, kadm.NewACLs().Topics(s.topics.Verdicts).Operations(kadm.OpDescribeConfigs), []string{"topic " + s.topics.Verdicts, "DescribeConfigs"}},
		{"score", s.topics.Models, kadm.NewACLs().Topics(s.topics.Models).Operations(kadm.OpWrite), []string{"topic " + s.topics.Models, "Write"}},
		{"score", s.topics.DeadLetters, kadm.NewACLs().Topics(s.topics.DeadLetters).Operations(kadm.OpDescribeConfigs), []string{"topic " + s.topics.DeadLetters, "DescribeConfigs"}},
		{"score", group, kadm.NewACLs().Groups(group).Operations(kadm.OpRead), []string{"group " + group, "Read"}},
		{"score", group + "-score-1", kadm.NewACLs().TransactionalIDs(group + "-score-1").Operations(kadm.OpWrite), []string{"transactional id " + group + "-score-1", "Write"}},
		{"audit", s.topics.Verdicts, kadm.NewACLs().Topics(s.topics.Verdicts).Operations(kadm.OpRead), []string{"topic " + s.topics.Verdicts, "Read"}},
		{"audit", group + "-audit", kadm.NewACLs().Groups(group + "-audit").Operations(kadm.OpRead), []string{"group " + group + "-audit", "Read"}},
	}
	user := func(b *kadm.ACLBuilder) *kadm.ACLBuilder {
		return b.ResourcePatternType(kadm.ACLPatternLiteral).Allow("User:app").AllowHosts()
	}
	change := func(b *kadm.ACLBuilder, add bool) {
		t.Helper()
		var err error
		if add {
			_, err = adm.CreateACLs(t.Context(), user(b))
		} else {
			_, err = adm.DeleteACLs(t.Context(), user(b))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range grants {
		change(g.acl, true)
	}
	secure := append(s.env, "KAFKA_BROKERS="+strings.Join(s.kafka.SecureBrokers, ","), "KAFKA_TLS_CA_FILE="+s.kafka.CAFile, "KAFKA_SASL_MECHANISM=SCRAM-SHA-512",
		"KAFKA_SASL_USERNAME=app", "KAFKA_SASL_PASSWORD="+s.kafka.AppPassword)
	roles := map[string]*process{
		"score": supervise(t, "score", "score-1", rig.FreePort(t), secure),
		"audit": supervise(t, "audit", "audit-1", rig.FreePort(t), append(secure, "AUDIT_GROUP="+group+"-audit", "DATABASE_URL="+db.WriterURL)),
	}
	for _, p := range roles {
		p.becomesReady(t)
	}
	for i, g := range grants {
		p := roles[g.role]
		change(g.acl, false)
		p.kill() // a right may be looked at at the start only
		s.produce(t, i*50, 50, "--malformed", "0.2")
		var text string
		eventually(t, fmt.Sprintf("%s says that it may not %v", g.role, g.says), func() bool {
			var ok bool
			ok, text = p.ready()
			for _, want := range append(g.says, "Least privilege") {
				ok = ok || !strings.Contains(text, want)
			}
			return !ok
		})
		t.Logf("%s without %s: %s", g.role, g.says, strings.TrimSpace(text))
		before, begin := restarts(t, p), time.Now()
		time.Sleep(2 * time.Second)
		// From a quarter of a second on each wait is twice the last: at most three lives begin in two seconds, and one is under way.
		if n := restarts(t, p) - before; n > 2+time.Since(begin).Seconds() {
			t.Errorf("%s without %s: %v lives in two seconds are a storm", g.role, g.says, n)
		}
		change(g.acl, true)
		p.becomesReady(t)
	}
	sent := int64(50 * len(grants))
	eventually(t, "every input is answered once, and audited once", func() bool {
		found, err := app.Reconcile(t.Context(), &s.topics)
		return err == nil && found.Exact() && found.Transactions == sent && int64(s.count(t.Context())) == found.Verdicts
	})
	for name, p := range roles {
		log, err := os.ReadFile(p.log)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(log), s.kafka.AppPassword) {
			t.Errorf("the log of %s has the password", name)
		}
	}
}

// restarts counts how often the client of a role was made anew.
func restarts(t *testing.T, p *process) float64 {
	t.Helper()
	return counter(t, p, "_restarts_total")
}

// counter is the value of the first metric whose name ends so.
func counter(t *testing.T, p *process, end string) (n float64) {
	t.Helper()
	_, metrics := fetch(t, p.url+"/metrics")
	for line := range strings.Lines(metrics) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasSuffix(name, end) {
			if _, err := fmt.Sscan(value, &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s has no metric …%s", p.role, end)
	return 0
}

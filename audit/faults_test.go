package audit

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// hostOf is the host and port of a URL.
func hostOf(t *testing.T, secret kafka.Secret) string {
	t.Helper()
	u, err := url.Parse(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// behindProxy is a stage whose database is Postgres behind a proxy; the broker is embedded.
func behindProxy(t *testing.T) (*stage, *proxy) {
	t.Helper()
	s := newStage(t, onPostgres(t), embeddedBroker(t).Brokers())
	p := newProxy(t, hostOf(t, s.writer.DatabaseURL))
	s.writer.DatabaseURL = p.through(t, s.writer.DatabaseURL)
	return s, p
}

func TestACommitWhoseAnswerIsLostIsNeitherLostNorDoubled(t *testing.T) {
	for name, answered := range map[string]bool{"before the server": false, "after the server": true} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, onPostgres(t), embeddedBroker(t).Brokers())
			db, err := parseDatabaseURL(s.writer.DatabaseURL)
			if err != nil {
				t.Fatal(err)
			}
			cut := &cutter{answered: answered}
			cut.times.Store(3)
			db.postgres.ConnConfig.AfterNetConnect = cut.connect
			store, err := openPostgres(t.Context(), db.postgres)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			p := s.producer(t)
			m := s.start(t, "a", store)
			for range 6 {
				p.transaction(t, 20, true)
				s.complete(t)
			}
			if left := cut.times.Load(); left > 0 {
				t.Errorf("%d cuts did not happen", left)
			}
			if got := value(m.metrics.appendErrors); got != 3 {
				t.Errorf("append_errors_total is %v", got)
			}
			m.ready(t) // also when the last batch was committed by the cut transaction, and nothing follows
		})
	}
}

func TestADatabaseThatGoesAndComesBackLosesNothing(t *testing.T) {
	s, proxy := behindProxy(t)
	proxy.down() // it is away when the writer starts
	p := s.producer(t)
	p.transaction(t, 30, true)
	m := s.start(t, "a", s.open(t))
	m.notReady(t, "audit database")
	proxy.up(t)
	s.complete(t)
	m.ready(t)
	for range 2 {
		proxy.down()
		p.transaction(t, 30, true)
		m.notReady(t, "audit database")
		proxy.up(t)
		s.complete(t)
		m.ready(t)
	}
	if err := m.end(t); err != nil {
		t.Errorf("Run returned %v", err)
	}
}

func TestABrokerThatGoesAndComesBackLosesNothing(t *testing.T) {
	dir := t.TempDir()
	start := func(opts ...kfake.Opt) *kfake.Cluster {
		c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1), kfake.DataDir(dir))...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	broker := start()
	t.Cleanup(func() { broker.Close() })
	s := newStage(t, onSQLite(t), broker.ListenAddrs())
	_, text, err := net.SplitHostPort(broker.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	s.producer(t).transaction(t, 30, true)
	broker.Close() // it is away when the writer starts
	m := s.start(t, "a", s.open(t))
	m.notReady(t, "refused")
	for range 2 {
		broker = start(kfake.Ports(port))
		s.producer(t).transaction(t, 30, true)
		s.complete(t)
		m.ready(t)
		broker.Close()
		m.notReady(t, "")
	}
	broker = start(kfake.Ports(port))
	s.producer(t).transaction(t, 30, true)
	s.complete(t)
}

func TestAPostgresThatIsKilledAndRestartedLosesNothing(t *testing.T) {
	server := rig.PrivatePostgres(t)
	b := &bench{writer: config(server.WriterURL), owner: config(server.OwnerURL), postgres: server.Roles}
	migrate(t, b.owner)
	b.view = connect(t, server.OwnerURL)
	s := newStage(t, b, embeddedBroker(t).Brokers())
	m := s.start(t, "a", s.open(t))
	p := s.producer(t)
	p.transaction(t, 30, true)
	m.ready(t)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	p.transaction(t, 30, true)
	m.notReady(t, "audit database")
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	s.complete(t)
	m.ready(t)
}

// frozen is a store whose appends do not return before their context ends; it tells when one has begun.
type frozen struct {
	Store
	begun chan struct{}
}

func (f frozen) Append(ctx context.Context, _ string, _ []Batch) error {
	close(f.begun)
	<-ctx.Done()
	return ctx.Err()
}

func TestTheWriterStopsInTimeWhileTheDatabaseIsFrozen(t *testing.T) {
	s := newStage(t, onSQLite(t), embeddedBroker(t).Brokers())
	s.producer(t).transaction(t, 30, true)
	f := frozen{s.open(t), make(chan struct{})}
	m := s.start(t, "a", f, func(w *Writer) { w.finishIn = finishTimeout })
	<-f.begun
	if err := m.end(t); err != nil {
		t.Errorf("Run returned %v", err)
	}
	if !strings.Contains(m.log.String(), "left the group") {
		t.Error("it did not leave the group")
	}
	if n := len(s.rows(t)); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestTheWriterStopsInTimeWhileEverythingIsAway(t *testing.T) {
	s, proxy := behindProxy(t)
	p := s.producer(t)
	p.transaction(t, 30, true)
	m := s.start(t, "", s.open(t))
	s.complete(t)
	proxy.down()
	p.transaction(t, 30, true)
	m.notReady(t, "audit database")
	if err := m.end(t); err != nil {
		t.Errorf("Run returned %v", err)
	}
}

// What waiting does not mend is told at once, with the remedy and without the password.
func TestWhatADatabaseRefusesAtStartIsAnError(t *testing.T) {
	b := onPostgres(t)
	change := func(f func(*url.URL)) kafka.Secret {
		u, err := url.Parse(b.writer.DatabaseURL.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		f(u)
		return kafka.Secret(u.String())
	}
	for name, c := range map[string]struct {
		url    kafka.Secret
		remedy string
	}{
		"a wrong password": {change(func(u *url.URL) { u.User = url.UserPassword("audit", "hunter2") }), "check user, password"},
		"no such role":     {change(func(u *url.URL) { u.User = url.UserPassword("nobody", "hunter2") }), "check user, password"},
		"no such database": {change(func(u *url.URL) { u.Path += "x" }), "DATABASE_URL"},
		"a foreign CA":     {change(func(u *url.URL) { u.RawQuery = "sslmode=verify-full" }), "sslrootcert"},
		"no tables":        {kafka.Secret(rig.Postgres(t).Database(t).WriterURL), "mlmonitor migrate"},
		"the reader":       {kafka.Secret(b.postgres.ReaderURL), "AUDIT_WRITER_ROLE"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, &bench{writer: b.writer, view: b.view}, embeddedBroker(t).Brokers())
			s.writer.DatabaseURL = c.url
			err := s.start(t, "a", s.open(t)).returns(t)
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.remedy) {
				t.Errorf("got %v", err)
			}
			if password, _ := mustParse(t, c.url).User.Password(); strings.Contains(err.Error(), password) {
				t.Errorf("the password stands in %v", err)
			}
		})
	}
}

func mustParse(t *testing.T, secret kafka.Secret) *url.URL {
	t.Helper()
	u, err := url.Parse(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// After it has worked once, a refusal is waited for: a table that is migrated or a grant that is given back mends it.
func TestARefusalMidwayIsWaitedFor(t *testing.T) {
	s := newStage(t, onPostgres(t), embeddedBroker(t).Brokers())
	p := s.producer(t)
	m := s.start(t, "a", s.open(t))
	m.ready(t)
	if _, err := s.view.Exec(`REVOKE INSERT ON verdicts FROM audit`); err != nil {
		t.Fatal(err)
	}
	p.transaction(t, 30, true)
	m.notReady(t, "may not write verdicts")
	migrate(t, s.owner) // gives the grants again
	s.complete(t)
	m.ready(t)
}

func TestAMissingTopicIsWaitedFor(t *testing.T) {
	s := newStage(t, onSQLite(t), embeddedBroker(t).Brokers())
	there := s.topics
	s.topics.Verdicts += ".later"
	m := s.start(t, "a", s.open(t))
	m.notReady(t, "mlmonitor topics")
	s.topics.Transactions, s.topics.DeadLetters = there.Transactions, there.DeadLetters
	if _, err := kafka.LayOut(t.Context(), &s.topics, kafka.Layout{Partitions: testPartitions, Replication: -1}, false); err != nil {
		t.Fatal(err)
	}
	s.producer(t).transaction(t, 30, true)
	s.complete(t)
	m.ready(t)
}

// A writer that is frozen within its transaction must not hold the partitions: the server ends the transaction.
func TestTheServerBoundsWhatAWriterHolds(t *testing.T) {
	b := onPostgres(t)
	s := b.open(t).(*postgres)
	for name, want := range sessionSettings {
		var got string
		if err := s.pool.QueryRow(t.Context(), `SELECT current_setting($1)`, name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q: %v", name, got, want, err)
		}
	}
}

// Append waits for a lock that another holds, but not for ever, and nothing is lost.
func TestALockThatIsHeldIsWaitedForInBounds(t *testing.T) {
	b := onPostgres(t)
	b.writer.DatabaseURL += "&lock_timeout=200ms" // the URL's own setting stands
	s := b.open(t)
	appended(t, s, stretch(t, 0, 0, 1))
	tx, err := b.view.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(`SELECT * FROM audit_offsets FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), topic, []Batch{stretch(t, 0, 2, 2)}); err == nil || errors.Is(err, ErrFenced) || errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	appended(t, s, stretch(t, 0, 2, 2))
}

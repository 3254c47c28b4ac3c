package audit

import (
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// checkTimeout bounds one question to a server.
const checkTimeout = 10 * time.Second

// versionComment and the version of the tables are the comment of table verdicts.
const versionComment = "ML-Monitor audit, version "

// Bounds of what is well.
const (
	fewDaysAhead = 2
	clockWarn    = 2 * time.Second
	clockFail    = time.Minute
	mostCounted  = 100_000 // strays
)

// examination is of one database, by one user of it.
type examination struct {
	prefix   string // of the checks' names
	variable string
	writes   bool
	pool     int // connections that a process takes at most
}

// ExamineWriter checks the database of DATABASE_URL, which is the writer's or the owner's.
func ExamineWriter(ctx context.Context, cfg Config) []kafka.Finding {
	return examination{"audit", "DATABASE_URL", true, maxConnections}.run(ctx, cfg.DatabaseURL)
}

// ExamineReader checks the database that a variable names, as a reader.
func ExamineReader(ctx context.Context, variable string, secret kafka.Secret) []kafka.Finding {
	return examination{"api", variable, false, 2 * maxConnections}.run(ctx, secret)
}

func (e examination) run(ctx context.Context, secret kafka.Secret) []kafka.Finding {
	db, err := parseDatabaseURL(secret)
	if err != nil {
		return []kafka.Finding{e.unreachable(err)}
	}
	if db.sqlite != "" {
		return e.sqlite(ctx, db.sqlite)
	}
	c := db.postgres.ConnConfig.Copy()
	c.RuntimeParams["application_name"], c.RuntimeParams["default_transaction_read_only"] = "mlmonitor-doctor", "on"
	c.RuntimeParams["statement_timeout"] = "5s"
	c.ConnectTimeout = connectTimeout
	connect, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(connect, c)
	if err != nil {
		return []kafka.Finding{e.unreachable(explain("connect", err))}
	}
	defer conn.Close(context.WithoutCancel(ctx))
	encrypted, certificate := "without TLS", kafka.Skipped(e.prefix+".certificate", "the connection has no TLS")
	if t, ok := conn.PgConn().Conn().(*tls.Conn); ok {
		encrypted, certificate = "TLS", kafka.JudgeCertificates(certificate.Check, time.Now(), t.ConnectionState().PeerCertificates, false)
	}
	found := []kafka.Finding{kafka.Good(e.prefix+".database", fmt.Sprintf("PostgreSQL %s, user %s, %s", conn.PgConn().ParameterStatus("server_version"), c.User, encrypted)), certificate}
	for i, one := range []func(context.Context, *pgx.Conn) (kafka.Finding, error){e.migrations, e.rights, e.partitions, e.connections, e.clock} {
		asked, cancel := context.WithTimeout(ctx, checkTimeout)
		f, err := one(asked, conn)
		cancel()
		if err != nil {
			f.State, f.Found, f.Mend = kafka.Fail, e.name(explain("ask the audit database", err)), "see the database's log"
			if why := refusal(err); why != "" {
				f.Mend = e.name(fmt.Errorf("%s", why))
			}
		}
		found = append(found, f)
		if i == 0 && strings.HasPrefix(f.Found, noTables) {
			break // the others ask the tables
		}
	}
	return found
}

// name gives an error's text with the setting's name in it.
func (e examination) name(err error) string {
	return strings.ReplaceAll(err.Error(), "DATABASE_URL", e.variable)
}

func (e examination) unreachable(err error) kafka.Finding {
	mend := "start it, or mend " + e.variable
	if why := refusal(err); why != "" {
		mend = e.name(fmt.Errorf("%s", why))
	}
	return kafka.Failed(e.prefix+".database", e.name(err), mend)
}

const noTables = "there are no tables"

// mendTables is what to do about them.
const mendTables = "run `mlmonitor migrate` with the owner's DATABASE_URL"

func (e examination) migrations(ctx context.Context, conn *pgx.Conn) (kafka.Finding, error) {
	f := kafka.Finding{Check: e.prefix + ".migrations"}
	var there, owner bool
	var comment string
	if err := conn.QueryRow(ctx, `SELECT to_regclass('verdicts') IS NOT NULL, coalesce(has_table_privilege(to_regclass('goose_db_version')::oid, 'SELECT'), false),
		coalesce(obj_description(to_regclass('verdicts')::oid, 'pg_class'), '')`).Scan(&there, &owner, &comment); err != nil {
		return f, err
	}
	if !there {
		return kafka.Failed(f.Check, noTables, mendTables), nil
	}
	version := int64(0)
	if owner {
		if err := conn.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version); err != nil {
			return f, err
		}
	} else if text, ok := strings.CutPrefix(comment, versionComment); ok {
		version, _ = strconv.ParseInt(text, 10, 64)
	}
	return judgeVersion(f.Check, version, "postgres")
}

// judgeVersion compares with the migrations of this program; 0 is a version that nobody has noted.
func judgeVersion(check string, version int64, dir string) (kafka.Finding, error) {
	newest, err := newestMigration(dir)
	if err != nil {
		return kafka.Finding{Check: check}, err
	}
	switch {
	case version == 0:
		return kafka.Warned(check, fmt.Sprintf("the tables do not say their version, %d is this program's: they were migrated by one before it", newest), mendTables), nil
	case version < newest:
		return kafka.Failed(check, fmt.Sprintf("the tables are too old: version %d, %d is this program's", version, newest), mendTables), nil
	case version > newest:
		return kafka.Failed(check, fmt.Sprintf("the tables are too new: version %d, %d is this program's", version, newest), "run the newer mlmonitor"), nil
	}
	return kafka.Good(check, fmt.Sprintf("version %d, this program's", version)), nil
}

// newestMigration is the highest number among the files.
func newestMigration(dir string) (newest int64, err error) {
	files, err := fs.ReadDir(migrations, path.Join("migrations", dir))
	for _, f := range files {
		number, _, _ := strings.Cut(f.Name(), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, err
		}
		newest = max(newest, n)
	}
	return newest, err
}

func (e examination) rights(ctx context.Context, conn *pgx.Conn) (kafka.Finding, error) {
	check := e.prefix + ".rights"
	var user string
	var owner, writes, reads bool
	if err := conn.QueryRow(ctx, `SELECT current_user, pg_has_role(relowner, 'USAGE'),
		has_table_privilege('verdicts', 'INSERT') AND has_table_privilege('audit_rejects', 'INSERT') AND has_table_privilege('audit_offsets', 'SELECT')
			AND has_table_privilege('audit_offsets', 'INSERT') AND has_table_privilege('audit_offsets', 'UPDATE')
			AND has_table_privilege('audit_topics', 'SELECT') AND has_table_privilege('audit_topics', 'INSERT'),
		has_table_privilege('verdicts', 'SELECT') FROM pg_class WHERE oid = 'verdicts'::regclass`).Scan(&user, &owner, &writes, &reads); err != nil {
		return kafka.Finding{Check: check}, err
	}
	return e.judgeRights(check, user, owner, writes, reads), nil
}

func (e examination) judgeRights(check, user string, owner, writes, reads bool) kafka.Finding {
	switch {
	case e.writes && owner:
		return kafka.Good(check, fmt.Sprintf("%s is the owner: right for migrate; audit should be the writer", user))
	case e.writes && !writes:
		return kafka.Failed(check, fmt.Sprintf("%s may not write verdicts", user), "set AUDIT_WRITER_ROLE to it and run `mlmonitor migrate` as the owner, or name another user in "+e.variable)
	case e.writes && reads:
		return kafka.Warned(check, fmt.Sprintf("%s may write verdicts, and read them too", user), "run `mlmonitor migrate` as the owner with it as AUDIT_WRITER_ROLE: what it should not have is taken away")
	case e.writes:
		return kafka.Good(check, user+" may write verdicts, and no more")
	case !reads:
		return kafka.Failed(check, fmt.Sprintf("%s may not read verdicts", user), "set AUDIT_READER_ROLE to it and run `mlmonitor migrate` as the owner, or name another user in "+e.variable)
	case owner || writes:
		return kafka.Warned(check, fmt.Sprintf("%s may read verdicts, and write them too", user), "name the role of AUDIT_READER_ROLE in "+e.variable)
	}
	return kafka.Good(check, user+" may read verdicts, and no more")
}

// partitions looks at the days ahead, and at rows whose day has no partition: only the owner may count those, others have the server's estimate.
func (e examination) partitions(ctx context.Context, conn *pgx.Conn) (kafka.Finding, error) {
	f := kafka.Finding{Check: e.prefix + ".partitions"}
	days, err := partitions(ctx, conn)
	if err != nil {
		return f, err
	}
	ahead := -1 // not even today
	for d := today(time.Now()); days[d] != ""; d = d.Add(day) {
		ahead++
	}
	var may bool
	var strays int64
	if err := conn.QueryRow(ctx, `SELECT has_table_privilege('verdicts_default', 'SELECT'), pg_stat_get_live_tuples('verdicts_default'::regclass)`).Scan(&may, &strays); err != nil {
		return f, err
	}
	if may {
		if err := conn.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM verdicts_default LIMIT $1) AS strays`, mostCounted).Scan(&strays); err != nil {
			return f, err
		}
	}
	return judgePartitions(f.Check, ahead, strays), nil
}

func judgePartitions(check string, ahead int, strays int64) kafka.Finding {
	const mend = "run `mlmonitor migrate` as the owner, daily"
	found := fmt.Sprintf("%d days ahead, %d rows in the default partition", ahead, strays)
	switch {
	case ahead < 0:
		return kafka.Warned(check, fmt.Sprintf("today has no partition, %d rows in the default partition", strays), mend)
	case ahead < fewDaysAhead, strays > 0:
		return kafka.Warned(check, found, mend)
	}
	return kafka.Good(check, found)
}

// connections that the server, and the role, have left.
func (e examination) connections(ctx context.Context, conn *pgx.Conn) (kafka.Finding, error) {
	f := kafka.Finding{Check: e.prefix + ".connections"}
	var used, most, limit, own int
	if err := conn.QueryRow(ctx, `SELECT (SELECT sum(numbackends) FROM pg_stat_database)::int,
		current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
		(SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user), (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user)::int`).Scan(&used, &most, &limit, &own); err != nil {
		return f, err
	}
	return e.judgeConnections(f.Check, used, most, limit, own), nil
}

func (e examination) judgeConnections(check string, used, most, limit, own int) kafka.Finding {
	if limit >= 0 && limit-own < e.pool {
		return kafka.Warned(check, fmt.Sprintf("%d of the role's %d are taken; a process takes up to %d", own, limit, e.pool), "ALTER ROLE … CONNECTION LIMIT, or run fewer processes")
	}
	if most-used < e.pool {
		return kafka.Warned(check, fmt.Sprintf("%d of %d are taken; a process takes up to %d", used, most, e.pool), "raise max_connections, or end who holds them: see pg_stat_activity")
	}
	return kafka.Good(check, fmt.Sprintf("%d of %d are taken", used, most))
}

func (e examination) clock(ctx context.Context, conn *pgx.Conn) (kafka.Finding, error) {
	var theirs time.Time
	asked := time.Now()
	if err := conn.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&theirs); err != nil {
		return kafka.Finding{Check: e.prefix + ".clock"}, err
	}
	took := time.Since(asked)
	return judgeClock(e.prefix+".clock", theirs.Sub(asked.Add(took/2)), took/2), nil
}

// judgeClock: more than the question's own time explains.
func judgeClock(check string, ahead, unsure time.Duration) kafka.Finding {
	const mend = "let NTP set this machine's clock and the server's"
	off := time.Duration(math.Abs(float64(ahead))) - unsure
	found := fmt.Sprintf("the server's is %v ahead of ours", ahead.Round(time.Millisecond))
	switch {
	case off > clockFail:
		return kafka.Failed(check, found, mend)
	case off > clockWarn:
		return kafka.Warned(check, found, mend)
	}
	return kafka.Good(check, found)
}

// sqlite looks at a file, without making one.
func (e examination) sqlite(ctx context.Context, file string) []kafka.Finding {
	reader, err := OpenReader(ctx, e.variable, kafka.Secret("sqlite:"+file), nil)
	if err != nil {
		return []kafka.Finding{e.unreachable(err)}
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var version sql.NullInt64
	if err := reader.(*sqliteReader).db.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version WHERE is_applied`).Scan(&version); err != nil {
		return []kafka.Finding{kafka.Failed(e.prefix+".database", e.name(explainSQLite("ask "+file, err)), "run `mlmonitor migrate`, or mend "+e.variable)}
	}
	f, err := judgeVersion(e.prefix+".migrations", version.Int64, "sqlite")
	if err != nil {
		f = kafka.Failed(f.Check, err.Error(), mendTables)
	}
	return []kafka.Finding{kafka.Good(e.prefix+".database", "SQLite "+file), f}
}

// ExamineLag compares what the writers have written with what stands on the topic of verdicts, and asks what this user may do there.
func ExamineLag(ctx context.Context, topics *kafka.Config, cfg Config) []kafka.Finding {
	right, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	found := []kafka.Finding{kafka.ExamineRights(right, topics, "audit", rights(topics, cfg.Group))}
	ctx, cancel = context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	f, err := examineLag(ctx, topics, cfg)
	if err != nil {
		f = kafka.Warned("audit.lag", hide(err.Error(), cfg.DatabaseURL.Reveal()), "see the other findings about topics and database")
	}
	return append(found, f)
}

func examineLag(ctx context.Context, topics *kafka.Config, cfg Config) (kafka.Finding, error) {
	store, err := Open(ctx, cfg)
	if err != nil {
		return kafka.Finding{}, err
	}
	defer store.Close()
	written, err := store.Offsets(ctx, topics.Verdicts)
	if err != nil {
		return kafka.Finding{}, err
	}
	opts, err := topics.Options()
	if err != nil {
		return kafka.Finding{}, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return kafka.Finding{}, err
	}
	defer cl.Close()
	// A topic that was made anew would seem to be audited as far as the one before was.
	claimed, err := store.Claimed(ctx, topics.Verdicts)
	if err != nil {
		return kafka.Finding{}, err
	}
	id, err := topicID(ctx, cl, topics.Verdicts)
	if err != nil {
		return kafka.Finding{}, err
	}
	if claimed != "" && claimed != id {
		return kafka.Failed("audit.lag", fmt.Sprintf("topic %s was made anew: the offsets and rows of that name are of the topic with id %s, it has %s now", topics.Verdicts, claimed, id),
			"give the new topic a new name (KAFKA_TOPIC_VERDICTS), or see \"A topic that was made anew\" in docs/audit.md"), nil
	}
	starts, err := kadm.NewClient(cl).ListStartOffsets(ctx, topics.Verdicts)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return kafka.Finding{}, err
	}
	ends, err := kadm.NewClient(cl).ListCommittedOffsets(ctx, topics.Verdicts)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return kafka.Finding{}, err
	}
	first, last := map[int32]int64{}, map[int32]int64{}
	starts.Each(func(o kadm.ListedOffset) { first[o.Partition] = o.Offset })
	ends.Each(func(o kadm.ListedOffset) { last[o.Partition] = o.Offset })
	return judgeLag(topics.Verdicts, first, last, written), nil
}

// judgeLag: the markers of Kafka transactions count as offsets.
func judgeLag(topic string, first, last, written map[int32]int64) kafka.Finding {
	waiting := int64(0)
	for p, end := range last {
		next, begun := written[p]
		if begun && next < first[p] {
			return kafka.Failed("audit.lag", fmt.Sprintf("verdicts of %s partition %d were deleted from the topic before they were audited: offsets %d to %d", topic, p, next, first[p]-1),
				"stop retention (retention.ms=-1), then see \"Lost verdicts\" in docs/audit.md")
		}
		waiting += max(0, end-max(next, first[p]))
	}
	return kafka.Good("audit.lag", fmt.Sprintf("%d offsets of %s are not in the database yet", waiting, topic))
}

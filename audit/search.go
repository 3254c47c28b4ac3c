package audit

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// Query narrows a search. Its zero value matches every verdict.
type Query struct {
	Decision       schemas.Decision
	Bundle         string  // digest
	MinProbability float64 // included
	From, To       time.Time
	After          *Place // only what comes after it, in the order of Search
	Limit          int
}

// Place is where a verdict stands in the order of Search: the latest published first; of one time by topic, partition and offset.
type Place struct {
	PublishedAt time.Time
	Topic       string
	Partition   int32
	Offset      int64
}

// Place is where the row stands.
func (f *Found) Place() Place { return Place{f.PublishedAt, f.Topic, f.Partition, f.Offset} }

// clauses writes the conditions; arg takes a value and gives its placeholder. at writes a time.
func (q *Query) clauses(arg func(any) string, at func(time.Time) any) string {
	var all []string
	if q.Decision != "" {
		all = append(all, "decision = "+arg(string(q.Decision)))
	}
	if q.Bundle != "" {
		all = append(all, "bundle_digest = "+arg(strings.ReplaceAll(q.Bundle, "\x00", "\ufffd")))
	}
	if q.MinProbability > 0 {
		all = append(all, "probability >= "+arg(q.MinProbability))
	}
	if !q.From.IsZero() {
		all = append(all, "published_at >= "+arg(at(q.From)))
	}
	if !q.To.IsZero() {
		all = append(all, "published_at < "+arg(at(q.To)))
	}
	if p := q.After; p != nil {
		// The first condition is for the index, the second goes on within the same millisecond.
		all = append(all, "published_at <= "+arg(at(p.PublishedAt)),
			fmt.Sprintf(`(published_at < %s OR (topic, partition, "offset") > (%s, %s, %s))`, arg(at(p.PublishedAt)), arg(p.Topic), arg(p.Partition), arg(p.Offset)))
	}
	where := ""
	if len(all) > 0 {
		where = " WHERE " + strings.Join(all, " AND ")
	}
	return where + ` ORDER BY published_at DESC, topic, partition, "offset" LIMIT ` + arg(q.Limit)
}

// sane refuses what no database can look for.
func (q *Query) sane() bool {
	return utf8.ValidString(q.Bundle) && (q.After == nil || utf8.ValidString(q.After.Topic) && !strings.Contains(q.After.Topic, "\x00")) && q.Limit > 0
}

func (r *postgresReader) Search(ctx context.Context, q Query) ([]Found, error) {
	if !q.sane() {
		return nil, nil
	}
	var args []any
	rest := q.clauses(func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}, func(t time.Time) any { return t })
	return r.rows(ctx, "search for verdicts", rest, args...)
}

func (r *sqliteReader) Search(ctx context.Context, q Query) ([]Found, error) {
	if !q.sane() {
		return nil, nil
	}
	var args []any
	rest := q.clauses(func(v any) string {
		args = append(args, v)
		return "?"
	}, func(t time.Time) any { return t.UTC().Format(sqlitePublished) })
	return r.rows(ctx, "search for verdicts", rest, args...)
}

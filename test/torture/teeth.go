package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Defect is one that is planted into a copy of the source, for the rig to catch. The product's own source has none of them: they are laid over it when
// the program is built.
type Defect struct {
	Name  string
	Edits []edit
	Kinds []string // faults under which it shows; empty: it shows without any
	Check string   // that must catch it, or one of several with "|" between
}

// edit replaces a text, which must stand in the file once.
type edit struct{ file, from, to string }

// Defects that the rig must catch, each by one of the checks that it names.
func Defects() []Defect {
	return []Defect{
		{Name: "a transaction is committed although a record was refused", Kinds: []string{"topic-limit"}, Check: "lost|settled|recovered", Edits: []edit{
			{"consumer/delivery.go", "if first := d.first.Load(); first != nil {", "if first := d.first.Load(); first != nil && false {"}}},
		{Name: "an input that cannot be decoded is passed over", Check: "lost|settled", Edits: []edit{
			{"consumer/answers.go", "		w.by.outcomes = w.by.outcomes[1:]\n", "		w.by.outcomes = w.by.outcomes[1:]\n\t\tif o.Err != nil {\n\t\t\tcontinue\n\t\t}\n"}}},
		{Name: "an input that cannot be decoded gets its neighbour's verdict", Check: "payload", Edits: []edit{
			{"consumer/answers.go", "		w.by.outcomes = w.by.outcomes[1:]\n", "		w.by.outcomes = w.by.outcomes[1:]\n\t\tfor j := 0; j < len(w.by.outcomes) && o.Err != nil; j++ {\n\t\t\tif w.by.outcomes[j].Err == nil {\n\t\t\t\to = &w.by.outcomes[j]\n\t\t\t}\n\t\t}\n"}}},
		{Name: "the memory of a verdict is used again while it is sent", Check: "payload|recovered|settled|exit", Edits: []edit{
			{"consumer/answers.go", "	start := len(a.payload)\n", "	a.payload = a.payload[:0]\n\tstart := 0\n"}}},
		{Name: "verdicts are counted before their transaction commits", Kinds: []string{"wire-cut", "txn-timeout", "zombie-score"}, Check: "counters", Edits: []edit{
			{"consumer/session.go", "	committed, err := s.end(ctx, admitted)\n", "	if admitted {\n\t\ts.count()\n\t}\n\tcommitted, err := s.end(ctx, admitted)\n"},
			{"consumer/session.go", "	s.breaker.add(s.answers.dead)\n	s.count()\n", "	s.breaker.add(s.answers.dead)\n"}}},
		{Name: "the transactional id is another with every start", Kinds: []string{"kill-score"}, Check: "availability", Edits: []edit{
			{"consumer/member.go", `return m.cfg.Group + "-" + m.instance }`, `return m.cfg.Group + "-" + m.instance + strconv.FormatInt(time.Now().UnixNano(), 36) }`}}},
		{Name: "the producer id is claimed with the first record", Kinds: []string{"kill-score"}, Check: "availability", Edits: []edit{
			{"consumer/member.go", "if _, _, err := txn.Client().ProducerID(claim); err != nil {", "if err := claim.Err(); err != nil {"}}},
		{Name: "members are not static", Kinds: []string{"kill-score"}, Check: "availability", Edits: []edit{
			{"consumer/session.go", "kgo.ConsumerGroup(cfg.Group), kgo.InstanceID(instance), ", "kgo.ConsumerGroup(cfg.Group), "}}},
		{Name: "the last input of a fetch is answered twice", Check: "doubled", Edits: []edit{
			{"consumer/batch.go", "	b.runs = append(b.runs, run{p.Partition, inputs})\n", "	inputs = append(inputs, inputs[len(inputs)-1])\n\tb.runs = append(b.runs, run{p.Partition, inputs})\n"},
			{"consumer/batch.go", "	b.records += len(inputs)\n", "	b.records += len(inputs) + 1\n"}}},
		{Name: "offsets are committed before the answers are flushed, outside the transaction", Kinds: []string{"kill-score", "txn-timeout", "zombie-score", "kill-node"}, Check: "lost|settled|doubled|recovered|order|counters", Edits: []edit{
			{"consumer/session.go", "	if err := s.txn.Begin(); err != nil {", "	if err := s.txn.Client().CommitUncommittedOffsets(ctx); err != nil {\n\t\treturn err\n\t}\n\tif err := s.txn.Begin(); err != nil {"}}},
		{Name: "a flood of bad inputs is dropped instead of held", Kinds: []string{"poison-flood"}, Check: "lost|settled|recovered", Edits: []edit{
			{"consumer/session.go", "	committed, err := s.end(ctx, admitted)\n", "	committed, err := s.end(ctx, true)\n"}}},
		{Name: "a scorer starts at the end of the topic", Check: "lost|settled", Kinds: []string{"partition-growth"}, Edits: []edit{
			{"consumer/session.go", "kgo.ConsumeStartOffset(kgo.NewOffset().AtStart())", "kgo.ConsumeStartOffset(kgo.NewOffset().AtEnd())"}}},
		{Name: "a verdict has no key", Check: "payload", Edits: []edit{
			{"producer/verdict.go", "Key: in.Key, Value: payload", "Value: payload"}}},
		{Name: "a verdict carries the time of its scoring", Check: "payload", Edits: []edit{
			{"producer/verdict.go", "Timestamp: in.Timestamp,", "Timestamp: time.Now(),"},
			{"producer/verdict.go", "import ", "import \"time\"\nimport "}}},
		{Name: "a verdict goes to another partition", Check: "place", Edits: []edit{
			{"producer/verdict.go", "Partition: in.Partition,", "Partition: (in.Partition + 1) % 6,"}}},
		{Name: "inputs of a partition are answered out of order", Check: "order", Edits: []edit{
			{"consumer/batch.go", "	b.runs = append(b.runs, run{p.Partition, inputs})\n", "	slices.Reverse(inputs)\n\tb.runs = append(b.runs, run{p.Partition, inputs})\n"}}},
		{Name: "a large dead letter is cut off", Kinds: []string{"huge-records"}, Check: "payload", Edits: []edit{
			{"producer/deadletter.go", "Key: in.Key, Value: in.Value, Timestamp", "Key: in.Key, Value: in.Value[:min(len(in.Value), 100_000)], Timestamp"}}},
		{Name: "audit reads what is not committed", Kinds: []string{"poison-flood", "txn-timeout", "zombie-score", "kill-score"}, Check: "audit-phantom", Edits: []edit{
			{"audit/session.go", "kgo.FetchIsolationLevel(kgo.ReadCommitted()), ", ""}}},
		{Name: "audit moves its offsets in a second transaction", Kinds: []string{"kill-audit", "pg-kill", "term-audit"}, Check: "backstop|audit-doubled|audit-settled|audit-lost", Edits: []edit{
			{"audit/postgres_append.go", "	_, err := tx.Exec(ctx, move, topic, partitions, next)\n	return err\n", "	if err := tx.Commit(ctx); err != nil {\n\t\treturn err\n\t}\n\tconn := tx.Conn()\n\t_, err := conn.Exec(ctx, move, topic, partitions, next)\n\treturn err\n"},
			{"audit/postgres_append.go", "		return copyBatches(ctx, tx, topic, batches)\n", "		if err := copyBatches(ctx, tx, topic, batches); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tcommitted = true\n\t\treturn nil\n"},
			{"audit/postgres_append.go", "	err := pgx.BeginFunc(ctx, p.pool,", "	committed := false\n\terr := pgx.BeginFunc(ctx, p.pool,"},
			{"audit/postgres_append.go", "	return explain(\"append verdicts\", err)\n", "	if committed {\n\t\treturn nil\n\t}\n\treturn explain(\"append verdicts\", err)\n"}}},
		{Name: "audit does not look whether another writer was faster", Kinds: []string{"zombie-audit"}, Check: "backstop|audit-doubled|audit-lost", Edits: []edit{
			{"audit/store.go", "if at := stored[b.Partition]; at != b.From {", "if at := stored[b.Partition]; at != b.From && false {"}}},
		{Name: "audit drops the last row of a batch", Check: "audit-lost|audit-rows", Edits: []edit{
			{"audit/postgres_append.go", "			if i == len(b.Rows) {\n", "			if i+1 >= len(b.Rows) {\n"}}},
		{Name: "audit rewrites the payload", Check: "audit-bytes", Edits: []edit{
			{"audit/postgres_append.go", "v.Source.Offset, r.Key, r.Payload)", "v.Source.Offset, r.Key, append([]byte(\" \"), r.Payload...))"}}},
		{Name: "audit starts at the end of the topic", Kinds: []string{"partition-growth"}, Check: "audit-lost|audit-rows|audit-settled", Edits: []edit{
			{"audit/assignment.go", "offsets[a.topic][p] = kgo.NewOffset().AtStart()", "offsets[a.topic][p] = kgo.NewOffset().AtEnd()"}}},
		{Name: "a file is left open with every transaction", Kinds: []string{"pause-score"}, Check: "descriptors", Edits: []edit{
			{"consumer/session.go", "	s.breaker.add(s.answers.dead)\n", "	s.breaker.add(s.answers.dead)\n\tif f, err := os.Open(os.DevNull); err == nil {\n\t\tleak = append(leak, f)\n\t}\n"},
			{"consumer/session.go", "import (\n", "import (\n\t\"os\"\n"},
			{"consumer/session.go", "func newSession(", "var leak []*os.File\n\nfunc newSession("}}},
		{Name: "memory is kept with every transaction", Kinds: []string{"pause-score"}, Check: "memory", Edits: []edit{
			{"consumer/session.go", "	s.breaker.add(s.answers.dead)\n", "	s.breaker.add(s.answers.dead)\n\tleak = append(leak, bytes.Repeat([]byte{1}, 300_000))\n"},
			{"consumer/session.go", "import (\n", "import (\n\t\"bytes\"\n"},
			{"consumer/session.go", "func newSession(", "var leak [][]byte\n\nfunc newSession("}}},
		{Name: "SIGTERM is not heard", Kinds: []string{"term-score"}, Check: "stop", Edits: []edit{
			{"consumer/member.go", "time.AfterFunc(finishTimeout, cancel)", "time.AfterFunc(time.Hour, cancel)"},
			{"consumer/session.go", "	for ctx.Err() == nil {\n		if err := s.gather(ctx); err != nil {", "	ctx = context.WithoutCancel(ctx)\n\tfor ctx.Err() == nil {\n\t\tif err := s.gather(ctx); err != nil {"}}},
	}
}

// overlay writes the files of the defect, and the file that tells the compiler of them; source is the repository.
func (d *Defect) overlay(source, dir string) (string, error) {
	texts := map[string]string{}
	for _, e := range d.Edits {
		text, ok := texts[e.file]
		if !ok {
			data, err := os.ReadFile(filepath.Join(source, e.file))
			if err != nil {
				return "", err
			}
			text = string(data)
		}
		if n := strings.Count(text, e.from); n != 1 {
			return "", fmt.Errorf("defect %q: %q stands %d times in %s, it must stand there once: has the code changed?", d.Name, e.from, n, e.file)
		}
		texts[e.file] = strings.Replace(text, e.from, e.to, 1)
	}
	replace := map[string]string{}
	for file, text := range texts {
		path := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(source, file)] = path
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, data, 0o600)
}

// Plant builds the program with the defect, from the repository at source, into dir.
func (d *Defect) Plant(ctx context.Context, source, dir string) (binary string, err error) {
	overlay, err := d.overlay(source, dir)
	if err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "mlmonitor")
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", binary, "./cmd/mlmonitor")
	cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("defect %q does not compile: %w\n%s", d.Name, err, out)
	}
	return binary, nil
}

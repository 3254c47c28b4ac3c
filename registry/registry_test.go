package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mlmonitor/mlmonitor/scorer"
)

const sampleDir = "../bundles/sample"

func prove(dir string) (*scorer.Bundle, error) {
	b, err := scorer.LoadBundle(os.DirFS(dir), scorer.Auto)
	if err != nil {
		return nil, err
	}
	return b, b.Check(0)
}

// bundleOf is a copy of the sample under another version, and so with another digest.
func bundleOf(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(sampleDir)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, manifestName)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(text, []byte(`"version": "1"`), []byte(fmt.Sprintf(`"version": %q`, version)), 1)
	if err := os.WriteFile(name, changed, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// contract is what the client relies on: the fake and a real MLflow are held to it.
func contract(t *testing.T, m *MLflow) {
	ctx := t.Context()
	if _, err := m.ByAlias(ctx, "champion"); err == nil {
		t.Fatal("there is a champion before there is a version")
	}
	digests := map[string]string{}
	for i, name := range []string{"a", "b", "c"} {
		dir := bundleOf(t, name)
		v, err := m.Push(ctx, dir, prove)
		if err != nil || v.Version != fmt.Sprint(i+1) {
			t.Fatalf("push %s: version %q, %v", name, v.Version, err)
		}
		b, err := prove(dir)
		if err != nil {
			t.Fatal(err)
		}
		digests[v.Version] = b.ID.Digest
	}
	if _, err := m.ByAlias(ctx, "champion"); !errors.Is(err, ErrNoAlias) {
		t.Errorf("without an alias: %v", err)
	}
	for _, p := range []struct{ version, previous string }{{"1", ""}, {"3", "1"}} {
		done, err := m.Promote(ctx, p.version, "ann", "it is better", true, prove)
		if err != nil || done.Previous != p.previous || done.Version != p.version {
			t.Fatalf("promote %s: %+v, %v", p.version, done, err)
		}
	}
	if _, err := m.Promote(ctx, "9", "ann", "no such version", true, prove); err == nil {
		t.Error("a version that does not exist is promoted")
	}
	if _, err := m.Promote(ctx, "2", "", "nobody", true, prove); err == nil || !strings.Contains(err.Error(), "who") {
		t.Errorf("nobody promotes: %v", err)
	}
	back, err := m.Rollback(ctx, "bob", "it was not", prove)
	if err != nil || back.Version != "1" || back.Previous != "3" {
		t.Fatalf("rollback: %+v, %v", back, err)
	}
	now, err := m.ByAlias(ctx, "champion")
	if err != nil || now.Version != "1" || now.Tag(tagBy) != "bob" || now.Tag(tagWhy) != "it was not" || now.Tag(tagAt) == "" {
		t.Errorf("champion is %+v, %v", now, err)
	}
	history, err := m.History(ctx)
	if err != nil || len(history) != 3 || history[2].By != "bob" || history[1].Version != "3" || history[0].At.IsZero() {
		t.Errorf("history %+v, %v", history, err)
	}
	if err := m.SetAlias(ctx, "challenger", "3"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Canary(ctx, 0.05, "ann", "a little", prove); err != nil {
		t.Fatal(err)
	}
	if v, err := m.ByAlias(ctx, "challenger"); err != nil || v.Tag(tagCanary) != "0.05" || v.Tag(tagWhy) != "a little" {
		t.Errorf("the canary is %+v, %v", v, err)
	}
	versions, err := m.Versions(ctx)
	if err != nil || len(versions) != 3 || versions[0].Version != "3" || !slices.Equal(versions[2].Aliases, []string{"champion"}) || !slices.Equal(versions[0].Aliases, []string{"challenger"}) {
		t.Errorf("versions %+v, %v", versions, err)
	}
	for version, digest := range digests {
		b, kept, err := m.Fetch(ctx, version, prove)
		if err != nil || b.ID.Digest != digest || filepath.Dir(kept) != m.cfg.CacheDir {
			t.Errorf("version %s: %v at %s, want %s", version, err, kept, digest)
		}
	}
}

func TestTheFakeKeepsTheContract(t *testing.T) {
	contract(t, clientOf(t, newFake(t).URL, nil))
}

// pushed is a fake with versions of the sample, the first of which is champion.
func pushed(t *testing.T, versions ...string) (*fake, *MLflow) {
	t.Helper()
	f := newFake(t)
	m := clientOf(t, f.URL, nil)
	for _, v := range versions {
		if _, err := m.Push(t.Context(), bundleOf(t, v), prove); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.SetAlias(t.Context(), "champion", "1"); err != nil {
		t.Fatal(err)
	}
	return f, m
}

// No broken artifact becomes a bundle, and nothing of it stays in the cache.
func TestWhatDoesNotHoldIsNotFetched(t *testing.T) {
	for name, c := range map[string]struct {
		breaks func(f *fake)
		says   string
		fault  bool // of the bundle, not of the way to it
	}{
		"truncated on the way": {func(f *fake) { f.tamper = func(_ string, data []byte) []byte { return data[:len(data)-1] } }, "the listing says", false},
		"longer than the listing": {func(f *fake) {
			f.tamper = func(_ string, data []byte) []byte { return append(data[:len(data):len(data)], 'x') }
		}, "the listing says", false},
		"a changed model":          {func(f *fake) { f.change("model.txt", "Tree=0", "Tree=9") }, "SHA-256", true},
		"a changed example":        {func(f *fake) { f.change("examples.jsonl", `"margin": -`, `"margin": +`) }, "examples.jsonl", true},
		"a listing beyond measure": {func(f *fake) { f.sizes = func(string, int64) int64 { return 1 << 40 } }, "at most", true},
		"a negative size":          {func(f *fake) { f.sizes = func(string, int64) int64 { return -1 } }, "at most", true},
		"a path out of the folder": {func(f *fake) { f.change("bundle.json", `"policy.yaml"`, `"../policy.yaml"`) }, "bundle.json", true},
		"a file that is not there": {func(f *fake) { f.drop("policy.yaml") }, "not among the artifacts", true},
		"no bundle at all":         {func(f *fake) { f.drop("bundle.json") }, "no bundle.json", true},
		"a manifest that is none":  {func(f *fake) { f.change("bundle.json", "{", "[") }, "bundle.json", true},
		"artifacts elsewhere":      {func(f *fake) { f.versions[0].Source = "s3://bucket/x" }, "serve-artifacts", false},
	} {
		t.Run(name, func(t *testing.T) {
			f, m := pushed(t, "a")
			f.set(c.breaks)
			_, _, err := m.Fetch(t.Context(), "1", prove)
			if err == nil || !strings.Contains(err.Error(), c.says) || errors.As(err, &badBundle{}) != c.fault {
				t.Errorf("%v, want %q, a fault of the bundle: %t", err, c.says, c.fault)
			}
			left, readErr := os.ReadDir(m.cfg.CacheDir)
			if len(left) != 0 {
				t.Errorf("the cache has %v, %v", left, readErr)
			}
		})
	}
}

// change replaces text in a file of the first version.
func (f *fake) change(name, from, to string) {
	for path, data := range f.artifacts {
		if filepath.Base(path) == name {
			f.artifacts[path] = bytes.Replace(data, []byte(from), []byte(to), 1)
		}
	}
}

func (f *fake) drop(name string) {
	for path := range f.artifacts {
		if filepath.Base(path) == name {
			delete(f.artifacts, path)
		}
	}
}

// watched is a watcher with what it put in force.
type watched struct {
	*Watcher
	got  chan string // versions of bundles
	stop context.CancelFunc
}

func follow(t *testing.T, m *MLflow) *watched {
	t.Helper()
	cfg := m.cfg
	cfg.Poll = 100 * time.Millisecond
	w, err := NewWatcher(cfg, "", prove, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return &watched{Watcher: w, got: make(chan string, 100)}
}

func (w *watched) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.Run(ctx, func(b *scorer.Bundle, reason string) { w.got <- b.ID.Version + ": " + reason }, func(b *scorer.Bundle, share float64, reason string) {
			if b == nil {
				w.got <- "no challenger"
				return
			}
			w.got <- fmt.Sprintf("challenger %s, %v: %s", b.ID.Version, share, reason)
		}); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func (w *watched) next(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-w.got:
		if !strings.HasPrefix(got, want) {
			t.Fatalf("in force is %q, want %q", got, want)
		}
	case <-time.After(2 * time.Minute):
		t.Fatalf("%q is not in force", want)
	}
}

func (w *watched) nothing(t *testing.T, looks float64) {
	t.Helper()
	from := testutil.ToFloat64(w.metrics.polls)
	for deadline := time.Now().Add(2 * time.Minute); testutil.ToFloat64(w.metrics.polls) < from+looks; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody looks")
		}
	}
	select {
	case got := <-w.got:
		t.Fatalf("in force is %q", got)
	default:
	}
}

func TestTheBundleInForceStaysUntilAnotherHolds(t *testing.T) {
	f, m := pushed(t, "a", "b", "c")
	w := follow(t, m)
	b, reason, err := w.First(t.Context())
	if err != nil || b.ID.Version != "a" || !strings.Contains(reason, "version 1") {
		t.Fatalf("first %v, %q, %v", b, reason, err)
	}
	w.run(t)
	w.nothing(t, 2)
	if _, err := m.Promote(t.Context(), "2", "ann", "better", true, prove); err != nil {
		t.Fatal(err)
	}
	w.next(t, "b: alias champion of fraud-detector is version 2, by ann: better")

	f.set(func(f *fake) { f.down = true })
	w.nothing(t, 2)
	if testutil.ToFloat64(w.metrics.failures) == 0 {
		t.Error("no failure is counted")
	}
	f.set(func(f *fake) { f.down = false })

	// A version that does not hold never decides, and is not fetched again and again.
	f.set(func(f *fake) {
		f.tamper = func(path string, data []byte) []byte {
			if strings.Contains(path, "/r3/") && strings.HasSuffix(path, "model.txt") {
				return bytes.Replace(data, []byte("Tree=0"), []byte("Tree=9"), 1)
			}
			return data
		}
	})
	if err := m.SetAlias(t.Context(), "champion", "3"); err != nil {
		t.Fatal(err)
	}
	w.nothing(t, 5)
	if n := testutil.ToFloat64(w.metrics.refusals); n != 1 {
		t.Errorf("the bad version was refused %v times", n)
	}
	if err := m.SetAlias(t.Context(), "champion", "1"); err != nil {
		t.Fatal(err)
	}
	w.next(t, "a:")
}

func TestTheChallengerIsFollowedToo(t *testing.T) {
	f, m := pushed(t, "a", "b", "c")
	w := follow(t, m)
	if _, _, err := w.First(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.run(t)
	w.nothing(t, 4)
	for _, v := range []struct{ version, name string }{{"2", "b"}, {"3", "c"}} {
		if err := m.SetAlias(t.Context(), "challenger", v.version); err != nil {
			t.Fatal(err)
		}
		w.next(t, "challenger "+v.name+", 0")
	}
	if n := testutil.ToFloat64(w.metrics.failures); n != 0 {
		t.Errorf("%v failures are counted, since there was no challenger", n)
	}
	if _, err := m.Canary(t.Context(), 0.05, "ann", "a little", prove); err != nil {
		t.Fatal(err)
	}
	w.next(t, "challenger c, 0.05: alias challenger of fraud-detector is version 3 and decides for 0.05 of the keys, by ann: a little")
	f.set(func(f *fake) {
		v := f.version("3")
		v.Tags = []Tag{{tagCanary, "0.9"}}
	})
	w.nothing(t, 4) // no share: it stays as it is
	f.set(func(f *fake) { f.version("3").Tags = nil })
	w.next(t, "challenger c, 0:")
	f.set(func(f *fake) { delete(f.aliases, "challenger") })
	w.next(t, "no challenger")
}

func TestNobodyIsACanaryWithoutReason(t *testing.T) {
	_, m := pushed(t, "a", "b")
	ctx := t.Context()
	refused := func(share float64, why, says string) {
		t.Helper()
		if _, err := m.Canary(ctx, share, "ann", why, prove); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("share %v because of %q: %v, want %q", share, why, err, says)
		}
	}
	refused(0.1, "no challenger", "no version has the alias challenger")
	if err := m.SetAlias(ctx, "challenger", "1"); err != nil {
		t.Fatal(err)
	}
	refused(0.1, "it is champion", "decides all there is")
	if err := m.SetAlias(ctx, "challenger", "2"); err != nil {
		t.Fatal(err)
	}
	refused(0.51, "too much", "share")
	refused(math.NaN(), "none", "share")
	refused(-0.1, "none", "share")
	refused(0.1, "", "why")
	if p, err := m.Canary(ctx, 0.1, "ann", "a tenth", prove); err != nil || p.Version != "2" {
		t.Fatal(p, err)
	}
	history, err := m.History(ctx)
	if err != nil || len(history) != 1 || history[0].Share != 0.1 || history[0].Alias != "challenger" {
		t.Errorf("history %+v, %v", history, err)
	}
	// Promoted, it is no canary any more, and stays none when it is rolled back.
	for range 2 {
		if _, err := m.Promote(ctx, "2", "ann", "better", true, prove); err != nil {
			t.Fatal(err)
		}
		if v, err := m.Get(ctx, "2"); err != nil || v.Tag(tagCanary) != "0" {
			t.Errorf("a champion is a canary: %+v, %v", v, err)
		}
		if err := m.SetTag(ctx, "2", tagCanary, "0.2"); err != nil { // by hand
			t.Fatal(err)
		}
		if _, err := m.Rollback(ctx, "ann", "worse", prove); err != nil {
			t.Fatal(err)
		}
		if v, err := m.Get(ctx, "2"); err != nil || v.Tag(tagCanary) != "0" {
			t.Errorf("what was rolled back is a canary: %+v, %v", v, err)
		}
		if err := m.SetTag(ctx, "2", tagCanary, "0.2"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAStartWithoutMLflowTakesTheLastGoodBundle(t *testing.T) {
	f, m := pushed(t, "a", "b")
	f.set(func(f *fake) { f.down = true })
	if _, _, err := follow(t, m).First(t.Context()); err == nil || !strings.Contains(err.Error(), "no last good bundle") {
		t.Fatalf("without MLflow and cache: %v", err)
	}
	f.set(func(f *fake) { f.down = false })
	if _, _, err := follow(t, m).First(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.set(func(f *fake) { f.down = true })
	again := follow(t, m)
	b, reason, err := again.First(t.Context())
	if err != nil || b.ID.Version != "a" || !strings.Contains(reason, "last good") {
		t.Fatalf("with a cache: %v, %q, %v", b, reason, err)
	}
	again.run(t)
	f.set(func(f *fake) { f.down, f.aliases["champion"] = false, "2" })
	again.next(t, "b:")

	// What the cache holds is proved too.
	kept, err := lastGood(m.cfg.CacheDir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(kept, "policy.yaml"), []byte("version: 1\nreview: 0\ndecline: 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.set(func(f *fake) { f.down = true })
	if _, _, err := follow(t, m).First(t.Context()); err == nil || !strings.Contains(err.Error(), "does not hold") {
		t.Errorf("with a changed cache: %v", err)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	var names []string
	for i := range keptBundles + 4 {
		names = append(names, fmt.Sprint("v", i))
	}
	_, m := pushed(t, names...)
	w := follow(t, m)
	for i := range names {
		if err := m.SetAlias(t.Context(), "champion", fmt.Sprint(i+1)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.Watcher.next(t.Context(), &w.champion); err != nil {
			t.Fatal(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(m.cfg.CacheDir, "sha256-*"))
	if err != nil || len(left) != keptBundles+1 {
		t.Errorf("%d bundles are kept, %v", len(left), err)
	}
}

// changing is a source whose bundle is replaced under the first looks.
type changing struct {
	source
	left int
}

func (c *changing) fetch(ctx context.Context, key string, prove Prove) (*scorer.Bundle, string, error) {
	if c.left--; c.left >= 0 {
		return nil, "", errChanging
	}
	return c.source.fetch(ctx, key, prove)
}

func TestAStartWhileTheBundleIsReplacedLooksAgain(t *testing.T) {
	w, err := NewWatcher(Config{Poll: time.Second}, bundleOf(t, "a"), prove, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	w.champion.source = &changing{w.champion.source, 2}
	if b, _, err := w.First(t.Context()); err != nil || b.ID.Version != "a" {
		t.Errorf("%v, %v", b, err)
	}
}

func TestADirectoryIsWatched(t *testing.T) {
	dir := bundleOf(t, "a")
	cfg := Config{Poll: 100 * time.Millisecond}
	watcher, err := NewWatcher(cfg, dir, prove, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{Watcher: watcher, got: make(chan string, 100)}
	if b, _, err := w.First(t.Context()); err != nil || b.ID.Version != "a" {
		t.Fatalf("first %v, %v", b, err)
	}
	w.run(t)
	// Half written: bundle.json of the next, and a model that is not its.
	other := bundleOf(t, "b")
	model, err := os.ReadFile(filepath.Join(dir, "model.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.txt"), model[:len(model)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(t.TempDir(), "x"), os.DirFS(other)); err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(other, manifestName))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, manifestName), manifest, 0o644); err != nil {
		t.Fatal(err)
	}
	w.nothing(t, 3)
	if err := os.WriteFile(filepath.Join(dir, "model.txt"), model, 0o644); err != nil {
		t.Fatal(err)
	}
	w.next(t, "b: BUNDLE_DIR")
}

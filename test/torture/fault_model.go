package torture

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mlmonitor/mlmonitor/bundles"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// modelKinds swap the bundle that decides.
func modelKinds() []kind {
	return []kind{{name: "model-swap", weight: 2, targets: []string{"bundle"}, do: swap}}
}

// swapped is a directory in which two bundles take turns: the sample, and the sample under another version.
type swapped struct {
	dir       string
	manifests [2][]byte
	bundles   [2]*scorer.Bundle

	mu  sync.Mutex
	now int
}

func newSwapped(dir string) (*swapped, error) {
	s := &swapped{}
	var err error
	if s.dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return nil, err
	}
	if err := os.CopyFS(s.dir, bundles.Sample()); err != nil {
		return nil, err
	}
	first, err := os.ReadFile(filepath.Join(s.dir, "bundle.json"))
	if err != nil {
		return nil, err
	}
	s.manifests = [2][]byte{first, bytes.Replace(first, []byte(`"version": "1"`), []byte(`"version": "other"`), 1)}
	for _, i := range []int{1, 0} {
		if err := s.put(i); err != nil {
			return nil, err
		}
		if s.bundles[i], err = scorer.LoadBundle(os.DirFS(s.dir), scorer.Auto); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// put lets one of the two decide, in one step.
func (s *swapped) put(i int) error {
	temporary := filepath.Join(s.dir, ".bundle.json")
	if err := os.WriteFile(temporary, s.manifests[i], 0o644); err != nil {
		return err
	}
	s.now = i
	return os.Rename(temporary, filepath.Join(s.dir, "bundle.json"))
}

// turn lets the other decide, and gives its version.
func (s *swapped) turn() (version string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.put(1 - s.now)
	return s.bundles[s.now].ID.Version, err
}

// swap lets the bundles take turns, and shows that a scorer follows.
func swap(ctx context.Context, a *act) (string, error) {
	turns := 1 + a.rng.IntN(3)
	version := ""
	for i := range turns {
		if i > 0 {
			if err := sleep(ctx, a.between(0, 1500*time.Millisecond)); err != nil {
				return "", err
			}
		}
		var err error
		if version, err = a.swapped.turn(); err != nil {
			return "", err
		}
	}
	var who string
	err := until(ctx, 12*time.Second, func() error {
		for _, p := range a.scorers {
			if n, err := p.Counter(ctx, "mlmonitor_bundle_info", fmt.Sprintf("version=%q", version)); err == nil && n == 1 {
				who = p.Name
				return nil
			}
		}
		return fmt.Errorf("no scorer has version %s", version)
	})
	if err != nil {
		return "", fmt.Errorf("%w: %w", errVoid, err)
	}
	return fmt.Sprintf("%d turns, %s has version %s", turns, who, version), nil
}

// models holds each verdict to what the topic of models says: which bundle decides from which offset on.
type models struct {
	swapped *swapped

	mu      sync.Mutex
	told    *schemas.Timeline
	decided map[int32][]decided // not held against what was told yet
}

type decided struct {
	offset int64
	id     schemas.BundleID
}

func newModels(s *swapped, topic string) models {
	return models{swapped: s, told: schemas.NewTimeline(topic), decided: map[int32][]decided{}}
}

func (m *models) event(value []byte) error {
	e, err := schemas.ParseModelEvent(value)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told.Add(&e)
	return nil
}

// verdict takes note of whose a verdict is, and gives it as the first bundle would have written it.
func (m *models) verdict(partition int32, offset int64, id schemas.BundleID, value []byte) ([]byte, error) {
	m.mu.Lock()
	m.decided[partition] = append(m.decided[partition], decided{offset, id})
	m.mu.Unlock()
	name := func(b *scorer.Bundle) []byte {
		return fmt.Appendf(nil, `"version":%q,"digest":%q`, b.ID.Version, b.ID.Digest)
	}
	for _, b := range m.swapped.bundles {
		if b.ID == id {
			return bytes.Replace(value, name(b), name(m.swapped.bundles[0]), 1), nil
		}
	}
	return value, fmt.Errorf("partition %d offset %d is under a bundle that nobody put there: %+v", partition, offset, id)
}

// wrong holds what was decided against what was told, once both are read to the end.
func (m *models) wrong() (all []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, verdicts := range m.decided {
		for _, v := range verdicts {
			if said, _ := m.told.At(p, v.offset, nil); said != v.id {
				all = append(all, fmt.Sprintf("partition %d offset %d is under %s, the topic of models says %q", p, v.offset, v.id.Digest, said.Digest))
			}
		}
	}
	clear(m.decided)
	return all
}

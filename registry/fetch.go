package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mlmonitor/mlmonitor/scorer"
)

// Prove loads a bundle from a directory as a scorer does, and scores its recorded examples.
type Prove func(dir string) (*scorer.Bundle, error)

// badBundle is an error of the bundle itself, not of the way to it: to fetch it again would change nothing.
type badBundle struct{ error }

func (b badBundle) Unwrap() error { return b.error }

// bundleFolders are where a version's artifacts may hold the bundle: beside MLflow's own files, or by itself.
var bundleFolders = []string{"bundle", ""}

const manifestName = "bundle.json"

// Fetch downloads a version's bundle into the cache and proves it; one that is there already is proved again, and not downloaded. What does not hold is
// removed: it was not what its digests say, or MLflow gave a part of it.
func (m *MLflow) Fetch(ctx context.Context, version string, prove Prove) (*scorer.Bundle, string, error) {
	root, err := m.Artifacts(ctx, version)
	if err != nil {
		return nil, "", err
	}
	folder, sizes, err := m.findBundle(ctx, root)
	if err != nil {
		return nil, "", fmt.Errorf("version %s of %s: %w", version, m.cfg.Model, err)
	}
	if err := os.MkdirAll(m.cfg.CacheDir, 0o755); err != nil {
		return nil, "", fmt.Errorf("MODEL_CACHE_DIR: %w", err)
	}
	dir, err := os.MkdirTemp(m.cfg.CacheDir, ".fetch-")
	if err != nil {
		return nil, "", fmt.Errorf("MODEL_CACHE_DIR: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := m.download(ctx, folder, sizes, dir); err != nil {
		return nil, "", fmt.Errorf("version %s of %s: %w", version, m.cfg.Model, err)
	}
	b, err := prove(dir)
	if err != nil {
		return nil, "", fmt.Errorf("version %s of %s: %w", version, m.cfg.Model, badBundle{err})
	}
	kept := filepath.Join(m.cfg.CacheDir, strings.Replace(b.ID.Digest, ":", "-", 1))
	if err := os.Rename(dir, kept); err != nil && !errors.Is(err, os.ErrExist) && !isDir(kept) {
		return nil, "", fmt.Errorf("MODEL_CACHE_DIR: %w", err)
	}
	return b, kept, nil
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// findBundle gives the folder of the bundle, and the sizes of its files.
func (m *MLflow) findBundle(ctx context.Context, root string) (folder string, sizes map[string]int64, err error) {
	for _, sub := range bundleFolders {
		folder = path.Join(root, sub)
		sizes, err = m.Sizes(ctx, folder)
		var refused *APIError
		if errors.As(err, &refused) && refused.Status == 404 {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		if _, ok := sizes[manifestName]; ok {
			return folder, sizes, nil
		}
	}
	return "", nil, badBundle{errors.New("its artifacts have no bundle.json, in bundle/ or directly: log a bundle with the model, or mlmonitor model push")}
}

func (m *MLflow) download(ctx context.Context, folder string, sizes map[string]int64, dir string) error {
	get := func(name string, most int64) ([]byte, error) {
		size, ok := sizes[name]
		switch {
		case !ok:
			return nil, badBundle{fmt.Errorf("bundle.json lists %s, which is not among the artifacts", name)}
		case size < 0 || size > most:
			return nil, badBundle{fmt.Errorf("%s has %d bytes, at most %d are allowed", name, size, most)}
		}
		data, err := m.Download(ctx, path.Join(folder, name), size)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
		}
		return data, err
	}
	const mostManifest = 16 << 20
	manifest, err := get(manifestName, mostManifest)
	if err != nil {
		return err
	}
	files, err := scorer.Files(manifest)
	if err != nil {
		return badBundle{err}
	}
	for name, most := range files {
		if _, err := get(name, most); err != nil {
			return err
		}
	}
	return nil
}

// keptBundles is how many of the cache stay beside the one in force: those of a rollback.
const keptBundles = 4

// currentName is a file of the cache that names the bundle in force.
const currentName = "current"

// remember notes which bundle of the cache is in force, and removes the oldest others.
func remember(cacheDir, kept string) error {
	now := time.Now()
	if err := os.Chtimes(kept, now, now); err != nil {
		return err
	}
	temporary := filepath.Join(cacheDir, ".current")
	if err := os.WriteFile(temporary, []byte(filepath.Base(kept)+"\n"), 0o644); err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(cacheDir, currentName)); err != nil {
		return err
	}
	entries, err := os.ReadDir(cacheDir)
	if err != nil {
		return err
	}
	type aged struct {
		name string
		at   time.Time
	}
	var others []aged
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.IsDir() && strings.HasPrefix(e.Name(), "sha256-") && e.Name() != filepath.Base(kept) {
			others = append(others, aged{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(others, func(a, b aged) int { return b.at.Compare(a.at) })
	for _, o := range others[min(len(others), keptBundles):] {
		if err := os.RemoveAll(filepath.Join(cacheDir, o.name)); err != nil {
			return err
		}
	}
	return nil
}

// lastGood is the bundle of the cache that was in force last; an error where there is none.
func lastGood(cacheDir string) (string, error) {
	name, err := os.ReadFile(filepath.Join(cacheDir, currentName))
	if err != nil {
		return "", err
	}
	base := strings.TrimSpace(string(name))
	if !strings.HasPrefix(base, "sha256-") || strings.ContainsAny(base, `/\`) {
		return "", fmt.Errorf("%s names no bundle", filepath.Join(cacheDir, currentName))
	}
	return filepath.Join(cacheDir, base), nil
}

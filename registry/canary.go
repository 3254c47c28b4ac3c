package registry

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// tagCanary, on a version, is the share of keys that it decides while it is the challenger. None, or 0: it decides nothing.
const tagCanary = "mlmonitor.canary_share"

// CanaryShare is what the version's tag says; an error where that is no share.
func (v ModelVersion) CanaryShare() (float64, error) {
	text := v.Tag(tagCanary)
	if text == "" {
		return 0, nil
	}
	share, err := strconv.ParseFloat(text, 64)
	if err == nil {
		err = validShare(share)
	}
	if err != nil {
		return 0, fmt.Errorf("the tag %s of version %s is %q: %w", tagCanary, v.Version, text, err)
	}
	return share, nil
}

func validShare(share float64) error {
	if !(share >= 0 && share <= schemas.MaxCanaryShare) {
		return fmt.Errorf("a canary's share of the keys is 0 to %v", schemas.MaxCanaryShare)
	}
	return nil
}

// Canary lets the challenger decide for a share of the keys; for none with 0. Its bundle is proved before.
func (m *MLflow) Canary(ctx context.Context, share float64, by, why string, prove Prove) (Promotion, error) {
	p := Promotion{Alias: m.cfg.Challenger, By: by, Why: why, At: time.Now().UTC().Truncate(time.Second), Share: share}
	if err := errors.Join(validShare(share), p.named()); err != nil {
		return p, err
	}
	if m.cfg.Challenger == "" {
		return p, errors.New("MLFLOW_CHALLENGER_ALIAS is empty: scorers look for no challenger")
	}
	challenger, err := m.ByAlias(ctx, m.cfg.Challenger)
	if err != nil {
		return p, err
	}
	p.Version, p.Previous = challenger.Version, challenger.Version
	champion, err := m.ByAlias(ctx, m.cfg.Alias)
	if err != nil {
		return p, err
	}
	if champion.Version == challenger.Version {
		return p, fmt.Errorf("version %s is %s and %s: it decides all there is", champion.Version, m.cfg.Alias, m.cfg.Challenger)
	}
	if share > 0 {
		if _, _, err := m.Fetch(ctx, challenger.Version, prove); err != nil {
			return p, fmt.Errorf("no canary: %w", err)
		}
	}
	return p, m.write(ctx, p, func() error {
		return m.SetTag(ctx, challenger.Version, tagCanary, strconv.FormatFloat(share, 'g', -1, 64))
	})
}

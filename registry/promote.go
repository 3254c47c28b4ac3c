package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Tags of a model version that say how it came to its alias.
const (
	tagBy  = "mlmonitor.promoted_by"
	tagWhy = "mlmonitor.promoted_why"
	tagAt  = "mlmonitor.promoted_at"
)

// tagHistory, on the registered model, is the list of promotions, JSON, the latest last.
const tagHistory = "mlmonitor.history"

// maxHistory keeps the tag below MLflow's 5,000 bytes: older promotions leave it.
const maxHistory = 10

// Promotion is a move of an alias.
type Promotion struct {
	Alias    string    `json:"alias"`
	Version  string    `json:"version"`
	Previous string    `json:"previous,omitempty"`
	By       string    `json:"by"`
	Why      string    `json:"why"`
	Share    float64   `json:"share,omitempty"` // of the keys, of a challenger that is a canary
	At       time.Time `json:"at"`
}

// History gives the promotions that the model's tag has, the latest last.
func (m *MLflow) History(ctx context.Context) ([]Promotion, error) {
	tags, err := m.ModelTags(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(tags, func(t Tag) bool { return t.Key == tagHistory })
	if i < 0 {
		return nil, nil
	}
	var all []Promotion
	if err := json.Unmarshal([]byte(tags[i].Value), &all); err != nil {
		return nil, fmt.Errorf("the tag %s of %s is not what was written: %w", tagHistory, m.cfg.Model, err)
	}
	return all, nil
}

// Promote moves the alias to a version whose bundle holds, and which has a backtest of it unless force says otherwise, and writes down who, when and why. The tags are written first: an alias that has moved has its reason. The version is no
// canary then, nor is the one before: were it, it would decide on after a rollback.
func (m *MLflow) Promote(ctx context.Context, version, by, why string, force bool, prove Prove) (Promotion, error) {
	p := Promotion{Alias: m.cfg.Alias, Version: version, By: by, Why: why, At: time.Now().UTC().Truncate(time.Second)}
	if err := p.named(); err != nil {
		return p, err
	}
	v, err := m.Get(ctx, version)
	if err != nil {
		return p, err
	}
	b, _, err := m.Fetch(ctx, version, prove)
	if err == nil && !force && m.cfg.Alias != m.cfg.Challenger { // who decides nothing needs no backtest
		err = v.backtested(b.ID.Digest)
	}
	if err != nil {
		return p, fmt.Errorf("not promoted: %w", err)
	}
	leaving := []ModelVersion{v}
	before, err := m.ByAlias(ctx, m.cfg.Alias)
	switch {
	case err == nil:
		p.Previous = before.Version
		leaving = append(leaving, before)
	case !errors.Is(err, ErrNoAlias):
		return p, err
	}
	for _, v := range leaving {
		if share := v.Tag(tagCanary); share != "" && share != "0" {
			if err := m.SetTag(ctx, v.Version, tagCanary, "0"); err != nil {
				return p, err
			}
		}
	}
	return p, m.write(ctx, p, func() error { return m.SetAlias(ctx, m.cfg.Alias, version) })
}

// named refuses what nobody would know the reason of.
func (p *Promotion) named() error {
	if strings.TrimSpace(p.By) == "" || strings.TrimSpace(p.Why) == "" || len(p.By) > 100 || len(p.Why) > 200 {
		return errors.New("a promotion needs who (at most 100 bytes) and why (at most 200): those who look later will ask")
	}
	return nil
}

// write writes down who, when and why, does it, and adds it to the history.
func (m *MLflow) write(ctx context.Context, p Promotion, do func() error) error {
	history, err := m.History(ctx)
	if err != nil {
		return err
	}
	if history = append(history, p); len(history) > maxHistory {
		history = history[len(history)-maxHistory:]
	}
	text, err := json.Marshal(history)
	if err != nil {
		return err
	}
	for _, tag := range []Tag{{tagBy, p.By}, {tagWhy, p.Why}, {tagAt, p.At.Format(time.RFC3339)}} {
		if err := m.SetTag(ctx, p.Version, tag.Key, tag.Value); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	return m.SetModelTag(ctx, tagHistory, string(text))
}

// Rollback promotes the version that had the alias before the last move.
func (m *MLflow) Rollback(ctx context.Context, by, why string, prove Prove) (Promotion, error) {
	now, err := m.ByAlias(ctx, m.cfg.Alias)
	if err != nil {
		return Promotion{}, err
	}
	history, err := m.History(ctx)
	if err != nil {
		return Promotion{}, err
	}
	for _, p := range slices.Backward(history) {
		if p.Alias == m.cfg.Alias && p.Version == now.Version && p.Previous != "" && p.Previous != now.Version {
			return m.Promote(ctx, p.Previous, by, why, true, prove)
		}
	}
	return Promotion{}, fmt.Errorf("nothing is known of what was %s before version %s: promote a version by its number", m.cfg.Alias, now.Version)
}

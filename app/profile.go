package app

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// Profiler makes the profile of a bundle from transactions that it scores.
type Profiler struct {
	bundle  *scorer.Bundle
	scorer  *scorer.Scorer
	sample  *drift.Sample
	Refused map[schemas.Class]int // events that have no verdict, which the profile leaves out
	seen    func()
}

// NewProfiler starts without transactions. seen is called for each that was read.
func NewProfiler(b *scorer.Bundle, seen func()) *Profiler {
	columns := make([]drift.Column, 0, len(b.Contract.FeatureNames()))
	for i, name := range b.Contract.FeatureNames() {
		columns = append(columns, drift.Column{Name: name, Category: b.Contract.CategoryFeature(i), Labels: b.Contract.CategoryLabels(i), Untested: b.Contract.TimeFeature(i)})
	}
	return &Profiler{bundle: b, scorer: b.NewScorer(), sample: drift.NewSample(columns), Refused: map[schemas.Class]int{}, seen: seen}
}

// Transactions is how many the profile is made of.
func (p *Profiler) Transactions() int { return p.sample.Len() }

// Profile makes it; done is called after each feature.
func (p *Profiler) Profile(done func(feature, of int)) (*drift.Profile, error) {
	return p.sample.Profile(done)
}

// event scores one event and takes it into the sample.
func (p *Profiler) event(event []byte, timestamp time.Time) error {
	p.scorer.Reset()
	p.scorer.Add(event, timestamp)
	outcomes, err := p.scorer.Score()
	if err != nil {
		return err
	}
	p.seen()
	if reason := outcomes[0].Err; reason != nil {
		p.Refused[reason.Class]++
		return nil
	}
	s := p.scorer.Scored()
	return p.sample.Add(s.Rows, s.Probabilities[0], s.Decisions[0], string(p.scorer.Key()), outcomes[0].Verdict.EventTime)
}

// Events takes transactions that are not rows yet.
func (p *Profiler) Events(events Events) error {
	return events(func(event []byte, timestamp time.Time) error { return p.event(event, timestamp) })
}

// row scores one row of the model.
func (p *Profiler) row(row []float64, customer string) error {
	margin, chance := [1]float64{}, [1]float64{}
	if err := p.bundle.Model.Margins(row, margin[:]); err != nil {
		return err
	}
	if err := p.bundle.Model.Transform(margin[:], chance[:]); err != nil {
		return err
	}
	p.seen()
	if !(chance[0] >= 0 && chance[0] <= 1) {
		p.Refused[scorer.ScoreNotFinite]++
		return nil
	}
	return p.sample.Add(row, chance[0], scorer.DecisionCode(p.bundle.Policy.Decide(chance[0])), customer, time.Time{})
}

// CSV reads rows of the model in the order of time, as scorer.EachRow does. customer names the column that tells whose transaction it is, "" for none.
func (p *Profiler) CSV(r io.Reader, customer string) error {
	_, err := scorer.EachRow(named{p.bundle.Model, p.bundle.Contract.FeatureNames()}, r, customer, p.row)
	return err
}

// named gives a model the names of its features from the contract.
type named struct {
	scorer.Model
	names []string
}

func (n named) FeatureNames() []string { return n.names }

// Parquet is CSV for a Parquet file of plain columns; null is missing.
func (p *Profiler) Parquet(file *os.File, customer string) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	table, err := parquet.OpenFile(file, info.Size())
	if err != nil {
		return err
	}
	names := p.bundle.Contract.FeatureNames()
	columns := map[int]int{} // column to place in the row
	key := -1
	for place, name := range names {
		leaf, ok := table.Schema().Lookup(name)
		if !ok {
			return fmt.Errorf("there is no plain column %q", name)
		}
		columns[leaf.ColumnIndex] = place
	}
	if customer != "" {
		leaf, ok := table.Schema().Lookup(customer)
		if !ok {
			return fmt.Errorf("there is no plain column %q", customer)
		}
		key = leaf.ColumnIndex
	}
	rows := parquet.NewReader(table)
	defer rows.Close()
	row, buffer := make([]float64, len(names)), make([]parquet.Row, 256)
	for {
		n, err := rows.ReadRows(buffer)
		for _, cells := range buffer[:n] {
			for i := range row {
				row[i] = math.NaN()
			}
			who := ""
			for _, cell := range cells {
				if cell.Column() == key && !cell.IsNull() {
					who = cell.String()
				}
				place, ok := columns[cell.Column()]
				if !ok || cell.IsNull() {
					continue
				}
				if row[place], err = number(cell); err != nil {
					return fmt.Errorf("column %q: %w", names[place], err)
				}
			}
			if err := p.row(row, who); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func number(v parquet.Value) (float64, error) {
	switch v.Kind() {
	case parquet.Boolean:
		if v.Boolean() {
			return 1, nil
		}
		return 0, nil
	case parquet.Int32:
		return float64(v.Int32()), nil
	case parquet.Int64:
		return float64(v.Int64()), nil
	case parquet.Float:
		return float64(v.Float()), nil
	case parquet.Double:
		return v.Double(), nil
	}
	return 0, fmt.Errorf("its type %v is no number", v.Kind())
}

// WriteProfile puts a profile into a bundle's directory, and lists it in bundle.json: the bundle has another digest then, which it returns.
func WriteProfile(dir string, p *drift.Profile) (digest string, err error) {
	text, err := p.Encode()
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "bundle.json")
	manifest, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	if manifest, err = scorer.ListFile(manifest, scorer.ProfileFile, text); err != nil {
		return "", err
	}
	if err := replaceFile(filepath.Join(dir, scorer.ProfileFile), text); err != nil {
		return "", err
	}
	if err := replaceFile(name, manifest); err != nil {
		return "", err
	}
	b, err := OpenBundle(&ScorerConfig{BundleDir: dir, Engine: scorer.Auto})
	if err != nil {
		return "", err
	}
	return b.ID.Digest, nil
}

// replaceFile leaves the old file or the new one, never a part.
func replaceFile(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

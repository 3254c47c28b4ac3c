package scorer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/dmitryikh/leaves"

	"github.com/mlmonitor/mlmonitor/scorer/forest"
)

// leavesModel scores with github.com/dmitryikh/leaves. It runs only when it is chosen by name.
type leavesModel struct {
	ensemble *leaves.Ensemble
	shape    *forest.Model // what the file says of itself, and the transform
}

// loadLeaves reads a LightGBM text model into leaves. The forest engine reads the file first: leaves does not end on some malformed files.
// What leaves is known to score wrongly is refused.
func loadLeaves(data []byte) (Model, error) {
	shape, err := forest.Load(data)
	if err != nil {
		return nil, err
	}
	text := string(data)
	for _, wrong := range []struct{ mark, why string }{
		{"\nis_linear=1", "it ignores linear leaves"},
		{"\naverage_output", "it averages the margins of a random forest"},
	} {
		if strings.Contains(text, wrong.mark) {
			return nil, fmt.Errorf("SCORER_ENGINE=leaves is known to score this model wrongly: %s; use SCORER_ENGINE=forest", wrong.why)
		}
	}
	if !strings.Contains(text, "\ntree_sizes=") {
		return nil, errors.New("leaves needs the line tree_sizes: use SCORER_ENGINE=forest")
	}
	old := bytes.Replace(data, []byte("\nversion=v4"), []byte("\nversion=v3"), 1)
	ensemble, err := leaves.LGEnsembleFromReader(bufio.NewReader(bytes.NewReader(old)), false)
	if err != nil {
		return nil, fmt.Errorf("leaves: %w", err)
	}
	return &leavesModel{ensemble, shape}, nil
}

func (m *leavesModel) Format() string         { return m.shape.Format() + ", scored by leaves" }
func (m *leavesModel) Objective() string      { return m.shape.Objective() }
func (m *leavesModel) Features() int          { return m.shape.Features() }
func (m *leavesModel) FeatureNames() []string { return m.shape.FeatureNames() }
func (m *leavesModel) Outputs() int           { return m.shape.Outputs() }
func (m *leavesModel) Predictions() int       { return m.shape.Predictions() }
func (m *leavesModel) Trees() int             { return m.shape.Trees() }
func (m *leavesModel) Width() int             { return m.shape.Width() }

func (m *leavesModel) Margins(rows, out []float64) error {
	features, outputs := m.Features(), m.Outputs()
	if len(rows)/features*outputs != len(out) || len(rows)%features != 0 {
		return fmt.Errorf("%d values in and %d out are not the same number of rows", len(rows), len(out))
	}
	row := make([]float64, features)
	for i := range len(rows) / features {
		// LightGBM takes what is next to nothing for 0 before any tree sees it (c_api.cpp); leaves does not.
		for f, x := range rows[i*features : (i+1)*features] {
			if math.Abs(x) <= float64(float32(1e-35)) {
				x = 0
			}
			row[f] = x
		}
		// Not PredictSingle: that returns 0 for any error.
		if err := m.ensemble.Predict(row, 0, out[i*outputs:(i+1)*outputs]); err != nil {
			return fmt.Errorf("leaves: row %d: %w", i, err)
		}
	}
	return nil
}

func (m *leavesModel) Transform(margins, out []float64) error { return m.shape.Transform(margins, out) }

// Exactness says how near a model's scores are to those of the library that wrote it.
func Exactness(m Model) string {
	if _, ok := m.(*leavesModel); ok {
		return "LightGBM's bits on every model that it was tested on; linear trees and random forests, which it scores wrongly, are refused"
	}
	return "bit-equal to the library that wrote the model"
}

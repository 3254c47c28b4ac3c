package scorer

import (
	"fmt"

	"github.com/dmitryikh/leaves"

	"github.com/mlmonitor/mlmonitor/scorer/forest"
)

// leavesModel scores with github.com/dmitryikh/leaves. It runs only when it is chosen by name.
type leavesModel struct {
	ensemble  *leaves.Ensemble
	shape     *forest.Model // features, outputs, objective and the transform
	format    string
	exactness string
	trees     int
	input     func(float64) float64 // turns a row's value into one that leaves decides on as the model's library does on the row's
}

// loadLeaves reads a LightGBM text model, or a binary model of XGBoost 0.90 or before, into leaves. Other code reads the whole file first: on
// some malformed files leaves does not end, panics or takes all memory. What leaves is known to score wrongly is refused.
func loadLeaves(data []byte) (Model, error) {
	if looksLikeXGBoostBinary(data) {
		return loadLeavesXGBoost(data)
	}
	shape, err := forest.Load(data)
	if err != nil {
		return nil, err
	}
	if shape.Width() != 64 {
		return nil, fmt.Errorf("leaves reads LightGBM text and the binary files of XGBoost 0.90 and before, this is %s: use SCORER_ENGINE=forest", shape.Format())
	}
	return loadLeavesLightGBM(data, shape, leavesSeesCategories())
}

func (m *leavesModel) Format() string         { return m.format + ", scored by leaves" }
func (m *leavesModel) Exactness() string      { return m.exactness }
func (m *leavesModel) Objective() string      { return m.shape.Objective() }
func (m *leavesModel) Features() int          { return m.shape.Features() }
func (m *leavesModel) FeatureNames() []string { return m.shape.FeatureNames() }
func (m *leavesModel) Outputs() int           { return m.shape.Outputs() }
func (m *leavesModel) Predictions() int       { return m.shape.Predictions() }
func (m *leavesModel) Trees() int             { return m.trees }
func (m *leavesModel) Width() int             { return m.shape.Width() }

func (m *leavesModel) Margins(rows, out []float64) error {
	features, outputs := m.Features(), m.Outputs()
	if len(rows)/features*outputs != len(out) || len(rows)%features != 0 {
		return fmt.Errorf("%d values in and %d out are not the same number of rows", len(rows), len(out))
	}
	row := make([]float64, features)
	for i := range len(rows) / features {
		for f, x := range rows[i*features : (i+1)*features] {
			row[f] = m.input(x)
		}
		// Not PredictSingle: that returns 0 for any error.
		if err := m.ensemble.Predict(row, 0, out[i*outputs:(i+1)*outputs]); err != nil {
			return fmt.Errorf("leaves: row %d: %w", i, err)
		}
	}
	if m.Width() == 32 {
		for i, sum := range out {
			out[i] = float64(float32(sum))
		}
	}
	return nil
}

func (m *leavesModel) Transform(margins, out []float64) error { return m.shape.Transform(margins, out) }

// Exactness says how near a model's scores are to those of the library that wrote it.
func Exactness(m Model) string {
	if m, ok := m.(interface{ Exactness() string }); ok {
		return m.Exactness()
	}
	return "bit-equal to the library that wrote the model"
}

// wrongInLeaves is the refusal of a model that leaves would score, but not as its library does.
func wrongInLeaves(why string) error {
	return fmt.Errorf("SCORER_ENGINE=leaves is known to score this model wrongly: %s; use SCORER_ENGINE=forest", why)
}

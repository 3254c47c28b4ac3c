package forest

import (
	"fmt"
	"slices"
)

// Model is a loaded ensemble. It is immutable and safe for concurrent use.
type Model struct {
	format   string
	names    []string
	features int
	outputs  int
	width    int
	best     int // iterations up to the best that the file records; 0 where it records none
	body     body
}

// body is what differs between libraries: the trees and their arithmetic. Rows are row-major, n × features; margins n × outputs.
type body interface {
	objectiveName() string
	size() int
	margins(rows, out []float64, n, features, outputs int)
	predictions(outputs int) int                      // for each row
	transform(margins, out []float64, n, outputs int) // out may be margins
	part(start, count, outputs int) body              // iterations
}

// Format names the file format and its version.
func (m *Model) Format() string { return m.format }

// Objective is the objective's name as the library writes it.
func (m *Model) Objective() string { return m.body.objectiveName() }

// Features is the length of a row.
func (m *Model) Features() int { return m.features }

// FeatureNames are the names of the columns of a row, nil where the file has none.
func (m *Model) FeatureNames() []string { return slices.Clone(m.names) }

// Outputs is the number of values for each row: 1, or one for each class or target.
func (m *Model) Outputs() int { return m.outputs }

// Predictions is the number of values that Transform makes of a row's Outputs(): as many, or 1 where the objective names a class.
func (m *Model) Predictions() int { return m.body.predictions(m.outputs) }

// Trees is the number of trees, over all outputs.
func (m *Model) Trees() int { return m.body.size() }

// Width is the number of bits of the library's own number type: 64 for LightGBM, 32 for XGBoost.
func (m *Model) Width() int { return m.width }

// Range is the model of count iterations from start, as LightGBM's start_iteration and num_iteration: start is clamped, and a count of 0 or
// less, or too large, means the rest. An iteration is one round of boosting: a tree for each output, or what XGBoost made in one.
func (m *Model) Range(start, count int) *Model {
	part := *m
	part.best = 0 // it counts from the first of all
	part.body = m.body.part(start, count, m.outputs)
	return &part
}

// Iterations is the number of rounds of boosting.
func (m *Model) Iterations() int {
	if b, ok := m.body.(interface{ iterations(outputs int) int }); ok {
		return b.iterations(m.outputs)
	}
	return 0
}

// BestIteration is the round, counted from 0, that the training of an XGBoost model found to be the best, where the file records one. It changes
// nothing by itself: scikit-learn's wrapper scores Range(0, n+1), Booster.predict all.
func (m *Model) BestIteration() (n int, ok bool) { return m.best - 1, m.best > 0 }

// Leaves counts the leaves of all trees, and of the largest.
func (m *Model) Leaves() (total, largest int) {
	if b, ok := m.body.(interface{ leaves() (total, largest int) }); ok {
		return b.leaves()
	}
	return 0, 0
}

// clampRange is the range of iterations as LightGBM takes it.
func clampRange(start, count, total int) (from, to int) {
	from = max(0, min(start, total))
	if count <= 0 || count > total-from {
		return from, total
	}
	return from, from + count
}

// Margins writes the raw score of each row: rows is row-major n × Features(), out is n × Outputs(). Once warm it
// allocates nothing. The error is a mismatch of the shapes.
func (m *Model) Margins(rows, out []float64) error {
	n, err := m.check(len(rows), m.features, len(out))
	if err != nil {
		return err
	}
	m.body.margins(rows, out, n, m.features, m.outputs)
	return nil
}

// Transform turns margins, n × Outputs(), into the library's predictions, n × Predictions(); out may begin where margins does. The error is a
// mismatch of the shapes.
func (m *Model) Transform(margins, out []float64) error {
	n := len(margins) / m.outputs
	if n*m.outputs != len(margins) || n*m.Predictions() != len(out) {
		return fmt.Errorf("%d margins and %d predictions are not the same number of rows of %d and %d", len(margins), len(out), m.outputs, m.Predictions())
	}
	m.body.transform(margins, out, n, m.outputs)
	return nil
}

// check makes sure that the slices have the shapes of one another, and gives the number of rows.
func (m *Model) check(in, perRow, out int) (int, error) {
	rows := out / m.outputs
	if rows*m.outputs != out || rows*perRow != in {
		return 0, fmt.Errorf("%d values in and %d out are not the same number of rows of %d in and %d out", in, out, perRow, m.outputs)
	}
	return rows, nil
}

package scorer

import (
	"fmt"
	"strings"

	"github.com/mlmonitor/mlmonitor/scorer/forest"
)

// Model is a loaded tree ensemble. forest.Model and the leaves engine implement it; both are safe for concurrent use.
type Model interface {
	Format() string         // the file format, as "LightGBM text v4"
	Objective() string      // as the library names it
	Features() int          // length of a row
	FeatureNames() []string // nil where the file has none
	Outputs() int           // margins of a row
	Predictions() int       // predictions of a row: as many, or 1 where the objective names a class
	Trees() int
	Width() int // bits of the library's own number type, 32 or 64
	// Margins writes the raw score of each row: rows is row-major n × Features(), out is n × Outputs().
	Margins(rows, out []float64) error
	// Transform turns margins into predictions, n × Predictions(); out may begin where margins does.
	Transform(margins, out []float64) error
}

// Engine names a program that scores models.
type Engine string

// The engines. Auto is Forest; Leaves runs only when it is named.
const (
	Auto   Engine = "auto"
	Forest Engine = "forest"
	Leaves Engine = "leaves"
)

// Kernel names the vector kernel, or the plain way, that this machine scores a model's batches with; "" for the leaves engine.
func Kernel(m Model) string {
	if f, ok := m.(*forest.Model); ok {
		return f.Kernel(256)
	}
	return ""
}

// LoadModel reads a model file with an engine. The format is found from the content, whatever the name; only the name .txt, which is LightGBM's,
// must not stand on XGBoost's JSON or UBJSON: there somebody has mixed up two files.
func LoadModel(name string, data []byte, engine Engine) (Model, error) {
	m, err := loadModel(data, engine)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(name, ".txt") && m.Width() == 32 {
		return nil, fmt.Errorf("the name .txt is that of LightGBM's text models, the file is %s: name it .json or .ubj", m.Format())
	}
	return m, nil
}

func loadModel(data []byte, engine Engine) (Model, error) {
	switch engine {
	case Auto, Forest, "":
		return forest.Load(data)
	case Leaves:
		return loadLeaves(data)
	}
	return nil, fmt.Errorf("SCORER_ENGINE is %q: use auto, forest or leaves", engine)
}

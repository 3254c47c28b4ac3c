package scorer

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"unicode"

	"github.com/dmitryikh/leaves"

	"github.com/mlmonitor/mlmonitor/scorer/forest"
)

// loadLeavesLightGBM reads a text that the forest engine has accepted as shape, where leaves reads the same in it.
func loadLeavesLightGBM(data []byte, shape *forest.Model, seesCategories bool) (Model, error) {
	text, err := leavesText(data, seesCategories)
	if err != nil {
		return nil, err
	}
	text = bytes.Replace(text, []byte("\nversion=v4"), []byte("\nversion=v3"), 1) // leaves knows no v4, which reads the same
	ensemble, err := leaves.LGEnsembleFromReader(bufio.NewReader(bytes.NewReader(text)), false)
	if err != nil {
		return nil, fmt.Errorf("leaves cannot read this model: %w; use SCORER_ENGINE=forest", err)
	}
	if ensemble.Name() != "lightgbm.gbdt" {
		return nil, wrongInLeaves("it averages the margins of a random forest")
	}
	trees := ensemble.NEstimators() * ensemble.NRawOutputGroups()
	if trees != shape.Trees() || ensemble.NRawOutputGroups() != shape.Outputs() {
		return nil, wrongInLeaves(fmt.Sprintf("it reads %d trees, the file has %d", trees, shape.Trees()))
	}
	return &leavesModel{ensemble, shape, shape.Format(), "bit-equal to LightGBM on every model and row that it was tested on; what it is known to score otherwise is refused", trees, lightGBMInput}, nil
}

// leavesText gives the part of the file that has the trees, and refuses what leaves reads otherwise than LightGBM does. It trims lines, and to it a tree
// begins after an empty line, to LightGBM with a line Tree=: so a field could belong to one tree here and to another there, links that never end too.
func leavesText(data []byte, seesCategories bool) ([]byte, error) {
	number, at, empty := 0, 0, false
	for line := range bytes.Lines(data) {
		number++
		at += len(line)
		line = bytes.TrimRight(line, "\r\n")
		if string(line) == "end of trees" {
			break
		}
		if len(bytes.TrimLeftFunc(line, unicode.IsSpace)) < len(line) {
			return nil, wrongInLeaves(fmt.Sprintf("line %d begins with a space, which it passes over", number))
		}
		key, value, _ := bytes.Cut(line, []byte("="))
		switch value = bytes.TrimSpace(value); string(key) {
		case "Tree":
			if !empty {
				return nil, wrongInLeaves(fmt.Sprintf("no empty line stands before line %d, where a tree begins", number))
			}
		case "is_linear":
			if string(value) != "0" {
				return nil, wrongInLeaves("it ignores linear leaves")
			}
		case "num_cat":
			if string(value) != "0" && !seesCategories {
				return nil, wrongInLeaves("on this processor it takes a missing category for another")
			}
		}
		empty = len(line) == 0
	}
	return data[:at], nil
}

// leavesSeesCategories says whether a number that is no category is none for leaves too. It converts to int32 before it looks whether that can be,
// and Go leaves to the processor what comes of NaN and of numbers that do not fit.
func leavesSeesCategories() bool {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e300, 1<<32 + 5, -1<<32 + 5} {
		if c := int32(x); c >= 0 && (c < math.MaxInt32 || x != x) {
			return false
		}
	}
	return true
}

// lightGBMInput makes 0 of what is next to nothing, as LightGBM does before any tree sees a row (c_api.cpp), and leaves does not.
func lightGBMInput(x float64) float64 {
	if math.Abs(x) <= float64(float32(1e-35)) {
		return 0
	}
	return x
}

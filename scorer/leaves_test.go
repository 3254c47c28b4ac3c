package scorer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestLeavesScoresRightOrRefuses runs every LightGBM fixture: what leaves takes, it must score to the bit.
func TestLeavesScoresRightOrRefuses(t *testing.T) {
	folders, err := os.ReadDir(filepath.Join("forest", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	scored := 0
	for _, folder := range folders {
		name := folder.Name()
		if !strings.HasPrefix(name, "lgb") {
			continue
		}
		m, err := LoadModel("model.txt", fixture(t, name, "model.txt"), Leaves)
		if err != nil {
			if !strings.Contains(err.Error(), "forest") {
				t.Errorf("%s: the refusal does not say what to do: %v", name, err)
			}
			continue
		}
		scored++
		if !strings.Contains(m.Format(), "leaves") {
			t.Errorf("%s: the format %q does not say who scores", name, m.Format())
		}
		var meta struct {
			Width int `json:"width"`
		}
		if err := json.Unmarshal(fixture(t, name, "meta.json"), &meta); err != nil {
			t.Fatal(err)
		}
		var rows []float64
		for word := range strings.FieldsFuncSeq(string(fixture(t, name, "rows.csv")), func(r rune) bool { return r == ',' || r == '\n' }) {
			v, err := strconv.ParseFloat(word, 64)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, v)
		}
		out := make([]float64, len(rows)/m.Features()*m.Outputs())
		if err := m.Margins(rows, out); err != nil {
			t.Fatal(err)
		}
		wrong, want := 0, numbers(t, string(fixture(t, name, "raw.csv")), 64)
		for i, row := range want {
			for c, bits := range row {
				got := numbers(t, strconv.FormatFloat(out[i*m.Outputs()+c], 'g', -1, 64), 64)[0][0]
				if got != bits {
					wrong++
				}
			}
		}
		if wrong > 0 {
			t.Errorf("%s: leaves takes it, and scores %d of %d wrong", name, wrong, len(out))
		}
	}
	if scored < 50 {
		t.Errorf("leaves takes only %d of the LightGBM fixtures", scored)
	}
}

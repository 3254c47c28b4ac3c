package scorer

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// old reads a file of an XGBoost 0.90 fixture.
func old(t testing.TB, folder, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", folder, name))
	if err == nil {
		return data
	}
	packed, err := os.Open(filepath.Join("testdata", folder, name+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(z); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// cells are all numbers of a table without header.
func cells(t testing.TB, text []byte) (all []float64) {
	t.Helper()
	for word := range strings.FieldsFuncSeq(string(text), func(r rune) bool { return r == ',' || r == '\n' }) {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

var oldModels = []string{"xgb090_binary", "xgb090_binary_regression", "xgb090_dart"}

func TestLeavesScoresOldXGBoostAsNearAsItSays(t *testing.T) {
	for _, name := range oldModels {
		m, err := LoadModel("model.bin", old(t, name, "model.bin"), Leaves)
		if err != nil {
			t.Fatal(name, err)
		}
		if !strings.Contains(m.Format(), "XGBoost binary") || !strings.Contains(Exactness(m), "1.3e-6") || m.Width() != 32 || m.Trees() != 10 || m.Outputs() != 1 {
			t.Errorf("%s: %q, %q, width %d, %d trees", name, m.Format(), Exactness(m), m.Width(), m.Trees())
		}
		rows := cells(t, old(t, name, "rows.csv"))
		got := make([]float64, len(rows)/m.Features())
		if err := m.Margins(rows, got); err != nil {
			t.Fatal(err)
		}
		compare := func(file string, got []float64) {
			worst, equal := 0.0, 0
			want := cells(t, old(t, name, file))
			if len(want) != len(got) {
				t.Fatalf("%s: %d scores, want %d", name, len(got), len(want))
			}
			for i, w := range want {
				if float64(float32(got[i])) != got[i] {
					t.Errorf("%s %s, row %d: %v is no float32", name, file, i, got[i])
				}
				if worst = math.Max(worst, math.Abs(got[i]-float64(float32(w)))); got[i] == float64(float32(w)) {
					equal++
				}
			}
			t.Logf("%s %s: at most %.2g off, %d of %d equal", name, file, worst, equal, len(want))
			if !(worst <= 1.3e-6) {
				t.Errorf("%s %s: %v off", name, file, worst)
			}
		}
		compare("raw.csv", got)
		if err := m.Transform(got, got); err != nil {
			t.Fatal(err)
		}
		compare("prob.csv", got)
	}
}

// TestAThresholdIsMetAsXGBoostMeetsIt is about float32(x) < threshold, which leaves itself tests as x <= threshold.
func TestAThresholdIsMetAsXGBoostMeetsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		threshold := rapid.Float32Range(-math.MaxFloat32, math.MaxFloat32).Draw(t, "threshold")
		x := rapid.Float64().Draw(t, "x")
		if steps := rapid.IntRange(-3, 3).Draw(t, "steps"); rapid.Bool().Draw(t, "near") {
			x = float64(threshold)
			for range max(steps, -steps) {
				x = math.Nextafter(x, math.Inf(steps))
			}
			if rapid.Bool().Draw(t, "float32 steps") {
				x = float64(math.Nextafter32(threshold, float32(math.Inf(steps))))
			}
		}
		if got, want := xgboostInput(x) <= float64(threshold), float32(x) < threshold; got != want {
			t.Fatalf("%v < %v is %v, leaves says %v", x, threshold, want, got)
		}
	})
	for _, x := range []float64{math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1e300, -1e300, math.SmallestNonzeroFloat64} {
		for _, threshold := range []float32{0, math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32} {
			if got, want := xgboostInput(x) <= float64(threshold), float32(x) < threshold; got != want {
				t.Errorf("%v < %v is %v, leaves says %v", x, threshold, want, got)
			}
		}
	}
	if !math.IsNaN(xgboostInput(math.NaN())) {
		t.Error("a missing value is no longer one")
	}
}

// put writes a 32 bit word into a copy.
func put(data []byte, at int, v uint32) []byte {
	data = slices.Clone(data)
	binary.LittleEndian.PutUint32(data[at:], v)
	return data
}

func TestAnOldXGBoostFileThatCannotBeScoredIsRefusedByItsPlace(t *testing.T) {
	data := old(t, "xgb090_binary", "model.bin")
	booster := learnerBytes + 8 + len("binary:logistic") + 8 + len("gbtree")
	tree := booster + boosterBytes
	node := tree + treeBytes
	infinite := math.Float32bits(float32(math.Inf(1)))
	tenOutputs := put(data, booster+24, 10)
	for i := range 10 {
		tenOutputs = put(tenOutputs, len(data)-4*(10-i), uint32(i))
	}
	dart := old(t, "xgb090_dart", "model.bin")
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"XGBoost 1.7 itself":   {old(t, "xgb176_binary", "model.bin"), "1.0 and later"},
		"and without its mark": {old(t, "xgb176_binary", "model.bin")[4:], "XGBoost 1.7 wrote"},
		"XGBoost 1.x's mark":   {append([]byte("binf"), data...), "1.0 and later"},
		"base64":               {[]byte("bs64\tAAAA"), "1.0 and later"},
		"softprob":             {old(t, "xgb090_softprob", "model.bin"), "multi:softprob"},
		"outputs of one class": {tenOutputs, `"binary:logistic" with 10 outputs`},
		"hinge":                {bytes.Replace(data, []byte("binary:logistic"), []byte("binary:hingexxx"), 1), "binary:hingexxx"},
		"linear booster":       {bytes.Replace(data, []byte("gbtree"), []byte("gbline"), 1), `"gbline"`},
		"no feature":           {put(data, 4, 0), "0 features"},
		"features":             {put(data, 4, 1<<31), "features"},
		"base score":           {put(data, 0, 0x7fc00000), "base score"},
		"flag":                 {put(data, 12, 2), "flag"},
		"objective too long":   {put(data, learnerBytes, 1<<30), "objective"},
		"trees":                {put(data, booster, math.MaxInt32), "trees do not fit"},
		"trees below 0":        {put(data, booster, 1<<31), "trees do not fit"},
		"a tree less":          {put(data, booster, 9), "tree_info: tree 0"},
		"outputs":              {put(data, booster+24, 3), "3 outputs"},
		"roots":                {put(data, booster+4, 2), "roots"},
		"prediction buffer":    {put(data, booster+16, 1), "reserved"},
		"nodes":                {put(data, tree+4, 1<<30), "tree 0: 1073741824 nodes"},
		"nodes below 0":        {put(data, tree+4, 1<<31), "tree 0"},
		"no nodes":             {put(data, tree+4, 0), "tree 0: 0 nodes"},
		"leaf vector":          {put(data, tree+20, 1), "leaf vector"},
		"tree's features":      {put(data, tree+16, 15), "features"},
		"cycle":                {put(data, node+nodeBytes+4, 0), "node 1"},
		"two parents":          {put(data, node+8, 1), "node 1 is reached twice"},
		"child":                {put(data, node+4, 31), "node 0: the children 31"},
		"child below 0":        {put(data, node+4, 1<<31), "node 0"},
		"feature":              {put(data, node+12, 14), "feature 14"},
		"threshold":            {put(data, node+16, infinite), "node 0: the threshold"},
		"tree for output 1":    {put(data, len(data)-4, 1), "tree_info: tree 9"},
		"cut":                  {data[:len(data)-1], "cut"},
		"cut in a tree":        {data[:len(data)-300], "tree 9"},
		"cut after the header": {data[:learnerBytes], "byte 136"},
		"longer":               {append(slices.Clone(data), 0), "1 bytes after"},
		"weights":              {put(dart, len(dart)-4*10-8, 9), "9 weights for 10 trees"},
		"many weights":         {put(dart, len(dart)-4*10-4, 1<<31), "weights"},
		"weight":               {put(dart, len(dart)-4, infinite), "weight of tree 9"},
		"attributes":           {append(put(data, 12, 1), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), "attributes"},
	} {
		_, err := LoadModel("model.bin", c.data, Leaves)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v does not say %q", name, err, c.want)
		}
	}
	if _, err := LoadModel("model.bin", data, Auto); err == nil {
		t.Error("the forest engine takes an old binary file")
	}
}

func TestAttributesAndMetricsAfterAnOldModelArePassedOver(t *testing.T) {
	text := func(s string) []byte { return append(binary.LittleEndian.AppendUint64(nil, uint64(len(s))), s...) }
	one := binary.LittleEndian.AppendUint64(nil, 1)
	data := put(put(old(t, "xgb090_binary", "model.bin"), 12, 1), 16, 1)
	data = slices.Concat(data, one, text("best_iteration"), text("3"), one, text("auc"))
	if _, err := LoadModel("model.bin", data, Leaves); err != nil {
		t.Error(err)
	}
	if _, err := LoadModel("model.bin", data[:len(data)-1], Leaves); err == nil || !strings.Contains(err.Error(), "metrics") {
		t.Errorf("cut: %v", err)
	}
}

// bounded loads a model, and fails where that hangs or takes much memory, or where what loads does not score.
func bounded(t interface{ Fatal(...any) }, data []byte) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	m, err := LoadModel("model.bin", data, Leaves)
	if err == nil {
		out := make([]float64, 3)
		err = m.Margins(make([]float64, 3*m.Features()), out)
		if err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begin); took > time.Minute {
		t.Fatal("takes", took)
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 4<<20+uint64(40*len(data)) {
		t.Fatal("allocates", after.TotalAlloc-before.TotalAlloc, "bytes for", len(data))
	}
}

func TestADamagedOldModelIsRefusedCheaplyOrScores(t *testing.T) {
	var all [][]byte
	for _, name := range append(oldModels, "xgb090_softprob") {
		all = append(all, old(t, name, "model.bin"))
	}
	loaded := 0
	rapid.Check(t, func(t *rapid.T) {
		data := slices.Clone(rapid.SampledFrom(all).Draw(t, "model"))
		for range rapid.IntRange(1, 3).Draw(t, "edits") {
			at := rapid.IntRange(0, len(data)-8).Draw(t, "at")
			if rapid.Bool().Draw(t, "in the front") {
				at %= 1200
			}
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				data[at] = rapid.Byte().Draw(t, "byte")
			case 1:
				binary.LittleEndian.PutUint32(data[at&^3:], rapid.SampledFrom([]uint32{0, 1, 2, 30, 31, math.MaxInt32, 1 << 31, math.MaxUint32, 0x7f800000, 0x7fc00000}).Draw(t, "word"))
			case 2:
				binary.LittleEndian.PutUint64(data[at:], rapid.Uint64().Draw(t, "long"))
			case 3:
				data = slices.Delete(data, at, min(len(data)-8, at+rapid.IntRange(1, 64).Draw(t, "cut")))
			}
		}
		bounded(t, data)
		if _, err := LoadModel("", data, Leaves); err == nil {
			loaded++
		}
	})
	if loaded == 0 && !testing.Short() { // which makes a fifth of the edits
		t.Error("no damaged model loads: the edits are too coarse to test what scores")
	}
}

// FuzzOldXGBoost wants -fuzzminimizetime 1x: the seeds are long, and making them shorter would take all of the time.
func FuzzOldXGBoost(f *testing.F) {
	for _, name := range oldModels {
		f.Add(old(f, name, "model.bin"))
	}
	small := old(f, "xgb090_binary", "model.bin")
	f.Add(small[:2000])
	f.Fuzz(func(t *testing.T, data []byte) { bounded(t, data) })
}

func ExampleExactness() {
	m, _ := LoadModel("model.txt", []byte("tree\nversion=v4\nnum_class=1\nmax_feature_idx=0\nfeature_names=a\nobjective=regression\n\nTree=0\nnum_leaves=1\nnum_cat=0\nleaf_value=1\n\nend of trees\n"), Auto)
	fmt.Println(Exactness(m))
	// Output: bit-equal to the library that wrote the model
}

package forest

import (
	"bytes"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// textWithoutSizes is a model of two trees of four leaves, without tree_sizes, so that a test may edit it.
func textWithoutSizes(objective string) string {
	s := newSynthetic(rand.New(rand.NewPCG(6, 7)), 3, 1, 2, syntheticKinds{leaves: 4})
	return regexp.MustCompile(`(?m)^tree_sizes=.*\n`).ReplaceAllString(string(s.text(objective)), "")
}

// marginOf loads a text and scores a row of zeros.
func marginOf(t *testing.T, text string) float64 {
	t.Helper()
	m, err := Load([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, 1)
	if err := m.Margins(make([]float64, m.Features()), out); err != nil {
		t.Fatal(err)
	}
	return out[0]
}

// TestALongNumberIsReadWholeOrRefused: a number whose end is cut off is another number.
func TestALongNumberIsReadWholeOrRefused(t *testing.T) {
	text := textWithoutSizes("custom")
	leafValues := regexp.MustCompile(`(?m)^leaf_value=.*$`)
	with := func(word string) string {
		return leafValues.ReplaceAllString(text, "leaf_value="+strings.Join([]string{word, word, word, word}, " "))
	}
	word := "1." + strings.Repeat("0", maxWord-5) + "e-3"
	if got := marginOf(t, with(word)); len(word) != maxWord || got != 0.002 {
		t.Errorf("two trees whose leaves are 0.001 in %d bytes give %v", len(word), got)
	}
	for place, damaged := range map[string]string{
		"tree 0 (byte 1":          with("1." + strings.Repeat("0", maxWord-4) + "e-3"),
		"max_feature_idx":         strings.Replace(text, "max_feature_idx=2", "max_feature_idx=2"+strings.Repeat(" ", 1000)+"2", 1),
		"header: max_feature_idx": strings.Replace(text, "max_feature_idx=2", "max_feature_idx="+strings.Repeat("0", maxWord)+"25", 1),
		"num_class":               strings.Replace(text, "num_class=1", "num_class="+strings.Repeat("0", 1000)+"1", 1),
	} {
		if _, err := Load([]byte(damaged)); err == nil || !strings.Contains(err.Error(), place) || len(err.Error()) > 300 {
			t.Errorf("%s: %v", place, err)
		}
	}
}

func TestOnlyTheSpaceSeparatesNames(t *testing.T) {
	m, err := Load([]byte(strings.Replace(textWithoutSizes("custom"), "feature_names=f0 f1 f2", "feature_names=a\u00a0b c=\td \u3000", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a\u00a0b", "c=\td", "\u3000"}, m.FeatureNames()); diff != "" {
		t.Error(diff)
	}
	m.FeatureNames()[0] = "changed"
	if m.FeatureNames()[0] != "a\u00a0b" {
		t.Error("a caller can change the model's names")
	}
}

// TestSqrtSquaresWhereLightGBMDoes: the fixtures lgb_sqrt_* hold it to LightGBM's bits; this is the list.
func TestSqrtSquaresWhereLightGBMDoes(t *testing.T) {
	for objective, want := range map[string]float64{
		"regression sqrt": -9, "regression_l1 sqrt": -9, "fair sqrt": -9, "quantile sqrt": -9, "mape sqrt": -9,
		"regression": -3, "huber sqrt": -3, "lambdarank": -3, "custom": -3, "": -3,
		"poisson sqrt": math.Exp(-3), "tweedie tweedie_variance_power:1.5": math.Exp(-3),
		"binary sigmoid:2": 1 / (1 + math.Exp(6)), "cross_entropy_lambda": math.Log1p(math.Exp(-3)),
	} {
		m, err := Load([]byte(textWithoutSizes(objective)))
		if err != nil {
			t.Fatal(err)
		}
		margins := []float64{-3}
		if err := m.Transform(margins, margins); err != nil {
			t.Fatal(err)
		}
		if math.Abs(margins[0]-want) > 1e-15 {
			t.Errorf("%q makes %v of -3, want %v", objective, margins[0], want)
		}
		if m.Objective() != strings.Split(objective+" ", " ")[0] {
			t.Errorf("objective %q is called %q", objective, m.Objective())
		}
	}
}

func TestObjectivesThatCannotBeAreRefused(t *testing.T) {
	for objective, want := range map[string]string{
		"binary":                                         "lacks sigmoid",
		"binary sigmoid:-1":                              "not a positive number",
		"binary sigmoid:inf":                             "not a positive number",
		"binary sigmoid:1 sigmoid:2":                     "twice",
		"multiclass num_class:3":                         "1 outputs",
		"multiclassova num_class:1":                      "lacks sigmoid",
		strings.Repeat("x", 1000):                        "not known",
		"binary sigmoid:0x1p3":                           "not a positive number",
		"multiclass num_class:" + "99999999999999999999": "num_class",
	} {
		if _, err := Load([]byte(textWithoutSizes(objective))); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 300 {
			t.Errorf("%.40q: %v", objective, err)
		}
	}
}

// TestLineEndsOfWindowsAreRead: LightGBM reads them where tree_sizes, by which it seeks, are not there; where they are, they no longer fit.
func TestLineEndsOfWindowsAreRead(t *testing.T) {
	text := textWithoutSizes("custom")
	if marginOf(t, text) != marginOf(t, strings.ReplaceAll(text, "\n", "\r\n")) {
		t.Error("another margin")
	}
	sized := read(t, "lgb_one_tree", "model.txt")
	if _, err := Load(bytes.ReplaceAll(sized, []byte("\n"), []byte("\r\n"))); err == nil || !strings.Contains(err.Error(), "tree_sizes") {
		t.Errorf("CRLF with tree_sizes: %v", err)
	}
}

// TestEveryCutOfAModelIsRefused: no beginning of a file passes for the whole.
func TestEveryCutOfAModelIsRefused(t *testing.T) {
	whole := textWithoutSizes("custom")
	end := strings.Index(whole, "end of trees") + len("end of trees")
	for at := range end {
		if _, err := Load([]byte(whole[:at])); err == nil {
			t.Fatalf("the first %d of %d bytes load", at, end)
		}
	}
	marginOf(t, whole[:end])
}

// TestAnAbsentIterationHasNoMean: LightGBM divides by the number of iterations too, 0 where the range is empty.
func TestAnAbsentIterationHasNoMean(t *testing.T) {
	m, err := Load(read(t, "lgb_rf", "model.txt"))
	if err != nil {
		t.Fatal(err)
	}
	out := []float64{0}
	if err := m.Range(m.Trees(), 1).Transform(out, out); err != nil || out[0] == out[0] {
		t.Errorf("%v, %v", out, err)
	}
}

// TestASigmoidHasLightGBMsRoundings: the fixture lgb_sigmoid_digits holds the probabilities; these are the numbers.
func TestASigmoidHasLightGBMsRoundings(t *testing.T) {
	for word, want := range map[string]float64{
		"1": 1, "+2.5": 2.5, ".5": 0.5, "3.": 3, "1e+02": 100, "1E2": 100, "0.1": 0.1,
		"1.6647": math.Nextafter(1.6647, 1), // 1 + 0.6647
		"1e-05":  1 / 1e5,
		"1e+70":  1e50 * 1e8 * 1e8 * 10 * 10 * 10 * 10,
	} {
		if got, err := parseSigmoid(word); err != nil || got != want {
			t.Errorf("%s is read as %v (%v), want %v", word, got, err, want)
		}
	}
	for _, word := range []string{"", "0", "0.0", "-1", "inf", "-inf", "nan", "1e400", "1e-400", "0x1p3", "1_0", ".", "e5", "1e", "--1", "1e5e5", strings.Repeat("9", 5000), "0." + strings.Repeat("0", 5000) + "1"} {
		if got, err := parseSigmoid(word); err == nil {
			t.Errorf("%.20s is read as %v", word, got)
		}
	}
}

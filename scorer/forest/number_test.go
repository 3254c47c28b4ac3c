package forest

import (
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestIntegersAreThoseOfStrconv(t *testing.T) {
	check := func(word string) {
		want, err := strconv.ParseInt(word, 10, 64)
		if got, ok := parseInteger(word); ok != (err == nil) || ok && int64(got) != want {
			t.Errorf("%q is read as %d, %v; strconv says %d, %v", word, got, ok, want, err)
		}
	}
	for _, word := range []string{"", "-", "+", "+5", "-0", "007", "--1", "1-", "1 ", "0x1", "1_0", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "999999999999999999", "-999999999999999999", "٣", "1.0", "1e3"} {
		check(word)
	}
	rapid.Check(t, func(t *rapid.T) { check(rapid.StringMatching(`[-+]?[0-9./:]{0,20}`).Draw(t, "word")) })
}

// TestNumbersOfJSONAreThoseOfRFC8259 and the three words that XGBoost writes beside them.
func TestNumbersOfJSONAreThoseOfRFC8259(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "-": 0, "0": 1, "-0": 2, "01": 0, "-01": 0, "0.": 0, "0.5": 3, ".5": 0, "1.5.6": 3, "12,": 2, "+1": 0, "1e": 0, "1e+": 0, "1e5": 3, "1E-05]": 5, "-1.25e+10 ": 9, "1.e5": 0,
		"NaN": 3, "nan": 0, "Infinity": 8, "-Infinity,": 9, "Inf": 0, "-NaN": 0, "0x10": 1, "1E5E5": 3, ":": 0, "/": 0,
	} {
		if got := numberLength([]byte(text)); got != want {
			t.Errorf("%q begins with a number of %d bytes, want %d", text, got, want)
		}
	}
}

func TestSpacesMayStandInArraysOfJSON(t *testing.T) {
	model := string(read(t, "xgb_one_tree", "model.json"))
	parts := strings.Split(model, `"`)
	for i := 0; i < len(parts); i += 2 { // outside of strings, none of which has a quote
		parts[i] = strings.NewReplacer("[", "[ \n", ",", "\t, \r\n", "]", " ]").Replace(parts[i])
	}
	wide := strings.Join(parts, `"`)
	rows := table(t, "xgb_one_tree", "rows.csv")
	var margins [2][]float64
	for i, text := range []string{model, wide} {
		m, err := Load([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		margins[i] = make([]float64, len(rows)/m.Features())
		if err := m.Margins(rows, margins[i]); err != nil {
			t.Fatal(err)
		}
	}
	if differences(margins[0], margins[1]) > 0 {
		t.Error("the margins differ")
	}
}

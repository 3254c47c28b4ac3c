package scorer

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mlmonitor/mlmonitor/scorer/forest"
)

// SelectIterations is the model of a part of its iterations (rounds of boosting): START:COUNT as LightGBM's start_iteration and num_iteration (a count
// that is left out, not positive or too large means the rest), or "best": up to the best iteration that the file records, as scikit-learn's wrapper of
// XGBoost predicts. The error says what is wrong with the text, or that the model or engine cannot do so.
func SelectIterations(m Model, text string) (Model, error) {
	f, ok := m.(*forest.Model)
	if !ok {
		return nil, fmt.Errorf("%s: this engine scores all iterations only", m.Format())
	}
	if text == "best" {
		best, ok := f.BestIteration()
		if !ok {
			return nil, fmt.Errorf("%q: the file records no best_iteration", text)
		}
		return f.Range(0, best+1), nil
	}
	first, rest, ok := strings.Cut(text, ":")
	start, err := strconv.Atoi(first)
	if !ok || err != nil || start < 0 {
		return nil, fmt.Errorf("%q is not START:COUNT, as 0:100 (the first 100) or 100: (from the 101st on), or best", text)
	}
	count := 0
	if rest != "" {
		if count, err = strconv.Atoi(rest); err != nil {
			return nil, fmt.Errorf("%q: the count %q is not an integer", text, rest)
		}
	}
	if f.Iterations() == 0 {
		return nil, fmt.Errorf("%q: the model has no iterations, it can only be scored as a whole", text)
	}
	if start >= f.Iterations() {
		return nil, fmt.Errorf("%q: the model has %d iterations, numbered from 0", text, f.Iterations())
	}
	return f.Range(start, count), nil
}

// BeyondBest says that a file records a best iteration, and that scoring all of them goes on beyond it; else it is "".
func BeyondBest(m Model) string {
	f, ok := m.(*forest.Model)
	if !ok {
		return ""
	}
	best, ok := f.BestIteration()
	if !ok || best+1 >= f.Iterations() {
		return ""
	}
	return fmt.Sprintf("all %d iterations are scored, as Booster.predict does; the file records best_iteration %d, after which scikit-learn's wrapper stops: --iterations best", f.Iterations(), best)
}

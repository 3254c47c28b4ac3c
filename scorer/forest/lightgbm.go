package forest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Limits of a LightGBM model, far above what the library writes.
const (
	maxFeatures = 1 << 16
	maxOutputs  = 1 << 12
	maxWord     = 400 // bytes of a number
)

// section is a run of key=value lines: the header, or one tree.
type section struct {
	name   string // for errors
	offset int    // byte of its first line
	values map[string][]byte
}

func (s *section) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{s.name}, args...)...)
}

// text is the value of a key that must be there.
func (s *section) text(key string) ([]byte, error) {
	v, ok := s.values[key]
	if !ok {
		return nil, s.errorf("%s is missing", key)
	}
	return v, nil
}

func (s *section) integer(key string, least, most int) (int, error) {
	v, err := s.text(key)
	if err != nil {
		return 0, err
	}
	word := bytes.TrimSpace(v)
	n, err := strconv.Atoi(string(word[:min(len(word), maxWord+1)]))
	if err != nil || len(word) > maxWord {
		return 0, s.errorf("%s: %q is not an integer", key, clip(string(v)))
	}
	if n < least || n > most {
		return 0, s.errorf("%s is %d, must be %d to %d", key, n, least, most)
	}
	return n, nil
}

// integers reads exactly n numbers. The memory of into, which may be nil, is used again.
func (s *section) integers(into []int, key string, n int) ([]int, error) {
	all := slices.Grow(into[:0], min(n, len(s.values[key])/2+1))
	err := s.each(key, n, func(word string) error {
		v, ok := parseInteger(word)
		if !ok {
			return fmt.Errorf("%q is not an integer", clip(word))
		}
		all = append(all, v)
		return nil
	})
	return all, err
}

// floats reads exactly n numbers, as integers does.
func (s *section) floats(into []float64, key string, n int) ([]float64, error) {
	all := slices.Grow(into[:0], min(n, len(s.values[key])/2+1))
	err := s.each(key, n, func(word string) error {
		v, err := parseFloat(word)
		all = append(all, v)
		return err
	})
	return all, err
}

// each calls f with exactly n words of a value, and stops at the first too many.
func (s *section) each(key string, n int, f func(string) error) error {
	v, err := s.text(key)
	if err != nil {
		return err
	}
	found, at := 0, 0
	for {
		for at < len(v) && isSpace(v[at]) {
			at++
		}
		if at == len(v) {
			break
		}
		start := at
		for at < len(v) && !isSpace(v[at]) {
			at++
		}
		word := v[start:at]
		if found == n {
			return s.errorf("%s has more than %d values", key, n)
		}
		if len(word) > maxWord {
			return s.errorf("%s, value %d: %q has %d bytes, a number has at most %d", key, found, clip(string(word[:maxWord])), len(word), maxWord)
		}
		if err := f(unsafe.String(&word[0], len(word))); err != nil { // a copy of each word would cost a third of the time
			return s.errorf("%s, value %d: %w", key, found, err)
		}
		found++
	}
	if found < n {
		return s.errorf("%s has %d values, %d are needed", key, found, n)
	}
	return nil
}

// lightgbm reads a text model from front to back.
type lightgbm struct {
	data  []byte
	at    int   // next line
	start []int // of each tree
	model *Model
	trees *lgbForest
	parts treeParts // of the last tree: its memory is used again
}

func loadLightGBM(data []byte) (*Model, error) {
	l := &lightgbm{data: data, model: &Model{width: 64}, trees: &lgbForest{}}
	l.model.body = l.trees
	head, err := l.section("header")
	if err != nil {
		return nil, err
	}
	if err := l.header(head); err != nil {
		return nil, err
	}
	for {
		line, ok := l.peek()
		if !ok {
			return nil, fmt.Errorf("byte %d: the file ends without a line \"end of trees\": it is cut", l.at)
		}
		if string(line) == "end of trees" {
			break
		}
		if err := l.tree(); err != nil {
			return nil, err
		}
	}
	if err := l.finish(head); err != nil {
		return nil, err
	}
	return l.model, nil
}

// peek gives the next line that is not empty, without its end.
func (l *lightgbm) peek() ([]byte, bool) {
	for l.at < len(l.data) {
		line, _, _ := bytes.Cut(l.data[l.at:], []byte("\n"))
		if line = bytes.TrimRight(line, "\r"); len(line) > 0 {
			return line, true
		}
		l.skip()
	}
	return nil, false
}

func (l *lightgbm) skip() {
	if i := bytes.IndexByte(l.data[l.at:], '\n'); i >= 0 {
		l.at += i + 1
	} else {
		l.at = len(l.data)
	}
}

// section reads lines up to the next tree or the end of trees.
func (l *lightgbm) section(name string) (*section, error) {
	s := &section{name: name, offset: l.at, values: map[string][]byte{}}
	for {
		line, ok := l.peek()
		if !ok || bytes.HasPrefix(line, []byte("Tree=")) || string(line) == "end of trees" {
			return s, nil
		}
		key, value, _ := bytes.Cut(line, []byte("="))
		if len(key) > 100 {
			return nil, s.errorf("byte %d: %q is no line of a LightGBM model", l.at, clip(string(line[:min(len(line), 60)])))
		}
		if _, twice := s.values[string(key)]; twice {
			return nil, s.errorf("byte %d: %s stands twice", l.at, key)
		}
		s.values[string(key)] = value
		l.skip()
	}
}

func (l *lightgbm) header(s *section) error {
	m := l.model
	version, err := s.text("version")
	if err != nil {
		return err
	}
	switch v := string(version); v {
	case "v2", "v3", "v4":
		m.format = "LightGBM text " + v
	default:
		return s.errorf("version %q is not known: v2, v3 and v4 are", clip(v))
	}
	classes, err := s.integer("num_class", 1, maxOutputs)
	if err != nil {
		return err
	}
	m.outputs = classes
	if _, ok := s.values["num_tree_per_iteration"]; ok {
		if m.outputs, err = s.integer("num_tree_per_iteration", 1, maxOutputs); err != nil {
			return err
		}
	}
	if m.outputs != classes {
		return s.errorf("num_tree_per_iteration is %d, num_class %d: they must be equal", m.outputs, classes)
	}
	last, err := s.integer("max_feature_idx", 0, maxFeatures-1)
	if err != nil {
		return err
	}
	m.features = last + 1
	names, err := s.text("feature_names")
	if err != nil {
		return err
	}
	// Only the space separates names: any other white space may be within one.
	if m.names = strings.FieldsFunc(string(names), func(r rune) bool { return r == ' ' }); len(m.names) != m.features {
		return s.errorf("feature_names has %d names, max_feature_idx says %d features", len(m.names), m.features)
	}
	for i, name := range m.names {
		if !utf8.ValidString(name) {
			return s.errorf("feature_names: name %d is not UTF-8", i)
		}
	}
	_, l.trees.average = s.values["average_output"]
	if l.trees.objective, err = parseObjective(string(s.values["objective"]), m.outputs); err != nil {
		return s.errorf("%w", err)
	}
	return nil
}

// finish checks what can only be known at the end.
func (l *lightgbm) finish(head *section) error {
	n := len(l.trees.trees)
	if n == 0 {
		return errors.New("the model has no tree")
	}
	if n%l.model.outputs != 0 {
		return fmt.Errorf("%d trees are no whole number of iterations of %d", n, l.model.outputs)
	}
	if err := l.checkSizes(head); err != nil {
		return err
	}
	l.trees.grove = plant(l.trees, l.trees.roots(l.model.outputs), l.model.features, make([]float64, l.model.outputs), best())
	return nil
}

// checkSizes compares tree_sizes, where it is there, with where the trees stand. LightGBM seeks by these sizes: where they lie, it reads other
// trees than stand here.
func (l *lightgbm) checkSizes(head *section) error {
	if _, ok := head.values["tree_sizes"]; !ok {
		return nil
	}
	n := len(l.start)
	sizes, err := head.integers(nil, "tree_sizes", n)
	if err != nil {
		return err
	}
	starts := append(l.start, l.at)
	for i, size := range sizes {
		if size != starts[i+1]-starts[i] {
			return head.errorf("tree_sizes: tree %d has %d bytes, not %d: the file was changed after it was written", i, starts[i+1]-starts[i], size)
		}
	}
	return nil
}

package scorer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Layout of XGBoost's binary files up to 0.90, little-endian throughout. Sources: XGBoost 0.90, src/learner.cc (LearnerModelParam), src/gbm/gbtree_model.h,
// include/xgboost/tree_model.h; strings and lists have a 64 bit count before them (dmlc-core, serializer.h).
const (
	learnerBytes  = 136 // base score, features, classes, two flags, 29 words of 0
	boosterBytes  = 160 // trees, roots, features, padding, buffer (64 bit), outputs, leaf vector, 32 words of 0
	treeBytes     = 148 // roots, nodes, deleted nodes, depth, features, leaf vector, 31 words of 0
	nodeBytes     = 20  // parent, left, right, feature and default direction, threshold or leaf value
	statBytes     = 16  // of a node
	maxXGFeatures = 1 << 16
)

// xgboostBinary is what a binary file says of itself.
type xgboostBinary struct {
	features, outputs, trees int
	objective, booster       string
}

// looksLikeXGBoostBinary goes by the words of 0 in the header, since the format has no mark of its own. The first four of them are left out: XGBoost 1
// put its version there, and more.
func looksLikeXGBoostBinary(data []byte) bool {
	for _, mark := range []string{"binf", "bs64"} {
		if bytes.HasPrefix(data, []byte(mark)) {
			return true
		}
	}
	return len(data) >= learnerBytes && bytes.Count(data[36:learnerBytes], []byte{0}) == learnerBytes-36
}

// parseXGBoostBinary follows the whole file without trusting a count, so that leaves, which trusts all, can read it after.
func parseXGBoostBinary(data []byte) (*xgboostBinary, error) {
	for _, mark := range []string{"binf", "bs64"} {
		if bytes.HasPrefix(data, []byte(mark)) {
			return nil, fmt.Errorf("the file begins with %q, as those of XGBoost 1.0 and later do: save the model as JSON, and use SCORER_ENGINE=forest", mark)
		}
	}
	r := &binaryReader{data: data}
	file := &xgboostBinary{}
	attributes, metrics, err := file.learner(r)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if err := file.model(r); err != nil {
		return nil, err
	}
	if attributes {
		if err := r.strings("attributes", 2); err != nil {
			return nil, err
		}
	}
	if metrics {
		if err := r.strings("metrics", 1); err != nil {
			return nil, err
		}
	}
	if r.at != len(data) {
		return nil, fmt.Errorf("byte %d: %d bytes after the end of the model", r.at, len(data)-r.at)
	}
	return file, nil
}

func (f *xgboostBinary) learner(r *binaryReader) (attributes, metrics bool, err error) {
	head, err := r.take("parameters", learnerBytes)
	if err != nil {
		return false, false, err
	}
	if word(head, 5) != 0 || word(head, 6) != 0 {
		return false, false, fmt.Errorf("XGBoost %d.%d wrote the file: leaves reads 0.90 and before; save the model as JSON, and use SCORER_ENGINE=forest", word(head, 5), word(head, 6))
	}
	f.features = int(word(head, 1))
	switch {
	case !finite32(head, 0):
		return false, false, errors.New("the base score is not finite")
	case f.features < 1 || f.features > maxXGFeatures:
		return false, false, fmt.Errorf("%d features, must be 1 to %d", f.features, maxXGFeatures)
	case uint32(word(head, 3)) > 1 || uint32(word(head, 4)) > 1 || !allZero(head[20:]):
		return false, false, errors.New("a flag is neither 0 nor 1, or a reserved word is not 0: this is no file of XGBoost 0.90 or before")
	}
	if f.objective, err = r.text("objective"); err != nil {
		return false, false, err
	}
	if f.booster, err = r.text("booster"); err != nil {
		return false, false, err
	}
	if f.booster != "gbtree" && f.booster != "dart" {
		return false, false, fmt.Errorf("the booster is %q: gbtree and dart are read", f.booster)
	}
	return word(head, 3) == 1, word(head, 4) == 1, nil
}

func (f *xgboostBinary) model(r *binaryReader) error {
	head, err := r.take("booster parameters", boosterBytes)
	if err != nil {
		return err
	}
	f.trees, f.outputs = int(word(head, 0)), int(word(head, 6))
	switch {
	case f.trees < 1 || f.trees > len(r.data)/(treeBytes+nodeBytes+statBytes):
		return fmt.Errorf("booster: %d trees do not fit the file's %d bytes", f.trees, len(r.data))
	case f.outputs < 1 || f.trees%f.outputs != 0:
		return fmt.Errorf("booster: %d trees for %d outputs", f.trees, f.outputs)
	case word(head, 1) != 1 || int(word(head, 2)) != f.features || !allZero(head[12:24]) || !allZero(head[28:]):
		return errors.New("booster: roots, features or a reserved word is none that is known")
	}
	for i := range f.trees {
		if err := f.tree(r); err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
	}
	info, err := r.take("tree_info", 4*f.trees)
	if err != nil {
		return err
	}
	for i := range f.trees {
		if int(word(info, i)) != i%f.outputs {
			return fmt.Errorf("tree_info: tree %d is for output %d, trees must take turns", i, word(info, i))
		}
	}
	if f.booster != "dart" {
		return nil
	}
	n, err := r.count("weights", 4)
	if err != nil {
		return err
	}
	if n != f.trees {
		return fmt.Errorf("%d weights for %d trees", n, f.trees)
	}
	weights, err := r.take("weights", 4*n)
	for i := range len(weights) / 4 {
		if !finite32(weights, i) {
			return fmt.Errorf("the weight of tree %d is not finite", i)
		}
	}
	return err
}

// tree makes sure that the root reaches each node at most once, and only nodes that are sound.
func (f *xgboostBinary) tree(r *binaryReader) error {
	head, err := r.take("parameters", treeBytes)
	if err != nil {
		return err
	}
	n := int(word(head, 1))
	switch {
	case n < 1 || n > (len(r.data)-r.at)/(nodeBytes+statBytes):
		return fmt.Errorf("%d nodes do not fit the %d bytes that are left", n, len(r.data)-r.at)
	case word(head, 0) != 1 || int(word(head, 4)) > f.features || int(word(head, 4)) < 0 || word(head, 5) != 0:
		return errors.New("roots, features or leaf vector is none that is known")
	}
	nodes, err := r.take("nodes", n*nodeBytes)
	if err != nil {
		return err
	}
	if _, err := r.take("statistics", n*statBytes); err != nil {
		return err
	}
	seen := make([]bool, n)
	for todo := []int{0}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[at] {
			return fmt.Errorf("node %d is reached twice", at)
		}
		seen[at] = true
		node := nodes[at*nodeBytes : (at+1)*nodeBytes]
		if !finite32(node, 4) {
			return fmt.Errorf("node %d: the threshold or leaf value is not finite", at)
		}
		left, right, feature := int(word(node, 1)), int(word(node, 2)), int(word(node, 3)&math.MaxInt32)
		if left == -1 {
			continue
		}
		if left < 1 || left >= n || right < 1 || right >= n {
			return fmt.Errorf("node %d: the children %d and %d must be 1 to %d", at, left, right, n-1)
		}
		if feature >= f.features {
			return fmt.Errorf("node %d: feature %d, the model has %d", at, feature, f.features)
		}
		todo = append(todo, left, right)
	}
	return nil
}

// binaryReader takes bytes that are there.
type binaryReader struct {
	data []byte
	at   int
}

func (r *binaryReader) take(what string, n int) ([]byte, error) {
	if n > len(r.data)-r.at {
		return nil, fmt.Errorf("byte %d: %s need %d bytes, %d are left: the file is cut", r.at, what, n, len(r.data)-r.at)
	}
	r.at += n
	return r.data[r.at-n : r.at], nil
}

// count reads the number of items of at least size bytes that follow.
func (r *binaryReader) count(what string, size int) (int, error) {
	b, err := r.take(what, 8)
	if err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint64(b)
	if n > uint64((len(r.data)-r.at)/size) {
		return 0, fmt.Errorf("byte %d: %d %s do not fit the %d bytes that are left", r.at, n, what, len(r.data)-r.at)
	}
	return int(n), nil
}

func (r *binaryReader) text(what string) (string, error) {
	n, err := r.count(what, 1)
	if err != nil {
		return "", err
	}
	if n > 100 {
		return "", fmt.Errorf("byte %d: the %s has %d bytes, at most 100 are read", r.at, what, n)
	}
	b, err := r.take(what, n)
	return string(b), err
}

// strings passes over a list of items of each strings.
func (r *binaryReader) strings(what string, each int) error {
	n, err := r.count(what, 8*each)
	if err != nil {
		return err
	}
	for range n * each {
		size, err := r.count(what, 1)
		if err != nil {
			return err
		}
		if _, err := r.take(what, size); err != nil {
			return err
		}
	}
	return nil
}

// word is the i-th 32 bit number.
func word(b []byte, i int) int32 { return int32(binary.LittleEndian.Uint32(b[4*i:])) }

func finite32(b []byte, i int) bool {
	x := float64(math.Float32frombits(uint32(word(b, i))))
	return !math.IsNaN(x) && !math.IsInf(x, 0)
}

func allZero(b []byte) bool { return bytes.Count(b, []byte{0}) == len(b) }

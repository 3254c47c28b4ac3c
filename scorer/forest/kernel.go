package forest

import (
	"fmt"
	"slices"
)

// kernel is a way to score. All give the same bits.
type kernel string

const (
	walk     kernel = "walk"     // one tree and one row after the other, as the library does
	portable kernel = "portable" // sliced, 64 rows at once, on any machine
	avx2     kernel = "avx2"     // sliced, 256 rows at once
	avx512   kernel = "avx512"   // and leaf values by permutation
)

// words is how many words an answer has: a block has 64 rows for each.
func (k kernel) words() int {
	if k == avx2 || k == avx512 {
		return 4
	}
	return 1
}

// kernels are all that this machine has, the best last.
func kernels() []kernel { return slices.Concat([]kernel{walk, portable}, machineKernels) }

// best is the fastest of them.
func best() kernel { return kernels()[len(kernels())-1] }

// chooses is a body that has kernels to choose from.
type chooses interface {
	kernel(rows int) kernel
	with(kernel) body
}

// Kernels names the ways to score this model that this machine has, the fastest last. All give the same bits.
func (m *Model) Kernels() (names []string) {
	if _, ok := m.body.(chooses); !ok {
		return []string{string(walk)}
	}
	for _, k := range kernels() {
		names = append(names, string(k))
	}
	return names
}

// Kernel names the one that scores a batch of so many rows.
func (m *Model) Kernel(rows int) string {
	if c, ok := m.body.(chooses); ok {
		return string(c.kernel(rows))
	}
	return string(walk)
}

// With is the same model, scored by one kernel only, for comparisons. The error says that this machine or model lacks it.
func (m *Model) With(name string) (*Model, error) {
	if !slices.Contains(m.Kernels(), name) {
		return nil, fmt.Errorf("kernel %q: this model has %v on this machine", name, m.Kernels())
	}
	other := *m
	if c, ok := m.body.(chooses); ok {
		other.body = c.with(kernel(name))
	}
	return &other, nil
}

package forest

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// machineKernels are the vector kernels that this machine has, the best last.
var machineKernels = func() (all []kernel) {
	if x := &cpu.X86; x.HasAVX2 {
		all = append(all, avx2)
		if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VBMI && x.HasAVX512GFNI {
			all = append(all, avx512)
		}
	}
	return all
}()

//go:noescape
func sliceRun(ops *op, perTree, trees int, answers, at, bits *uint64)

//go:noescape
func sumRun64(bits *uint64, trees int, tables *byte, sums unsafe.Pointer, group int)

//go:noescape
func sumRun256(bits *uint64, trees int, tables *byte, sums unsafe.Pointer, group int)

//go:noescape
func sumRun64f(bits *uint64, trees int, tables *byte, sums unsafe.Pointer, group int)

//go:noescape
func sumRun256f(bits *uint64, trees int, tables *byte, sums unsafe.Pointer, group int)

//go:noescape
func keys16(rows *float64, n, stride int, mask uint8, keys *int32) (unsure bool)

//go:noescape
func keys16f(rows *float64, n, stride int, mask uint8, keys *int32)

//go:noescape
func searchAll(tasks *search, n int, keys *int32, answers *uint64, ranks *uint8, ties *uint64)

//go:noescape
func writeOne(ranks *uint8, answers *uint64, questions int)

package forest

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// machineKernels are the vector kernels that this machine has, the best last.
var machineKernels = func() (all []kernel) {
	if x := &cpu.X86; x.HasAVX2 && x.HasBMI1 {
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

//go:noescape
func rankRow512(ladders *rowLadder, n int, row *float64, ranks *uint8, single bool)

//go:noescape
func chainRun(ranks, splits *uint8, masks *uint64, n, most int, sum unsafe.Pointer)

//go:noescape
func chainRunf(ranks, splits *uint8, masks *uint64, n, most int, sum unsafe.Pointer)

//go:noescape
func chainTops(ranks, splits *uint8, masks *uint64, n, most int, places *int32, steps *step)

//go:noescape
func walkSteps(all *step, ranks *uint8, at *int32, depth int)

//go:noescape
func label64(trees *[8]*labelOp, steps int, ranks, out *uint8)

//go:noescape
func label32(trees *[8]*labelOp, steps int, ranks, out *uint8)

//go:noescape
func label16(trees *[8]*labelOp, steps int, ranks, out *uint8)

//go:noescape
func labelSum64(numbers *uint8, trees int, tables *byte, sums unsafe.Pointer)

//go:noescape
func labelSum256(numbers *uint8, trees int, tables *byte, sums unsafe.Pointer)

//go:noescape
func labelSum64f(numbers *uint8, trees int, tables *byte, sums unsafe.Pointer)

//go:noescape
func labelSum256f(numbers *uint8, trees int, tables *byte, sums unsafe.Pointer)

//go:noescape
func searchFew(tasks *search, n int, keys *int32, ranks *uint8, ties *uint64)

//go:noescape
func sum16(numbers *uint8, trees int, values unsafe.Pointer, stride int, sums unsafe.Pointer)

//go:noescape
func sum16f(numbers *uint8, trees int, values unsafe.Pointer, stride int, sums unsafe.Pointer)

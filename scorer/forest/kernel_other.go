//go:build !amd64

package forest

import "unsafe"

// machineKernels: other machines have the portable kernel.
var machineKernels []kernel

func sliceRun(*op, int, int, *uint64, *uint64, *uint64)             { panic("no vectors") }
func sumRun64(*uint64, int, *byte, unsafe.Pointer, int)             { panic("no vectors") }
func sumRun256(*uint64, int, *byte, unsafe.Pointer, int)            { panic("no vectors") }
func sumRun64f(*uint64, int, *byte, unsafe.Pointer, int)            { panic("no vectors") }
func sumRun256f(*uint64, int, *byte, unsafe.Pointer, int)           { panic("no vectors") }
func keys16(*float64, int, int, uint8, *int32) bool                 { panic("no vectors") }
func keys16f(*float64, int, int, uint8, *int32)                     { panic("no vectors") }
func searchAll(*search, int, *int32, *uint64, *uint8, *uint64)      { panic("no vectors") }
func writeOne(*uint8, *uint64, int)                                 { panic("no vectors") }
func rankRow512(*rowLadder, int, *float64, *uint8, bool)            { panic("no vectors") }
func chainRun(_, _ *uint8, _ *uint64, _, _ int, _ unsafe.Pointer)   { panic("no vectors") }
func chainRunf(_, _ *uint8, _ *uint64, _, _ int, _ unsafe.Pointer)  { panic("no vectors") }
func chainTops(_, _ *uint8, _ *uint64, _, _ int, _ *int32, _ *step) { panic("no vectors") }
func walkSteps(*step, *uint8, *int32, int)                          { panic("no vectors") }
func label64(*[8]*labelOp, int, *uint8, *uint8)                     { panic("no vectors") }
func label32(*[8]*labelOp, int, *uint8, *uint8)                     { panic("no vectors") }
func label16(*[8]*labelOp, int, *uint8, *uint8)                     { panic("no vectors") }
func labelSum64(*uint8, int, *byte, unsafe.Pointer)                 { panic("no vectors") }
func labelSum256(*uint8, int, *byte, unsafe.Pointer)                { panic("no vectors") }
func labelSum64f(*uint8, int, *byte, unsafe.Pointer)                { panic("no vectors") }
func labelSum256f(*uint8, int, *byte, unsafe.Pointer)               { panic("no vectors") }
func searchFew(*search, int, *int32, *uint8, *uint64)               { panic("no vectors") }
func sum16(*uint8, int, unsafe.Pointer, int, unsafe.Pointer)        { panic("no vectors") }
func sum16f(*uint8, int, unsafe.Pointer, int, unsafe.Pointer)       { panic("no vectors") }

#include "textflag.h"

// SPLIT asks one split of a tree: where the rank of its column is above its number, and the row has not ended left of the tree's part below the split, the
// row goes on to leaf Z30.
//
//	SI step   DX ranks   Z30 number of the step's leaf   R8 to R15 the splits of eight trees: column uint32 (offset of its ranks), number, first uint8
#define SPLIT(tree, a, b, k, at) \
	MOVL         (tree)(SI*8), BX; \
	VPBROADCASTB 4(tree)(SI*8), a; \
	VPBROADCASTB 5(tree)(SI*8), b; \
	VPCMPUB      $1, (DX)(BX*1), a, k; \
	VPCMPUB      $2, at, b, k, k; \
	VMOVDQU8     LEAF, k, at

#define ARGUMENTS \
	MOVQ trees+0(FP), AX; \
	MOVQ steps+8(FP), CX; \
	MOVQ ranks+16(FP), DX; \
	MOVQ out+24(FP), DI; \
	MOVQ 0(AX), R8; \
	MOVQ 8(AX), R9; \
	MOVQ 16(AX), R10; \
	MOVQ 24(AX), R11; \
	MOVQ 32(AX), R12; \
	MOVQ 40(AX), R13; \
	MOVQ 48(AX), R14; \
	MOVQ 56(AX), R15; \
	XORL SI, SI; \
	MOVL $0x01010101, AX; \
	VPBROADCASTD AX, Z31; \
	VMOVDQA64 Z31, Z30

// func label64(trees *[8]*labelOp, steps int, ranks, out *uint8)
//
// Writes the numbers of the leaves of 64 rows in eight trees, 64 bytes to a tree. steps is the most splits of any of them, at least 1. Needs AVX-512 F, BW
// and VL.
#define LEAF Z30

TEXT ·label64(SB), NOSPLIT, $0-32
	ARGUMENTS
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	PCALIGN $32

step:
	SPLIT(R8, Z16, Z17, K1, Z0)
	SPLIT(R9, Z18, Z19, K2, Z1)
	SPLIT(R10, Z20, Z21, K3, Z2)
	SPLIT(R11, Z22, Z23, K4, Z3)
	SPLIT(R12, Z16, Z17, K1, Z4)
	SPLIT(R13, Z18, Z19, K2, Z5)
	SPLIT(R14, Z20, Z21, K3, Z6)
	SPLIT(R15, Z22, Z23, K4, Z7)
	VPADDB Z31, Z30, Z30
	INCQ   SI
	CMPQ   SI, CX
	JLT    step
	VMOVDQU64 Z0, 0(DI)
	VMOVDQU64 Z1, 64(DI)
	VMOVDQU64 Z2, 128(DI)
	VMOVDQU64 Z3, 192(DI)
	VMOVDQU64 Z4, 256(DI)
	VMOVDQU64 Z5, 320(DI)
	VMOVDQU64 Z6, 384(DI)
	VMOVDQU64 Z7, 448(DI)
	VZEROUPPER
	RET

#undef LEAF

// func label32(trees *[8]*labelOp, steps int, ranks, out *uint8)
//
// Writes the numbers of the leaves of 32 rows in eight trees, 64 bytes to a tree. steps is the most splits of any of them, at least 1. Needs AVX-512 F, BW
// and VL.
#define LEAF Y30

TEXT ·label32(SB), NOSPLIT, $0-32
	ARGUMENTS
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	PCALIGN $32

step:
	SPLIT(R8, Y16, Y17, K1, Y0)
	SPLIT(R9, Y18, Y19, K2, Y1)
	SPLIT(R10, Y20, Y21, K3, Y2)
	SPLIT(R11, Y22, Y23, K4, Y3)
	SPLIT(R12, Y16, Y17, K1, Y4)
	SPLIT(R13, Y18, Y19, K2, Y5)
	SPLIT(R14, Y20, Y21, K3, Y6)
	SPLIT(R15, Y22, Y23, K4, Y7)
	VPADDB Y31, Y30, Y30
	INCQ   SI
	CMPQ   SI, CX
	JLT    step
	VMOVDQU64 Y0, 0(DI)
	VMOVDQU64 Y1, 64(DI)
	VMOVDQU64 Y2, 128(DI)
	VMOVDQU64 Y3, 192(DI)
	VMOVDQU64 Y4, 256(DI)
	VMOVDQU64 Y5, 320(DI)
	VMOVDQU64 Y6, 384(DI)
	VMOVDQU64 Y7, 448(DI)
	VZEROUPPER
	RET

#undef LEAF

// func label16(trees *[8]*labelOp, steps int, ranks, out *uint8)
//
// Writes the numbers of the leaves of 16 rows in eight trees, 64 bytes to a tree. steps is the most splits of any of them, at least 1. Needs AVX-512 F, BW
// and VL.
#define LEAF X30

TEXT ·label16(SB), NOSPLIT, $0-32
	ARGUMENTS
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	PCALIGN $32

step:
	SPLIT(R8, X16, X17, K1, X0)
	SPLIT(R9, X18, X19, K2, X1)
	SPLIT(R10, X20, X21, K3, X2)
	SPLIT(R11, X22, X23, K4, X3)
	SPLIT(R12, X16, X17, K1, X4)
	SPLIT(R13, X18, X19, K2, X5)
	SPLIT(R14, X20, X21, K3, X6)
	SPLIT(R15, X22, X23, K4, X7)
	VPADDB X31, X30, X30
	INCQ   SI
	CMPQ   SI, CX
	JLT    step
	VMOVDQU64 X0, 0(DI)
	VMOVDQU64 X1, 64(DI)
	VMOVDQU64 X2, 128(DI)
	VMOVDQU64 X3, 192(DI)
	VMOVDQU64 X4, 256(DI)
	VMOVDQU64 X5, 320(DI)
	VMOVDQU64 X6, 384(DI)
	VMOVDQU64 X7, 448(DI)
	VZEROUPPER
	RET

#undef LEAF

#include "textflag.h"

// func sliceRun(ops *op, perTree, trees int, answers, at, bits *uint64)
//
// Slices trees of the same size for the 256 rows of a block, after slice.go: a vector is one word of each of four groups of 64 rows. Needs AVX2 and BMI1.
//
//	SI  next op   R9, R10, R14 where left, right and to stand in it
//	R13 ops of a tree, fillers included: 31, 63, 127 or 255
//	BX  trees that are left
//	DX  answers   DI  T(c), 32 bytes each   R12  bits of the next tree, 8 × 32 bytes
//	Y15 exclusive or of all T(c): bit 0 of the leaves' numbers
TEXT ·sliceRun(SB), NOSPLIT, $0-48
	MOVQ ops+0(FP), SI
	MOVQ perTree+8(FP), R13
	MOVQ trees+16(FP), BX
	MOVQ answers+24(FP), DX
	MOVQ at+32(FP), DI
	MOVQ bits+40(FP), R12
	MOVQ $0x0b00, R9
	MOVQ $0x0b0b, R10
	MOVQ $0x0b16, R14

tree:
	MOVQ  R13, CX
	VPXOR Y15, Y15, Y15
	PCALIGN $32

split:
	MOVQ    (SI), R8
	BEXTRQ  R9, R8, R11
	VMOVDQU (DI)(R11*8), Y0
	BEXTRQ  R10, R8, R11
	BEXTRQ  R14, R8, R15
	SHRQ    $33, R8
	VPAND   (DX)(R8*8), Y0, Y0
	VPOR    (DI)(R11*8), Y0, Y0
	VMOVDQU Y0, (DI)(R15*8)
	VPXOR   Y0, Y15, Y15
	ADDQ    $8, SI
	DECQ    CX
	JNZ     split

	// Y1 to Y4: the T(c) with c an odd multiple of 2, 4, 8 and 16; of each 32 there are 8, 4, 2 and 1.
	MOVQ  DI, AX
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VPXOR Y4, Y4, Y4
	MOVQ  R13, CX
	INCQ  CX
	SHRQ  $5, CX

span:
	VPXOR 64(AX), Y1, Y1
	VPXOR 128(AX), Y2, Y2
	VPXOR 192(AX), Y1, Y1
	VPXOR 256(AX), Y3, Y3
	VPXOR 320(AX), Y1, Y1
	VPXOR 384(AX), Y2, Y2
	VPXOR 448(AX), Y1, Y1
	VPXOR 512(AX), Y4, Y4
	VPXOR 576(AX), Y1, Y1
	VPXOR 640(AX), Y2, Y2
	VPXOR 704(AX), Y1, Y1
	VPXOR 768(AX), Y3, Y3
	VPXOR 832(AX), Y1, Y1
	VPXOR 896(AX), Y2, Y2
	VPXOR 960(AX), Y1, Y1
	ADDQ  $1024, AX
	DECQ  CX
	JNZ   span

	// Y5 to Y7: bits 5 to 7, from T(32), T(64), ….
	VPXOR Y5, Y5, Y5
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7
	CMPQ  R13, $63
	JLT   done
	VMOVDQU 1024(DI), Y5
	JEQ   done
	VMOVDQU 2048(DI), Y6
	VPXOR 3072(DI), Y5, Y5
	CMPQ  R13, $127
	JEQ   fold
	VMOVDQU 4096(DI), Y7
	VPXOR 5120(DI), Y5, Y5
	VPXOR 6144(DI), Y6, Y6
	VPXOR 7168(DI), Y5, Y5
	VPXOR Y7, Y6, Y6

fold:
	VPXOR Y6, Y5, Y5

done:
	VPXOR   Y5, Y4, Y4
	VPXOR   Y4, Y3, Y3
	VPXOR   Y3, Y2, Y2
	VPXOR   Y2, Y1, Y1
	VMOVDQU Y15, 0(R12)
	VMOVDQU Y1, 32(R12)
	VMOVDQU Y2, 64(R12)
	VMOVDQU Y3, 96(R12)
	VMOVDQU Y4, 128(R12)
	VMOVDQU Y5, 160(R12)
	VMOVDQU Y6, 192(R12)
	VMOVDQU Y7, 224(R12)
	ADDQ    $256, R12
	DECQ    BX
	JNZ     tree
	VZEROUPPER
	RET

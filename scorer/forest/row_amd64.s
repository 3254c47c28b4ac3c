#include "textflag.h"

// func rankRow512(ladders *rowLadder, n int, row *float64, ranks *uint8, single bool)
//
// Finds the rank of a row's value on each of n ladders of at most 255 thresholds: how many of 16 pivots, if there are many, then how many of 16 thresholds
// are below.
// Needs AVX-512 F, BW and DQ.
//
//	SI next ladder: table *float64 (16 pivots, 256 thresholds), value uint32 (offset in the row, in bytes), nan, zero, many uint32
#define PIVOTS \
	VCMPPD    $0x1e, 0(AX), Z1, K1; \
	VCMPPD    $0x1e, 64(AX), Z1, K2; \
	KUNPCKBW  K1, K2, K1; \
	KMOVW     K1, R8; \
	POPCNTL   R8, R8; \
	MOVL      R8, R9; \
	SHLL      $7, R9; \
	SHLL      $4, R8

#define THRESHOLDS \
	VCMPPD    $0x1e, 128(AX)(R9*1), Z1, K1; \
	VCMPPD    $0x1e, 192(AX)(R9*1), Z1, K2; \
	KUNPCKBW  K1, K2, K1; \
	KMOVW     K1, R9; \
	POPCNTL   R9, R9; \
	ADDL      R9, R8; \
	VUCOMISD  X4, X0; \
	CMOVLEQ   16(SI), R8; \
	CMOVLPS   12(SI), R8; \
	MOVB      R8, (DI); \
	ADDQ      $24, SI; \
	INCQ      DI; \
	DECQ      CX

TEXT ·rankRow512(SB), NOSPLIT, $0-33
	MOVQ         ladders+0(FP), SI
	MOVQ         n+8(FP), CX
	MOVQ         row+16(FP), DX
	MOVQ         ranks+24(FP), DI
	MOVBLZX      single+32(FP), AX
	VPXOR        X4, X4, X4
	TESTL        AX, AX
	JNZ          single
	MOVQ         $0x7fffffffffffffff, AX
	VMOVQ        AX, X5
	MOVQ         $0x38aa95a5c0000000, AX // LightGBM's zero
	VMOVQ        AX, X6

double:
	MOVQ    0(SI), AX
	MOVL    8(SI), R9
	VMOVSD  (DX)(R9*1), X0
	VANDPD  X5, X0, X1
	VCMPPD  $2, X6, X1, X1
	VANDNPD X0, X1, X0
	VBROADCASTSD X0, Z1
	XORL    R8, R8
	XORL    R9, R9
	CMPL    20(SI), $0
	JEQ     few
	PIVOTS

few:
	THRESHOLDS
	JNZ     double
	VZEROUPPER
	RET

single:
	MOVQ      0(SI), AX
	MOVL      8(SI), R9
	VMOVSD    (DX)(R9*1), X0
	VCVTSD2SS X0, X0, X0
	VCVTSS2SD X0, X0, X0
	VBROADCASTSD X0, Z1
	XORL      R8, R8
	XORL      R9, R9
	CMPL      20(SI), $0
	JEQ       fewf
	PIVOTS

fewf:
	THRESHOLDS
	JNZ       single
	VZEROUPPER
	RET

// ON moves a place on by one step (row.go): its rank, shifted to where the split's number stands, is compared with the whole step, and carries
// the row to the right.
#define ON(at) \
	MOVL    (SI)(at*4), AX; \
	MOVBLZX AX, BX; \
	MOVBLZX (DX)(BX*1), BX; \
	MOVL    AX, DI; \
	SHRL    $8, DI; \
	MOVWLZX DI, DI; \
	SHLL    $24, BX; \
	CMPL    AX, BX; \
	ADCL    DI, at

// func walkSteps(all *step, ranks *uint8, at *int32, depth int)
//
// Moves eight places on by depth steps. Needs no more than amd64.
TEXT ·walkSteps(SB), NOSPLIT, $0-32
	MOVQ all+0(FP), SI
	MOVQ ranks+8(FP), DX
	MOVQ at+16(FP), AX
	MOVQ depth+24(FP), CX
	MOVL 0(AX), R8
	MOVL 4(AX), R9
	MOVL 8(AX), R10
	MOVL 12(AX), R11
	MOVL 16(AX), R12
	MOVL 20(AX), R13
	MOVL 24(AX), R14
	MOVL 28(AX), R15

step:
	ON(R8)
	ON(R9)
	ON(R10)
	ON(R11)
	ON(R12)
	ON(R13)
	ON(R14)
	ON(R15)
	DECQ CX
	JNZ  step
	MOVQ at+16(FP), AX
	MOVL R8, 0(AX)
	MOVL R9, 4(AX)
	MOVL R10, 8(AX)
	MOVL R11, 12(AX)
	MOVL R12, 16(AX)
	MOVL R13, 20(AX)
	MOVL R14, 24(AX)
	MOVL R15, 28(AX)
	RET

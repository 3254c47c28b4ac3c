#include "textflag.h"

// STEP goes one level down in four searches of 16 rows: to the left where the pivot is not below the key. There the pivot is the nearest yet.
//
//	Z0 to Z3 keys   Z4 to Z7 places in the heap   Z8 to Z11 nearest pivots   Z12 to Z15 pivots
#define STEP \
	VPCMPD $5, Z0, Z12, K1; \
	VPCMPD $5, Z1, Z13, K2; \
	VPCMPD $5, Z2, Z14, K3; \
	VPCMPD $5, Z3, Z15, K4; \
	VPADDD Z4, Z4, Z4; \
	VPADDD Z5, Z5, Z5; \
	VPADDD Z6, Z6, Z6; \
	VPADDD Z7, Z7, Z7; \
	VPADDD Z31, Z4, K1, Z4; \
	VPADDD Z31, Z5, K2, Z5; \
	VPADDD Z31, Z6, K3, Z6; \
	VPADDD Z31, Z7, K4, Z7; \
	VMOVDQA32 Z12, K1, Z8; \
	VMOVDQA32 Z13, K2, Z9; \
	VMOVDQA32 Z14, K3, Z10; \
	VMOVDQA32 Z15, K4, Z11

// LOOK16 looks up pivots in 16 entries, LOOK32 in 32.
#define LOOK16(t) \
	VPERMD t, Z4, Z12; \
	VPERMD t, Z5, Z13; \
	VPERMD t, Z6, Z14; \
	VPERMD t, Z7, Z15

#define LOOK32(t, u) \
	VMOVDQA32 t, Z12; \
	VMOVDQA32 t, Z13; \
	VMOVDQA32 t, Z14; \
	VMOVDQA32 t, Z15; \
	VPERMT2D u, Z4, Z12; \
	VPERMT2D u, Z5, Z13; \
	VPERMT2D u, Z6, Z14; \
	VPERMT2D u, Z7, Z15

// OR32 does so for the places whose bit in a register is set, and leaves the other pivots.
#define OR32(t, u, bit) \
	VPTESTMD bit, Z4, K1; \
	VPTESTMD bit, Z5, K2; \
	VPTESTMD bit, Z6, K3; \
	VPTESTMD bit, Z7, K4; \
	VMOVDQA32 t, Z24; \
	VMOVDQA32 t, Z25; \
	VMOVDQA32 t, Z26; \
	VMOVDQA32 t, Z27; \
	VPERMT2D u, Z4, Z24; \
	VPERMT2D u, Z5, Z25; \
	VPERMT2D u, Z6, Z26; \
	VPERMT2D u, Z7, Z27; \
	VMOVDQA32 Z24, K1, Z12; \
	VMOVDQA32 Z25, K2, Z13; \
	VMOVDQA32 Z26, K3, Z14; \
	VMOVDQA32 Z27, K4, Z15

// MISSING gives the rank in the task to the rows whose key is k.
#define MISSING(k, rank) \
	VPBROADCASTD rank, Z24; \
	VPCMPEQD k, Z0, K1; \
	VPCMPEQD k, Z1, K2; \
	VPCMPEQD k, Z2, K3; \
	VPCMPEQD k, Z3, K4; \
	VMOVDQA32 Z24, K1, Z4; \
	VMOVDQA32 Z24, K2, Z5; \
	VMOVDQA32 Z24, K3, Z6; \
	VMOVDQA32 Z24, K4, Z7

// func searchAll(tasks *search, n int, keys *int32, answers *uint64, ranks *uint8, ties *uint64)
//
// For each of n ladders: finds the ranks of 64 rows by binary search in a heap of keys that stands in registers, and writes the answers, one word to each
// question, 32 bytes apart, unless answers is nil. A set bit of ties says that the row's key is one of the heap, so that its rank is not sure.
//
//	SI next task: heap *int32, keys, answers, levels, questions, nan, zero uint32
TEXT ·searchAll(SB), NOSPLIT, $0-48
	MOVQ         tasks+0(FP), SI
	MOVQ         n+8(FP), CX
	MOVQ         keys+16(FP), DX
	MOVQ         answers+24(FP), DI
	MOVQ         ranks+32(FP), R12
	MOVQ         ties+40(FP), R13
	MOVL         $1, AX
	VPBROADCASTD AX, Z31
	MOVL         $0x7ff80000, AX
	VPBROADCASTD AX, Z30
	MOVL         $32, AX
	VPBROADCASTD AX, Z29
	MOVL         $64, AX
	VPBROADCASTD AX, Z28

ladder:
	MOVQ      0(SI), BX
	MOVL      8(SI), AX
	ADDQ      DX, AX
	VMOVDQU32 0(AX), Z0
	VMOVDQU32 64(AX), Z1
	VMOVDQU32 128(AX), Z2
	VMOVDQU32 192(AX), Z3
	VMOVDQA32 Z31, Z4
	VMOVDQA32 Z31, Z5
	VMOVDQA32 Z31, Z6
	VMOVDQA32 Z31, Z7
	VMOVDQA32 Z31, Z8  // no key is 1
	VMOVDQA32 Z31, Z9
	VMOVDQA32 Z31, Z10
	VMOVDQA32 Z31, Z11
	MOVL      16(SI), R8
	VMOVDQU32 0(BX), Z16
	LOOK16(Z16)
	STEP
	LOOK16(Z16)
	STEP
	LOOK16(Z16)
	STEP
	LOOK16(Z16)
	STEP
	CMPL      R8, $4
	JEQ       found
	VMOVDQU32 64(BX), Z16
	LOOK16(Z16)
	STEP
	CMPL      R8, $5
	JEQ       found
	VMOVDQU32 128(BX), Z16
	VMOVDQU32 192(BX), Z17
	LOOK32(Z16, Z17)
	STEP
	CMPL      R8, $6
	JEQ       found
	VMOVDQU32 256(BX), Z16
	VMOVDQU32 320(BX), Z17
	VMOVDQU32 384(BX), Z18
	VMOVDQU32 448(BX), Z19
	LOOK32(Z16, Z17)
	OR32(Z18, Z19, Z29)
	STEP
	CMPL      R8, $7
	JEQ       found
	VMOVDQU32 512(BX), Z16
	VMOVDQU32 576(BX), Z17
	VMOVDQU32 640(BX), Z18
	VMOVDQU32 704(BX), Z19
	VMOVDQU32 768(BX), Z20
	VMOVDQU32 832(BX), Z21
	VMOVDQU32 896(BX), Z22
	VMOVDQU32 960(BX), Z23
	CALL      last<>(SB)

found:
	VPTESTMD  Z0, Z0, K1 // what is 0 is sure
	VPTESTMD  Z1, Z1, K2
	VPTESTMD  Z2, Z2, K3
	VPTESTMD  Z3, Z3, K4
	VPCMPEQD  Z0, Z8, K1, K1
	VPCMPEQD  Z1, Z9, K2, K2
	VPCMPEQD  Z2, Z10, K3, K3
	VPCMPEQD  Z3, Z11, K4, K4
	KUNPCKWD  K1, K2, K1
	KUNPCKWD  K3, K4, K3
	KUNPCKDQ  K1, K3, K1
	KMOVQ     K1, (R13)

	// The place p of a search in a heap of l levels is that of rank 2·2^l - 1 - p.
	MOVQ      R8, R9
	MOVQ      CX, R10
	MOVQ      R9, CX
	MOVL      $2, AX
	SHLL      CX, AX
	DECL      AX
	MOVQ      R10, CX
	VPBROADCASTD AX, Z24
	VPSUBD    Z4, Z24, Z4
	VPSUBD    Z5, Z24, Z5
	VPSUBD    Z6, Z24, Z6
	VPSUBD    Z7, Z24, Z7
	MISSING(Z30, 24(SI))
	CMPL      28(SI), $0
	JLT       write
	VPXORD    Z12, Z12, Z12
	MISSING(Z12, 28(SI))

write:
	VPMOVDB   Z4, X4
	VPMOVDB   Z5, X5
	VPMOVDB   Z6, X6
	VPMOVDB   Z7, X7
	VINSERTI128 $1, X5, Y4, Y4
	VINSERTI128 $1, X7, Y6, Y6
	VINSERTI64X4 $1, Y6, Z4, Z0
	VMOVDQU64 Z0, (R12)
	TESTQ     DI, DI
	JEQ       next
	MOVL      12(SI), AX
	LEAQ      (DI)(AX*8), BX
	MOVL      20(SI), R8
	CALL      write<>(SB)

next:
	ADDQ      $32, SI
	ADDQ      $64, R12
	ADDQ      $8, R13
	DECQ      CX
	JNZ       ladder
	VZEROUPPER
	RET

// last is the eighth level, of 128 pivots.
TEXT last<>(SB), NOSPLIT|NOFRAME, $0-0
	LOOK32(Z16, Z17)
	OR32(Z18, Z19, Z29)
	// Those of the upper half of the places, then a choice by bit 6.
	VMOVDQA32 Z12, Z16
	VMOVDQA32 Z13, Z17
	VMOVDQA32 Z14, Z18
	VMOVDQA32 Z15, Z19
	LOOK32(Z20, Z21)
	OR32(Z22, Z23, Z29)
	VPTESTNMD Z28, Z4, K1
	VPTESTNMD Z28, Z5, K2
	VPTESTNMD Z28, Z6, K3
	VPTESTNMD Z28, Z7, K4
	VMOVDQA32 Z16, K1, Z12
	VMOVDQA32 Z17, K2, Z13
	VMOVDQA32 Z18, K3, Z14
	VMOVDQA32 Z19, K4, Z15
	STEP
	RET

// write writes the answers of one ladder, rounded up to four: row r goes right at question k if its rank, in Z0, is above k.
//
//	BX first question   R8 questions
TEXT write<>(SB), NOSPLIT|NOFRAME, $0-0
	VPXORD      Z1, Z1, Z1
	MOVL        $0x01010101, AX
	VPBROADCASTD AX, Z5
	VPADDB      Z5, Z1, Z2
	VPADDB      Z5, Z2, Z3
	VPADDB      Z5, Z3, Z4
	VPADDB      Z3, Z3, Z5

four:
	VPCMPUB $6, Z1, Z0, K1
	VPCMPUB $6, Z2, Z0, K2
	VPCMPUB $6, Z3, Z0, K3
	VPCMPUB $6, Z4, Z0, K4
	KMOVQ   K1, 0(BX)
	KMOVQ   K2, 32(BX)
	KMOVQ   K3, 64(BX)
	KMOVQ   K4, 96(BX)
	VPADDB  Z5, Z1, Z1
	VPADDB  Z5, Z2, Z2
	VPADDB  Z5, Z3, Z3
	VPADDB  Z5, Z4, Z4
	ADDQ    $128, BX
	SUBL    $4, R8
	JGT     four
	RET

// func writeOne(ranks *uint8, answers *uint64, questions int)
TEXT ·writeOne(SB), NOSPLIT, $0-24
	MOVQ      ranks+0(FP), AX
	VMOVDQU64 (AX), Z0
	MOVQ      answers+8(FP), BX
	MOVQ      questions+16(FP), R8
	CALL      write<>(SB)
	VZEROUPPER
	RET

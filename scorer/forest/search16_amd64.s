#include "textflag.h"

// The same as searchAll for 16 rows, whose keys fill one register: see search_amd64.s.
//
//	Z0 keys   Z4 places in the heap   Z8 nearest pivots   Z12 pivots
#define STEP \
	VPCMPD    $5, Z0, Z12, K1; \
	VPADDD    Z4, Z4, Z4; \
	VPADDD    Z31, Z4, K1, Z4; \
	VMOVDQA32 Z12, K1, Z8

#define LOOK16(at) VPERMD at(BX), Z4, Z12

// LOOK32 looks up pivots in 32 entries, into z.
#define LOOK32(at, z) \
	VMOVDQU32 at(BX), z; \
	VPERMT2D  (64+at)(BX), Z4, z

// func searchFew(tasks *search, n int, keys *int32, ranks *uint8, ties *uint64)
TEXT ·searchFew(SB), NOSPLIT, $0-40
	MOVQ         tasks+0(FP), SI
	MOVQ         n+8(FP), R11
	MOVQ         keys+16(FP), DX
	MOVQ         ranks+24(FP), R12
	MOVQ         ties+32(FP), R13
	MOVL         $1, AX
	VPBROADCASTD AX, Z31
	MOVL         $0x7ff80000, AX
	VPBROADCASTD AX, Z30
	MOVL         $32, AX
	VPBROADCASTD AX, Z29
	MOVL         $64, AX
	VPBROADCASTD AX, Z28
	VPXORD       Z27, Z27, Z27

ladder:
	MOVQ      0(SI), BX
	MOVL      8(SI), AX
	VMOVDQU32 (DX)(AX*1), Z0
	VMOVDQA32 Z31, Z4
	VMOVDQA32 Z31, Z8
	MOVL      16(SI), CX
	LOOK16(0)
	STEP
	LOOK16(0)
	STEP
	LOOK16(0)
	STEP
	LOOK16(0)
	STEP
	CMPL      CX, $4
	JEQ       found
	LOOK16(64)
	STEP
	CMPL      CX, $5
	JEQ       found
	LOOK32(128, Z12)
	STEP
	CMPL      CX, $6
	JEQ       found
	VPTESTMD  Z29, Z4, K1
	LOOK32(256, Z12)
	LOOK32(384, Z13)
	VMOVDQA32 Z13, K1, Z12
	STEP
	CMPL      CX, $7
	JEQ       found
	VPTESTMD  Z29, Z4, K1
	VPTESTMD  Z28, Z4, K2
	LOOK32(512, Z12)
	LOOK32(640, Z13)
	LOOK32(768, Z14)
	LOOK32(896, Z15)
	VMOVDQA32 Z13, K1, Z12
	VMOVDQA32 Z15, K1, Z14
	VMOVDQA32 Z14, K2, Z12
	STEP

found:
	VPTESTMD     Z0, Z0, K1
	VPCMPEQD     Z0, Z8, K1, K1
	KMOVW        K1, AX
	MOVQ         AX, (R13)
	MOVL         $2, AX
	SHLL         CX, AX
	DECL         AX
	VPBROADCASTD AX, Z9
	VPSUBD       Z4, Z9, Z4
	VPCMPEQD     Z30, Z0, K1
	VPBROADCASTD 24(SI), K1, Z4
	CMPL         28(SI), $0
	JLT          write
	VPCMPEQD     Z27, Z0, K1
	VPBROADCASTD 28(SI), K1, Z4

write:
	VPMOVDB Z4, (R12)
	ADDQ    $32, SI
	ADDQ    $64, R12
	ADDQ    $8, R13
	DECQ    R11
	JNZ     ladder
	VZEROUPPER
	RET

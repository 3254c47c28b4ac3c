#include "textflag.h"

// WALK takes the arguments of chainRun and chainRunf.
#define WALK(load) \
	MOVQ      ranks+0(FP), AX; \
	MOVQ      splits+8(FP), SI; \
	MOVQ      turns+16(FP), BX; \
	MOVQ      chains+24(FP), CX; \
	MOVQ      values+32(FP), DI; \
	MOVQ      n+40(FP), DX; \
	MOVQ      most+48(FP), R10; \
	MOVQ      sum+56(FP), R11; \
	VMOVDQU64 0(AX), Z30; \
	VMOVDQU64 64(AX), Z31; \
	load      (R11), X0

// func rankRow512(ladders *rowLadder, n int, row *float64, ranks *uint8, single bool)
//
// Finds the rank of a row's value on each of n ladders of at most 255 thresholds: how many of 16 pivots, then how many of 16 thresholds are below.
// Needs AVX-512 F, BW and DQ.
//
//	SI next ladder: table *float64 (16 pivots, 256 thresholds), value uint32 (offset in the row, in bytes), nan, zero uint32
#define FIND \
	VBROADCASTSD X0, Z1; \
	VCMPPD    $0x1e, 0(AX), Z1, K1; \
	VCMPPD    $0x1e, 64(AX), Z1, K2; \
	KUNPCKBW  K1, K2, K1; \
	KMOVW     K1, R8; \
	POPCNTL   R8, R8; \
	MOVL      R8, R9; \
	SHLL      $7, R9; \
	VCMPPD    $0x1e, 128(AX)(R9*1), Z1, K1; \
	VCMPPD    $0x1e, 192(AX)(R9*1), Z1, K2; \
	KUNPCKBW  K1, K2, K1; \
	KMOVW     K1, R9; \
	POPCNTL   R9, R9; \
	SHLL      $4, R8; \
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
	FIND
	JNZ     double
	VZEROUPPER
	RET

single:
	MOVQ      0(SI), AX
	MOVL      8(SI), R9
	VMOVSD    (DX)(R9*1), X0
	VCVTSD2SS X0, X0, X0
	VCVTSS2SD X0, X0, X0
	FIND
	JNZ       single
	VZEROUPPER
	RET

// GO asks all splits of a tree of at most 64 leaves of one row. The answers, turned over, stand in R8.
//
//	Z30, Z31 the row's ranks   SI columns and numbers of the next tree's splits   BX its turns   CX its chains
#define GO \
	VMOVDQU64 (SI), Z1; \
	VPERMI2B  Z31, Z30, Z1; \
	VPCMPUB   $6, 64(SI), Z1, K1; \
	KMOVQ     K1, R8; \
	XORQ      (BX), R8; \
	ANDNQ     504(CX), R8, R9; \
	LZCNTQ    R9, R9

// TURN takes the next turn off a chain, or stays at its end.
#define TURN \
	ANDNQ  -8(CX)(R9*8), R8, R9; \
	LZCNTQ R9, R9

// func chainRun(ranks, splits *uint8, turns, chains *uint64, values unsafe.Pointer, n, most int, sum unsafe.Pointer)
//
// Adds the values of n trees of at most 64 leaves for one row to a float64 sum. most is the most turns of any of them, less one. Needs AVX-512 F, BW,
// DQ and VBMI, and BMI1.
TEXT ·chainRun(SB), NOSPLIT, $0-64
	WALK(VMOVSD)

tree:
	GO
	CMPQ   R10, $2
	JLT    few
	TURN
	TURN
	CMPQ   R10, $3
	JLT    done
	TURN
	CMPQ   R10, $4
	JLT    done
	TURN
	CMPQ   R10, $5
	JLT    done
	TURN

done:
	VADDSD -8(DI)(R9*8), X0, X0
	ADDQ   $128, SI
	ADDQ   $8, BX
	ADDQ   $512, CX
	ADDQ   $512, DI
	DECQ   DX
	JNZ    tree
	VMOVSD X0, (R11)
	VZEROUPPER
	RET

few:
	TESTQ R10, R10
	JZ    done
	TURN
	JMP   done

// func chainRunf(ranks, splits *uint8, turns, chains *uint64, values unsafe.Pointer, n, most int, sum unsafe.Pointer)
//
// The same for float32.
TEXT ·chainRunf(SB), NOSPLIT, $0-64
	WALK(VMOVSS)

tree:
	GO
	CMPQ   R10, $2
	JLT    few
	TURN
	TURN
	CMPQ   R10, $3
	JLT    done
	TURN
	CMPQ   R10, $4
	JLT    done
	TURN
	CMPQ   R10, $5
	JLT    done
	TURN

done:
	VADDSS -4(DI)(R9*4), X0, X0
	ADDQ   $128, SI
	ADDQ   $8, BX
	ADDQ   $512, CX
	ADDQ   $256, DI
	DECQ   DX
	JNZ    tree
	VMOVSS X0, (R11)
	VZEROUPPER
	RET

few:
	TESTQ R10, R10
	JZ    done
	TURN
	JMP   done

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

#include "textflag.h"

// The chains of chain.go. Needs AVX-512 F, BW and VBMI, and BMI1.
//
//	Z30 the row's ranks   Z31 the same, turned over   SI columns and numbers of the next tree's splits   CX its masks, and its values behind them
//	R8 answers, turned over   R9 64 less the number of the chain

// GO asks all splits of the tree at o and m, and turns off the first chain.
#define GO(o, m) \
	VMOVDQU64 (o)(SI), Z1; \
	VPERMI2B  Z31, Z30, Z1; \
	VPCMPUB   $6, (64+o)(SI), Z1, K1; \
	KMOVQ     K1, R8; \
	ANDNQ     (504+m)(CX), R8, R9; \
	LZCNTQ    R9, R9

// TURN turns off another, or stays at its end.
#define TURN(m) \
	ANDNQ  (m-8)(CX)(R9*8), R8, R9; \
	LZCNTQ R9, R9

#define TURN2(m) \
	TURN(m); \
	TURN(m)

#define TURN3(m) \
	TURN2(m); \
	TURN(m)

#define TURN4(m) \
	TURN2(m); \
	TURN2(m)

#define TURN5(m) \
	TURN4(m); \
	TURN(m)

#define ADD64(m) VADDSD (m+512-8)(CX)(R9*8), X0, X0
#define ADD32(m) VADDSS (m+512-4)(CX)(R9*4), X0, X0
#define EXIT(m) \
	MOVL (m+512-4)(CX)(R9*4), R9; \
	MOVL R9, (R11); \
	ADDQ $4, R11; \
	PREFETCHT0 (R12)(R9*4)

// EACH walks DX trees, two at a time, by turns; a tree's masks and values have size bytes.
#define EACH(turns, add, size, two, end) \
	TESTQ $1, DX; \
	JEQ   two; \
	GO(0, 0); \
	turns(0); \
	add(0); \
	ADDQ  $128, SI; \
	ADDQ  $size, CX; \
	DECQ  DX; \
	JEQ   end; \
two: \
	GO(0, 0); \
	turns(0); \
	add(0); \
	GO(128, size); \
	turns(size); \
	add(size); \
	ADDQ  $256, SI; \
	ADDQ  $(2*size), CX; \
	SUBQ  $2, DX; \
	JNE   two; \
	JMP   end

#define ARGUMENTS(result) \
	MOVQ      ranks+0(FP), AX; \
	MOVQ      splits+8(FP), SI; \
	MOVQ      masks+16(FP), CX; \
	MOVQ      n+24(FP), DX; \
	MOVQ      most+32(FP), R10; \
	MOVQ      result+40(FP), R11; \
	VMOVDQU64 0(AX), Z30; \
	VPTERNLOGQ $0x55, Z30, Z30, Z31

// func chainRun(ranks, splits *uint8, masks *uint64, n, most int, sum unsafe.Pointer)
//
// Adds the values of n > 0 trees of at most 64 leaves for one row to a float64 sum. most is the most turns of any of them.
TEXT ·chainRun(SB), NOSPLIT, $0-48
	ARGUMENTS(sum)
	VMOVSD (R11), X0
	CMPQ R10, $4
	JEQ  four
	JGT  six
	EACH(TURN2, ADD64, 1024, two3, end)

four:
	EACH(TURN3, ADD64, 1024, two4, end)

six:
	CMPQ R10, $5
	JNE  most
	EACH(TURN4, ADD64, 1024, two5, end)

most:
	EACH(TURN5, ADD64, 1024, two6, end)

end:
	VMOVSD X0, (R11)
	VZEROUPPER
	RET

// func chainRunf(ranks, splits *uint8, masks *uint64, n, most int, sum unsafe.Pointer)
//
// The same for float32.
TEXT ·chainRunf(SB), NOSPLIT, $0-48
	ARGUMENTS(sum)
	VMOVSS (R11), X0
	CMPQ R10, $4
	JEQ  four
	JGT  six
	EACH(TURN2, ADD32, 768, two3, end)

four:
	EACH(TURN3, ADD32, 768, two4, end)

six:
	CMPQ R10, $5
	JNE  most
	EACH(TURN4, ADD32, 768, two5, end)

most:
	EACH(TURN5, ADD32, 768, two6, end)

end:
	VMOVSS X0, (R11)
	VZEROUPPER
	RET

// func chainTops(ranks, splits *uint8, masks *uint64, n, most int, places *int32, steps *step)
//
// Writes where the row leaves the top of each of n > 0 trees.
TEXT ·chainTops(SB), NOSPLIT, $0-56
	ARGUMENTS(places)
	MOVQ steps+48(FP), R12
	CMPQ R10, $4
	JEQ  four
	JGT  six
	EACH(TURN2, EXIT, 768, two3, end)

four:
	EACH(TURN3, EXIT, 768, two4, end)

six:
	CMPQ R10, $5
	JNE  most
	EACH(TURN4, EXIT, 768, two5, end)

most:
	EACH(TURN5, EXIT, 768, two6, end)

end:
	VZEROUPPER
	RET

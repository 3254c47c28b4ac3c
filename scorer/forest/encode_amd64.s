#include "textflag.h"

// A value's key is an int32 that orders as the values do: the upper half of a float64 or a float32, with the bits of negative numbers turned over. NaN
// of any kind is above all others.

// KEYS turns 16 upper halves in z into keys, for float64: what is within LightGBM's zero becomes 0.
//
//	Z28 0x7fffffff   Z29 upper half of the zero   Z30 upper half of infinity   Z31 key of NaN
//	K4 gathers the lanes that the upper half alone does not tell: those at the zero's edge and at infinity's
#define KEYS(z) \
	VPANDD Z28, z, Z27; \
	VPCMPEQD Z29, Z27, K2; \
	VPCMPEQD Z30, Z27, K3; \
	KORW K2, K4, K4; \
	KORW K3, K4, K4; \
	VPSRAD $31, z, Z26; \
	VPANDD Z28, Z26, Z26; \
	VPXORD Z26, z, z; \
	VPCMPUD $6, Z30, Z27, K3; \
	VMOVDQA32 Z31, K3, z; \
	VPCMPUD $5, Z29, Z27, K2; \
	VMOVDQA32.Z z, K2, z

// KEYSF does so for float32.
#define KEYSF(z) \
	VPANDD Z28, z, Z27; \
	VPSRAD $31, z, Z26; \
	VPANDD Z28, Z26, Z26; \
	VPXORD Z26, z, z; \
	VPCMPUD $6, Z30, Z27, K3; \
	VMOVDQA32 Z31, K3, z

// ROW loads eight values of the next row; the last row stands for those after it.
#define ROW(z) \
	VMOVUPD.Z (SI), K1, z; \
	DECQ CX; \
	CMOVQLE AX, DX; \
	ADDQ DX, SI

// PAIR puts the upper halves of two rows side by side.
#define PAIR(a, b) VPERMT2D b, Z25, a

#define PAIRF(a, ya, b, yb) \
	VCVTPD2PS a, ya; \
	VCVTPD2PS b, yb; \
	VINSERTI64X4 $1, yb, a, a

#define LOAD16 \
	ROW(Z0); \
	ROW(Z1); \
	ROW(Z2); \
	ROW(Z3); \
	ROW(Z4); \
	ROW(Z5); \
	ROW(Z6); \
	ROW(Z7); \
	ROW(Z8); \
	ROW(Z9); \
	ROW(Z10); \
	ROW(Z11); \
	ROW(Z12); \
	ROW(Z13); \
	ROW(Z14); \
	ROW(Z15)

// TRANSPOSE takes Z0 to Z7, which hold eight features each of rows r and r+8, and stores 16 rows of each feature, 256 bytes apart.
#define TRANSPOSE \
	VPUNPCKLDQ Z1, Z0, Z8; \
	VPUNPCKHDQ Z1, Z0, Z9; \
	VPUNPCKLDQ Z3, Z2, Z10; \
	VPUNPCKHDQ Z3, Z2, Z11; \
	VPUNPCKLDQ Z5, Z4, Z12; \
	VPUNPCKHDQ Z5, Z4, Z13; \
	VPUNPCKLDQ Z7, Z6, Z14; \
	VPUNPCKHDQ Z7, Z6, Z15; \
	VPUNPCKLQDQ Z10, Z8, Z0; \
	VPUNPCKHQDQ Z10, Z8, Z1; \
	VPUNPCKLQDQ Z11, Z9, Z2; \
	VPUNPCKHQDQ Z11, Z9, Z3; \
	VPUNPCKLQDQ Z14, Z12, Z4; \
	VPUNPCKHQDQ Z14, Z12, Z5; \
	VPUNPCKLQDQ Z15, Z13, Z6; \
	VPUNPCKHQDQ Z15, Z13, Z7; \
	VMOVDQU64 low<>(SB), Z24; \
	VMOVDQU64 high<>(SB), Z25; \
	STORE(Z0, Z4, 0, 1024); \
	STORE(Z1, Z5, 256, 1280); \
	STORE(Z2, Z6, 512, 1536); \
	STORE(Z3, Z7, 768, 1792)

// STORE: a has rows 0 to 3 and 8 to 11 of two features, four apart, b the others.
#define STORE(a, b, here, there) \
	VMOVDQA64 a, Z8; \
	VPERMT2Q b, Z24, a; \
	VPERMT2Q b, Z25, Z8; \
	VMOVDQU64 a, here(DI); \
	VMOVDQU64 Z8, there(DI)

// func keys16(rows *float64, n, stride int, mask uint8, keys *int32) (unsure bool)
//
// Writes the keys of up to eight features, those of mask, of 16 rows: feature by feature, 64 rows apart. n > 0 rows are there, stride bytes apart. unsure says
// that a value lies where its upper half does not tell what it is: then the rows must be cleaned first.
TEXT ·keys16(SB), NOSPLIT, $0-41
	MOVQ         rows+0(FP), SI
	MOVQ         n+8(FP), CX
	MOVQ         stride+16(FP), DX
	MOVBLZX      mask+24(FP), AX
	MOVQ         keys+32(FP), DI
	KMOVW        AX, K1
	XORL         AX, AX
	KXORW        K4, K4, K4
	MOVL         $0x7fffffff, R8
	VPBROADCASTD R8, Z28
	MOVL         $0x38aa95a5, R8
	VPBROADCASTD R8, Z29
	MOVL         $0x7ff00000, R8
	VPBROADCASTD R8, Z30
	MOVL         $0x7ff80000, R8
	VPBROADCASTD R8, Z31
	VMOVDQU64    upper<>(SB), Z25
	LOAD16
	PAIR(Z0, Z8)
	PAIR(Z1, Z9)
	PAIR(Z2, Z10)
	PAIR(Z3, Z11)
	PAIR(Z4, Z12)
	PAIR(Z5, Z13)
	PAIR(Z6, Z14)
	PAIR(Z7, Z15)
	KEYS(Z0)
	KEYS(Z1)
	KEYS(Z2)
	KEYS(Z3)
	KEYS(Z4)
	KEYS(Z5)
	KEYS(Z6)
	KEYS(Z7)
	TRANSPOSE
	KORTESTW     K4, K4
	SETNE        unsure+40(FP)
	VZEROUPPER
	RET

// func keys16f(rows *float64, n, stride int, mask uint8, keys *int32)
//
// The same for a library that sees float32.
TEXT ·keys16f(SB), NOSPLIT, $0-40
	MOVQ         rows+0(FP), SI
	MOVQ         n+8(FP), CX
	MOVQ         stride+16(FP), DX
	MOVBLZX      mask+24(FP), AX
	MOVQ         keys+32(FP), DI
	KMOVW        AX, K1
	XORL         AX, AX
	MOVL         $0x7fffffff, R8
	VPBROADCASTD R8, Z28
	MOVL         $0x7f800000, R8
	VPBROADCASTD R8, Z30
	MOVL         $0x7ff80000, R8
	VPBROADCASTD R8, Z31
	LOAD16
	PAIRF(Z0, Y0, Z8, Y8)
	PAIRF(Z1, Y1, Z9, Y9)
	PAIRF(Z2, Y2, Z10, Y10)
	PAIRF(Z3, Y3, Z11, Y11)
	PAIRF(Z4, Y4, Z12, Y12)
	PAIRF(Z5, Y5, Z13, Y13)
	PAIRF(Z6, Y6, Z14, Y14)
	PAIRF(Z7, Y7, Z15, Y15)
	KEYSF(Z0)
	KEYSF(Z1)
	KEYSF(Z2)
	KEYSF(Z3)
	KEYSF(Z4)
	KEYSF(Z5)
	KEYSF(Z6)
	KEYSF(Z7)
	TRANSPOSE
	VZEROUPPER
	RET

// The upper halves of eight values each of two rows.
DATA upper<>+0(SB)/8, $0x300000001
DATA upper<>+8(SB)/8, $0x700000005
DATA upper<>+16(SB)/8, $0xb00000009
DATA upper<>+24(SB)/8, $0xf0000000d
DATA upper<>+32(SB)/8, $0x1300000011
DATA upper<>+40(SB)/8, $0x1700000015
DATA upper<>+48(SB)/8, $0x1b00000019
DATA upper<>+56(SB)/8, $0x1f0000001d
GLOBL upper<>(SB), RODATA|NOPTR, $64

// Of two registers' 16-byte lanes, the first and third of each in turn, and the second and fourth.
DATA low<>+0(SB)/8, $0x0
DATA low<>+8(SB)/8, $0x1
DATA low<>+16(SB)/8, $0x8
DATA low<>+24(SB)/8, $0x9
DATA low<>+32(SB)/8, $0x4
DATA low<>+40(SB)/8, $0x5
DATA low<>+48(SB)/8, $0xc
DATA low<>+56(SB)/8, $0xd
GLOBL low<>(SB), RODATA|NOPTR, $64
DATA high<>+0(SB)/8, $0x2
DATA high<>+8(SB)/8, $0x3
DATA high<>+16(SB)/8, $0xa
DATA high<>+24(SB)/8, $0xb
DATA high<>+32(SB)/8, $0x6
DATA high<>+40(SB)/8, $0x7
DATA high<>+48(SB)/8, $0xe
DATA high<>+56(SB)/8, $0xf
GLOBL high<>(SB), RODATA|NOPTR, $64

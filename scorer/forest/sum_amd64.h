// The sums of 64 rows stay in registers while the trees of a run add to them. A tree's leaf values are kept byte by byte: table b holds byte b of
// each leaf's value, so that one permutation looks up a byte for 64 rows. Needs AVX-512 F, BW, VBMI and GFNI.
//
// The numbers of the rows' leaves come as bits, bit j of 256 rows in 32 bytes (sliceRun). NUMBERS makes them bytes: it gathers byte i of each of
// the eight bits into eight bytes, last bit first, and multiplies the unit matrix by these as a matrix of bits, which transposes it.
//
//	SI bits of the next tree   DX its tables   CX trees that are left
//	Z28 which bytes of bits 0 to 3, and of 4 to 7   Z29 the unit matrix   K1 the places of bits 0 to 3
//	Z0 the numbers
#define NUMBERS \
	VMOVDQU64 0(SI), Z1; \
	VMOVDQU64 128(SI), Z2; \
	VPERMT2B 64(SI), Z28, Z1; \
	VPERMT2B 192(SI), Z28, Z2; \
	VMOVDQU8 Z1, K1, Z2; \
	VGF2P8AFFINEQB $0, Z2, Z29, Z0

#define PREPARE \
	MOVQ bits+0(FP), SI; \
	MOVQ trees+8(FP), CX; \
	MOVQ tables+16(FP), DX; \
	MOVQ sums+24(FP), DI; \
	MOVQ group+32(FP), AX; \
	SHLQ $3, AX; \
	VPBROADCASTB AX, Z28; \
	VPADDB gather<>(SB), Z28, Z28; \
	VPBROADCASTQ unit<>(SB), Z29; \
	MOVQ $0xf0f0f0f0f0f0f0f0, AX; \
	KMOVQ AX, K1

#define READY \
	MOVQ numbers+0(FP), SI; \
	MOVQ trees+8(FP), CX; \
	MOVQ tables+16(FP), DX; \
	MOVQ sums+24(FP), DI

// 64 leaves at most: a byte of them is one register.
#define BYTE(b, z) VPERMB (64*b)(DX), Z0, z

// 256 leaves: four, of which bit 7 of the number, in K2, chooses the half.
#define BYTE4(b, z) \
	VMOVDQU64 (256*b)(DX), z; \
	VMOVDQU64 (256*b+128)(DX), Z30; \
	VPERMT2B (256*b+64)(DX), Z0, z; \
	VPERMT2B (256*b+192)(DX), Z0, Z30; \
	VMOVDQU8 Z30, K2, z

// ADD8 puts the bytes in Z1 to Z8 side by side, and adds them to the float64 sums in Z16 to Z23.
#define ADD8 \
	VPUNPCKLBW Z2, Z1, Z9; \
	VPUNPCKHBW Z2, Z1, Z10; \
	VPUNPCKLBW Z4, Z3, Z11; \
	VPUNPCKHBW Z4, Z3, Z12; \
	VPUNPCKLBW Z6, Z5, Z13; \
	VPUNPCKHBW Z6, Z5, Z14; \
	VPUNPCKLBW Z8, Z7, Z15; \
	VPUNPCKHBW Z8, Z7, Z27; \
	VPUNPCKLWD Z11, Z9, Z1; \
	VPUNPCKHWD Z11, Z9, Z2; \
	VPUNPCKLWD Z12, Z10, Z3; \
	VPUNPCKHWD Z12, Z10, Z4; \
	VPUNPCKLWD Z15, Z13, Z5; \
	VPUNPCKHWD Z15, Z13, Z6; \
	VPUNPCKLWD Z27, Z14, Z7; \
	VPUNPCKHWD Z27, Z14, Z8; \
	VPUNPCKLDQ Z5, Z1, Z9; \
	VPUNPCKHDQ Z5, Z1, Z10; \
	VPUNPCKLDQ Z6, Z2, Z11; \
	VPUNPCKHDQ Z6, Z2, Z12; \
	VPUNPCKLDQ Z7, Z3, Z13; \
	VPUNPCKHDQ Z7, Z3, Z14; \
	VPUNPCKLDQ Z8, Z4, Z15; \
	VPUNPCKHDQ Z8, Z4, Z27; \
	VADDPD Z9, Z16, Z16; \
	VADDPD Z10, Z17, Z17; \
	VADDPD Z11, Z18, Z18; \
	VADDPD Z12, Z19, Z19; \
	VADDPD Z13, Z20, Z20; \
	VADDPD Z14, Z21, Z21; \
	VADDPD Z15, Z22, Z22; \
	VADDPD Z27, Z23, Z23

// ADD4 does so with the bytes in Z1 to Z4, and the float32 sums in Z16 to Z19.
#define ADD4 \
	VPUNPCKLBW Z2, Z1, Z9; \
	VPUNPCKHBW Z2, Z1, Z10; \
	VPUNPCKLBW Z4, Z3, Z11; \
	VPUNPCKHBW Z4, Z3, Z12; \
	VPUNPCKLWD Z11, Z9, Z1; \
	VPUNPCKHWD Z11, Z9, Z2; \
	VPUNPCKLWD Z12, Z10, Z3; \
	VPUNPCKHWD Z12, Z10, Z4; \
	VADDPS Z1, Z16, Z16; \
	VADDPS Z2, Z17, Z17; \
	VADDPS Z3, Z18, Z18; \
	VADDPS Z4, Z19, Z19

#define LOAD4 \
	VMOVDQU64 0(DI), Z16; \
	VMOVDQU64 64(DI), Z17; \
	VMOVDQU64 128(DI), Z18; \
	VMOVDQU64 192(DI), Z19

#define LOAD8 \
	LOAD4; \
	VMOVDQU64 256(DI), Z20; \
	VMOVDQU64 320(DI), Z21; \
	VMOVDQU64 384(DI), Z22; \
	VMOVDQU64 448(DI), Z23

#define STORE4 \
	VMOVDQU64 Z16, 0(DI); \
	VMOVDQU64 Z17, 64(DI); \
	VMOVDQU64 Z18, 128(DI); \
	VMOVDQU64 Z19, 192(DI)

#define STORE8 \
	STORE4; \
	VMOVDQU64 Z20, 256(DI); \
	VMOVDQU64 Z21, 320(DI); \
	VMOVDQU64 Z22, 384(DI); \
	VMOVDQU64 Z23, 448(DI)

#define LOOK64 \
	BYTE(0, Z1); \
	BYTE(1, Z2); \
	BYTE(2, Z3); \
	BYTE(3, Z4); \
	BYTE(4, Z5); \
	BYTE(5, Z6); \
	BYTE(6, Z7); \
	BYTE(7, Z8); \
	ADD8

#define LOOK256 \
	VPMOVB2M Z0, K2; \
	BYTE4(0, Z1); \
	BYTE4(1, Z2); \
	BYTE4(2, Z3); \
	BYTE4(3, Z4); \
	BYTE4(4, Z5); \
	BYTE4(5, Z6); \
	BYTE4(6, Z7); \
	BYTE4(7, Z8); \
	ADD8

#define LOOK64F \
	BYTE(0, Z1); \
	BYTE(1, Z2); \
	BYTE(2, Z3); \
	BYTE(3, Z4); \
	ADD4

#define LOOK256F \
	VPMOVB2M Z0, K2; \
	BYTE4(0, Z1); \
	BYTE4(1, Z2); \
	BYTE4(2, Z3); \
	BYTE4(3, Z4); \
	ADD4

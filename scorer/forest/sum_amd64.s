#include "textflag.h"
#include "sum_amd64.h"

// sumRun… adds the values of the leaves of a run of trees to the sums of the 64 rows of one word of a block. labelSum… does so for numbers that are bytes,
// 64 to a tree.

// func sumRun64(bits *uint64, trees int, tables *byte, sums unsafe.Pointer, group int)
TEXT ·sumRun64(SB), NOSPLIT, $0-40
	PREPARE
	LOAD8

tree:
	NUMBERS
	LOOK64
	ADDQ $256, SI
	ADDQ $512, DX
	DECQ CX
	JNZ  tree
	STORE8
	VZEROUPPER
	RET

// func sumRun256(bits *uint64, trees int, tables *byte, sums unsafe.Pointer, group int)
TEXT ·sumRun256(SB), NOSPLIT, $0-40
	PREPARE
	LOAD8

tree:
	NUMBERS
	LOOK256
	ADDQ $256, SI
	ADDQ $2048, DX
	DECQ CX
	JNZ  tree
	STORE8
	VZEROUPPER
	RET

// func sumRun64f(bits *uint64, trees int, tables *byte, sums unsafe.Pointer, group int)
TEXT ·sumRun64f(SB), NOSPLIT, $0-40
	PREPARE
	LOAD4

tree:
	NUMBERS
	LOOK64F
	ADDQ $256, SI
	ADDQ $256, DX
	DECQ CX
	JNZ  tree
	STORE4
	VZEROUPPER
	RET

// func sumRun256f(bits *uint64, trees int, tables *byte, sums unsafe.Pointer, group int)
TEXT ·sumRun256f(SB), NOSPLIT, $0-40
	PREPARE
	LOAD4

tree:
	NUMBERS
	LOOK256F
	ADDQ $256, SI
	ADDQ $1024, DX
	DECQ CX
	JNZ  tree
	STORE4
	VZEROUPPER
	RET

// func labelSum64(numbers *uint8, trees int, tables *byte, sums unsafe.Pointer)
TEXT ·labelSum64(SB), NOSPLIT, $0-32
	READY
	LOAD8

tree:
	VMOVDQU64 (SI), Z0
	LOOK64
	ADDQ $64, SI
	ADDQ $512, DX
	DECQ CX
	JNZ  tree
	STORE8
	VZEROUPPER
	RET

// func labelSum256(numbers *uint8, trees int, tables *byte, sums unsafe.Pointer)
TEXT ·labelSum256(SB), NOSPLIT, $0-32
	READY
	LOAD8

tree:
	VMOVDQU64 (SI), Z0
	LOOK256
	ADDQ $64, SI
	ADDQ $2048, DX
	DECQ CX
	JNZ  tree
	STORE8
	VZEROUPPER
	RET

// func labelSum64f(numbers *uint8, trees int, tables *byte, sums unsafe.Pointer)
TEXT ·labelSum64f(SB), NOSPLIT, $0-32
	READY
	LOAD4

tree:
	VMOVDQU64 (SI), Z0
	LOOK64F
	ADDQ $64, SI
	ADDQ $256, DX
	DECQ CX
	JNZ  tree
	STORE4
	VZEROUPPER
	RET

// func labelSum256f(numbers *uint8, trees int, tables *byte, sums unsafe.Pointer)
TEXT ·labelSum256f(SB), NOSPLIT, $0-32
	READY
	LOAD4

tree:
	VMOVDQU64 (SI), Z0
	LOOK256F
	ADDQ $64, SI
	ADDQ $1024, DX
	DECQ CX
	JNZ  tree
	STORE4
	VZEROUPPER
	RET

// gather: byte 8i+m is byte i of bit 7-m, in two registers that hold 64 rows' words of bits 0 and 1, 2 and 3, or of bits 4 and 5, 6 and 7.
DATA gather<>+0(SB)/8, $0x0020406000204060
DATA gather<>+8(SB)/8, $0x0121416101214161
DATA gather<>+16(SB)/8, $0x0222426202224262
DATA gather<>+24(SB)/8, $0x0323436303234363
DATA gather<>+32(SB)/8, $0x0424446404244464
DATA gather<>+40(SB)/8, $0x0525456505254565
DATA gather<>+48(SB)/8, $0x0626466606264666
DATA gather<>+56(SB)/8, $0x0727476707274767
GLOBL gather<>(SB), RODATA|NOPTR, $64

// unit: byte k has bit k.
DATA unit<>(SB)/8, $0x8040201008040201
GLOBL unit<>(SB), RODATA|NOPTR, $8

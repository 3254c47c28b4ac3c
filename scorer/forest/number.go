package forest

import (
	"errors"
	"fmt"
	"strconv"
)

// Numbers as model files write them. Their text is not kept: it may lie in the file's own memory.

var errNotANumber = errors.New("not a number")

// parseFloat reads a decimal number or ±inf. Go itself would also read 0x1p3, and nan, which no model may hold.
func parseFloat(word string) (float64, error) {
	if word != "inf" && word != "-inf" {
		for i := range len(word) {
			if c := word[i]; c-'0' > 9 && c != '.' && c != '-' && c != '+' && c|0x20 != 'e' {
				return 0, fmt.Errorf("%q: %w", clip(word), errNotANumber)
			}
		}
	}
	v, err := strconv.ParseFloat(word, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%q is beyond a float64", clip(word))
	} else if err != nil {
		return 0, fmt.Errorf("%q: %w", clip(word), errNotANumber)
	}
	return v, nil
}

// parseFloat32 rounds once. NaN and Infinity may stand in a document, but in no field that is read.
func parseFloat32(s string) (float32, error) {
	f, err := strconv.ParseFloat(s, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no float32", clip(s))
	}
	return float32(f), nil
}

// parseInteger reads a decimal integer of 64 bits, short ones without the detours of strconv.
func parseInteger(word string) (int, bool) {
	digits := word
	if len(word) > 0 && word[0] == '-' {
		digits = word[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		v, err := strconv.ParseInt(word, 10, 64)
		return int(v), err == nil
	}
	v := 0
	for i := range len(digits) {
		d := digits[i] - '0'
		if d > 9 {
			v, err := strconv.ParseInt(word, 10, 64)
			return int(v), err == nil
		}
		v = 10*v + int(d)
	}
	if len(digits) < len(word) {
		v = -v
	}
	return v, true
}

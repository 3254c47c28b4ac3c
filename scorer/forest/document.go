package forest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// XGBoost writes the same document as JSON or as UBJSON. Both readers give a value; arrays of numbers keep their bytes, and become numbers
// of the type that their field has: a float32 printed as decimals must be read as one, not by way of a float64.

// Limits of a document, far above what XGBoost writes.
const (
	maxDepth  = 64
	maxString = 1 << 20
)

// value is a node of a document.
type value struct {
	kind    valueKind
	text    string           // of a string, or of a number in JSON
	members map[string]value // of an object
	items   []value          // of a list
	numbers []byte           // of an array of numbers: their text in JSON, their bytes in UBJSON
	marker  byte             // of numbers in UBJSON: their type; 0 in JSON
	count   int              // of numbers
	number  float64          // of a number in UBJSON
	truth   bool             // of a boolean
}

type valueKind uint8

const (
	nullValue valueKind = iota
	boolValue
	numberValue
	stringValue
	objectValue
	listValue    // of anything
	numbersValue // a list of numbers only
)

var kindNames = [...]string{"null", "a boolean", "a number", "a string", "an object", "a list", "a list of numbers"}

// get is a member of an object. path is for the error.
func (v value) get(path, key string) (value, error) {
	if v.kind != objectValue {
		return value{}, fmt.Errorf("%s is %s, not an object", path, kindNames[v.kind])
	}
	m, ok := v.members[key]
	if !ok {
		return value{}, fmt.Errorf("%s.%s is missing", path, key)
	}
	return m, nil
}

// object is a member that is an object.
func (v value) object(path, key string) (value, error) {
	m, err := v.get(path, key)
	if err == nil && m.kind != objectValue {
		err = fmt.Errorf("%s.%s is %s, not an object", path, key, kindNames[m.kind])
	}
	return m, err
}

// str is a member that is a string.
func (v value) str(path, key string) (string, error) {
	m, err := v.get(path, key)
	if err == nil && m.kind != stringValue {
		err = fmt.Errorf("%s.%s is %s, not a string", path, key, kindNames[m.kind])
	}
	return m.text, err
}

// integer is a member that is a string with an integer in it, as XGBoost writes its parameters; otherwise where it is absent.
func (v value) integer(path, key string, otherwise, least, most int) (int, error) {
	if _, ok := v.members[key]; !ok {
		return otherwise, nil
	}
	s, err := v.str(path, key)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s.%s is %q, must be an integer from %d to %d", path, key, clip(s), least, most)
	}
	return n, nil
}

// isEmpty says whether a list of any kind has no element.
func (v value) isEmpty() bool {
	return v.kind == listValue && len(v.items) == 0 || v.kind == numbersValue && v.count == 0
}

var errNotNumbers = errors.New("not a list of numbers")

// eachNumber calls f with the text (JSON) or the value (UBJSON) of each number.
func (v value) eachNumber(text func(string) error, number func(float64) error) error {
	switch {
	case v.isEmpty():
		return nil
	case v.kind == listValue: // UBJSON without types
		for _, item := range v.items {
			if item.kind != numberValue || item.marker == 0 {
				return errNotNumbers
			}
			if err := number(item.number); err != nil {
				return err
			}
		}
		return nil
	case v.kind != numbersValue:
		return errNotNumbers
	case v.marker == 0:
		return eachJSONNumber(v.numbers, text)
	}
	size := markerSizes[v.marker]
	for at := 0; at < len(v.numbers); at += size {
		if err := number(decodeNumber(v.marker, v.numbers[at:at+size])); err != nil {
			return err
		}
	}
	return nil
}

// floats gives a list of n float32.
func (v value) floats(path string, n int) ([]float32, error) {
	all := make([]float32, 0, min(n, v.count))
	err := v.eachNumber(func(s string) error {
		f, err := parseFloat32(s)
		all = append(all, f)
		return err
	}, func(f float64) error {
		if math.Abs(f) > math.MaxFloat32 && !math.IsInf(f, 0) {
			return fmt.Errorf("%v is beyond a float32", f)
		}
		all = append(all, float32(f))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s, value %d: %w", path, len(all), err)
	}
	if len(all) != n {
		return nil, fmt.Errorf("%s has %d values, %d are needed", path, len(all), n)
	}
	return all, nil
}

// integers gives a list of n integers of 32 bits; n < 0 for any number.
func (v value) integers(path string, n int) ([]int32, error) {
	all := make([]int32, 0, min(max(n, 0), v.count))
	err := v.eachNumber(func(s string) error {
		i, ok := parseInteger(s)
		if !ok || int(int32(i)) != i {
			return fmt.Errorf("%q is no integer of 32 bits", clip(s))
		}
		all = append(all, int32(i))
		return nil
	}, func(f float64) error {
		if f != math.Trunc(f) || f < math.MinInt32 || f > math.MaxInt32 {
			return fmt.Errorf("%v is no integer of 32 bits", f)
		}
		all = append(all, int32(f))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s, value %d: %w", path, len(all), err)
	}
	if n >= 0 && len(all) != n {
		return nil, fmt.Errorf("%s has %d values, %d are needed", path, len(all), n)
	}
	return all, nil
}

// flags gives a list of n zeros and ones, which versions before 1.6 write as booleans.
func (v value) flags(path string, n int) ([]bool, error) {
	all := make([]bool, 0, min(n, max(v.count, len(v.items))))
	if v.kind == listValue {
		for i, item := range v.items {
			if item.kind != boolValue {
				return nil, fmt.Errorf("%s, value %d is %s, not a boolean", path, i, kindNames[item.kind])
			}
			all = append(all, item.truth)
		}
	} else {
		numbers, err := v.integers(path, n)
		if err != nil {
			return nil, err
		}
		for i, number := range numbers {
			if number != 0 && number != 1 {
				return nil, fmt.Errorf("%s, value %d is %d, must be 0 or 1", path, i, number)
			}
			all = append(all, number == 1)
		}
	}
	if len(all) != n {
		return nil, fmt.Errorf("%s has %d values, %d are needed", path, len(all), n)
	}
	return all, nil
}

// markerSizes are the bytes of UBJSON's numbers.
var markerSizes = map[byte]int{'i': 1, 'U': 1, 'I': 2, 'l': 4, 'L': 8, 'd': 4, 'D': 8}

func decodeNumber(marker byte, b []byte) float64 {
	switch marker {
	case 'i':
		return float64(int8(b[0]))
	case 'U':
		return float64(b[0])
	case 'I':
		return float64(int16(binary.BigEndian.Uint16(b)))
	case 'l':
		return float64(int32(binary.BigEndian.Uint32(b)))
	case 'L':
		return float64(int64(binary.BigEndian.Uint64(b)))
	case 'd':
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b))
}

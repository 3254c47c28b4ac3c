package forest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// readUBJSON reads a whole document of Universal Binary JSON (ubjson.org, draft 12), big-endian. No length is believed before the bytes are
// seen to be there, so memory is bounded by the size of the data.
func readUBJSON(data []byte) (value, error) {
	r := &ubjson{data: data}
	v, err := r.value(0)
	if err == nil && r.at != len(data) {
		err = errors.New("there is more after the document")
	}
	if err != nil {
		return v, fmt.Errorf("byte %d: %w", r.at, err)
	}
	return v, nil
}

type ubjson struct {
	data []byte
	at   int
}

var errCut = errors.New("the document is cut")

func (r *ubjson) take(n int) ([]byte, error) {
	if n > len(r.data)-r.at {
		return nil, errCut
	}
	b := r.data[r.at : r.at+n]
	r.at += n
	return b, nil
}

func (r *ubjson) byte() (byte, error) {
	b, err := r.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func (r *ubjson) peek() byte {
	if r.at < len(r.data) {
		return r.data[r.at]
	}
	return 0
}

func (r *ubjson) value(depth int) (value, error) {
	marker, err := r.byte()
	if err != nil {
		return value{}, err
	}
	return r.of(marker, depth)
}

// of reads the value that follows its marker.
func (r *ubjson) of(marker byte, depth int) (value, error) {
	if depth > maxDepth {
		return value{}, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	switch marker {
	case 'Z':
		return value{kind: nullValue}, nil
	case 'T', 'F':
		return value{kind: boolValue, truth: marker == 'T'}, nil
	case 'S':
		s, err := r.string()
		return value{kind: stringValue, text: s}, err
	case '[':
		return r.array(depth)
	case '{':
		return r.object(depth)
	}
	size := markerSizes[marker]
	if size == 0 {
		return value{}, fmt.Errorf("%q is no marker of UBJSON", marker)
	}
	b, err := r.take(size)
	if err != nil {
		return value{}, err
	}
	return value{kind: numberValue, marker: marker, number: decodeNumber(marker, b)}, nil
}

// length reads an integer with its marker.
func (r *ubjson) length() (int, error) {
	marker, err := r.byte()
	if err != nil {
		return 0, err
	}
	size := markerSizes[marker]
	if size == 0 || marker == 'd' || marker == 'D' {
		return 0, fmt.Errorf("a length has the marker %q, which is no integer", marker)
	}
	b, err := r.take(size)
	if err != nil {
		return 0, err
	}
	n := int64(decodeNumber(marker, b))
	if marker == 'L' {
		n = int64(binary.BigEndian.Uint64(b))
	}
	if n < 0 || n > math.MaxInt32*8 {
		return 0, fmt.Errorf("a length is %d", n)
	}
	return int(n), nil
}

func (r *ubjson) string() (string, error) {
	n, err := r.length()
	if err != nil {
		return "", err
	}
	if n > maxString {
		return "", fmt.Errorf("a string of %d bytes", n)
	}
	b, err := r.take(n)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", errors.New("a string is not UTF-8")
	}
	return string(b), nil
}

// array reads [ … ], [#n … or [$type#n ….
func (r *ubjson) array(depth int) (value, error) {
	var element byte
	var err error
	if r.peek() == '$' {
		r.at++
		if element, err = r.byte(); err != nil {
			return value{}, err
		}
		if r.peek() != '#' {
			return value{}, errors.New("a typed array has no count")
		}
	}
	if r.peek() != '#' {
		return r.list(depth)
	}
	r.at++
	n, err := r.length()
	if err != nil {
		return value{}, err
	}
	if element != 0 {
		return r.typed(element, n)
	}
	if n > len(r.data)-r.at { // an element has a byte at least
		return value{}, errCut
	}
	v := value{kind: listValue}
	for range n {
		item, err := r.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
	}
	return v, nil
}

// typed reads n numbers of one type. Of other types XGBoost writes no arrays: those of null or true would be lengths without bytes.
func (r *ubjson) typed(element byte, n int) (value, error) {
	size := markerSizes[element]
	if size == 0 {
		return value{}, fmt.Errorf("an array of type %q, which is no number", element)
	}
	b, err := r.take(n * size)
	return value{kind: numbersValue, numbers: b, marker: element, count: n}, err
}

func (r *ubjson) list(depth int) (value, error) {
	v := value{kind: listValue}
	for r.peek() != ']' {
		item, err := r.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
	}
	r.at++
	return v, nil
}

func (r *ubjson) object(depth int) (value, error) {
	if c := r.peek(); c == '#' || c == '$' {
		return value{}, errors.New("an object with a count, which XGBoost does not write")
	}
	v := value{kind: objectValue, members: map[string]value{}}
	for r.peek() != '}' {
		key, err := r.string()
		if err != nil {
			return v, err
		}
		if _, twice := v.members[key]; twice {
			return v, fmt.Errorf("%q stands twice", clip(key))
		}
		if v.members[key], err = r.value(depth + 1); err != nil {
			return v, err
		}
	}
	r.at++
	return v, nil
}

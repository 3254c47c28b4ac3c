package forest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
	"unsafe"
)

// readJSON reads a whole document as XGBoost writes it: RFC 8259, and the numbers NaN, Infinity and -Infinity. encoding/json would not do: it
// takes null for a number, the last of two equal keys, and has no array that keeps its text.
func readJSON(data []byte) (value, error) {
	r := &jsonReader{data: data}
	v, err := r.value(0)
	if err == nil {
		if r.space(); r.at != len(data) {
			err = errors.New("there is more after the document")
		}
	}
	if err != nil {
		return v, fmt.Errorf("byte %d: %w", r.at, err)
	}
	return v, nil
}

type jsonReader struct {
	data []byte
	at   int
}

func (r *jsonReader) space() {
	for r.at < len(r.data) && isSpace(r.data[r.at]) {
		r.at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func (r *jsonReader) peek() byte {
	if r.space(); r.at < len(r.data) {
		return r.data[r.at]
	}
	return 0
}

// expect passes a delimiter.
func (r *jsonReader) expect(c byte) error {
	if r.peek() != c {
		if r.at == len(r.data) {
			return errCut
		}
		return fmt.Errorf("%q stands where %q should", r.data[r.at], c)
	}
	r.at++
	return nil
}

func (r *jsonReader) value(depth int) (value, error) {
	if depth > maxDepth {
		return value{}, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	switch c := r.peek(); {
	case c == '{':
		return r.object(depth)
	case c == '[':
		return r.array(depth)
	case c == '"':
		s, err := r.string()
		return value{kind: stringValue, text: s}, err
	case bytes.HasPrefix(r.data[r.at:], []byte("null")):
		r.at += 4
		return value{kind: nullValue}, nil
	case bytes.HasPrefix(r.data[r.at:], []byte("true")):
		r.at += 4
		return value{kind: boolValue, truth: true}, nil
	case bytes.HasPrefix(r.data[r.at:], []byte("false")):
		r.at += 5
		return value{kind: boolValue}, nil
	}
	n := numberLength(r.data[r.at:])
	if n == 0 {
		if r.at == len(r.data) {
			return value{}, errCut
		}
		return value{}, fmt.Errorf("%q begins no value", r.data[r.at])
	}
	r.at += n
	return value{kind: numberValue, text: string(r.data[r.at-n : r.at])}, nil
}

// numberLength is the length of the number that begins the text, 0 where none does.
func numberLength(b []byte) int {
	if len(b) > 0 && b[0]-'0' > 9 {
		for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
			if bytes.HasPrefix(b, []byte(word)) {
				return len(word)
			}
		}
	}
	at := 0
	if len(b) > 0 && b[0] == '-' {
		at = 1
	}
	whole := at + digitsLength(b[at:])
	if whole == at || b[at] == '0' && whole > at+1 {
		return 0
	}
	if at = whole; at < len(b) && b[at] == '.' {
		n := digitsLength(b[at+1:])
		if n == 0 {
			return 0
		}
		at += 1 + n
	}
	if at < len(b) && b[at]|0x20 == 'e' {
		at++
		if at < len(b) && (b[at] == '+' || b[at] == '-') {
			at++
		}
		n := digitsLength(b[at:])
		if n == 0 {
			return 0
		}
		at += n
	}
	return at
}

func digitsLength(b []byte) int {
	for i, c := range b {
		if c-'0' > 9 {
			return i
		}
	}
	return len(b)
}

// string reads a string, with encoding/json for its escapes.
func (r *jsonReader) string() (string, error) {
	end := r.at + 1
	for end < len(r.data) && r.data[end] != '"' {
		if r.data[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(r.data) {
		return "", errCut
	}
	raw := r.data[r.at : end+1]
	if len(raw) > maxString {
		return "", fmt.Errorf("a string of %d bytes", len(raw))
	}
	if !utf8.Valid(raw) {
		return "", errors.New("a string is not UTF-8")
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("a string is no JSON string: %w", err)
	}
	r.at = end + 1
	return s, nil
}

func (r *jsonReader) object(depth int) (value, error) {
	v := value{kind: objectValue, members: map[string]value{}}
	r.at++
	for first := true; r.peek() != '}'; first = false {
		if !first {
			if err := r.expect(','); err != nil {
				return v, err
			}
		}
		if r.peek() != '"' {
			return v, r.expect('"')
		}
		key, err := r.string()
		if err != nil {
			return v, err
		}
		if _, twice := v.members[key]; twice {
			return v, fmt.Errorf("%q stands twice", clip(key))
		}
		if err := r.expect(':'); err != nil {
			return v, err
		}
		if v.members[key], err = r.value(depth + 1); err != nil {
			return v, err
		}
	}
	r.at++
	return v, nil
}

func (r *jsonReader) array(depth int) (value, error) {
	r.at++
	if v, ok := r.numbers(); ok {
		return v, nil
	}
	v := value{kind: listValue}
	for first := true; r.peek() != ']'; first = false {
		if !first {
			if err := r.expect(','); err != nil {
				return v, err
			}
		}
		item, err := r.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
	}
	r.at++
	return v, nil
}

// numbers takes the rest of an array that holds nothing but numbers, and at least one; otherwise it moves nothing.
func (r *jsonReader) numbers() (value, bool) {
	start, count := r.at, 0
	for {
		r.space()
		n := numberLength(r.data[r.at:])
		if n == 0 {
			break
		}
		r.at += n
		count++
		switch r.peek() {
		case ',':
			r.at++
			continue
		case ']':
			r.at++
			return value{kind: numbersValue, numbers: r.data[start : r.at-1], count: count}, true
		}
		break
	}
	r.at = start
	return value{}, false
}

// eachJSONNumber calls f with each number of an array's text, which numbers has checked: one or more, with a comma between, and spaces anywhere. The number
// is not copied: f must not keep it.
func eachJSONNumber(text []byte, f func(string) error) error {
	for at := 0; at < len(text); {
		if c := text[at]; c == ',' || isSpace(c) {
			at++
			continue
		}
		start := at
		for at < len(text) && text[at] != ',' && !isSpace(text[at]) {
			at++
		}
		if err := f(unsafe.String(&text[start], at-start)); err != nil {
			return err
		}
	}
	return nil
}

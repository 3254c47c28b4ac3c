package schemas

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// scanner reads JSON by RFC 8259 from data. Its methods take the position of what they read and return the position after it, or -1
// with err set. They keep no other state between calls, so a caller can go on from any position.
type scanner struct {
	data    []byte
	err     *Error
	escaped bool   // the last text has escapes
	num     number // the last number
}

// fail records why the input is refused and returns -1.
func (s *scanner) fail(c Class, offset int, detail string) int {
	s.err = &Error{Class: c, Offset: min(offset, len(s.data)), Detail: detail}
	return -1
}

// at returns the byte at p, and 0, which JSON never allows outside of a text, behind the end.
func (s *scanner) at(p int) byte {
	if p < len(s.data) {
		return s.data[p]
	}
	return 0
}

// space returns the position of the next byte that is not white space.
func (s *scanner) space(p int) int {
	for p < len(s.data) {
		switch s.data[p] {
		case ' ', '\t', '\n', '\r':
			p++
		default:
			return p
		}
	}
	return p
}

// unexpected fails at p, where something else than want stands.
func (s *scanner) unexpected(p int, want string) int {
	if p >= len(s.data) {
		return s.fail(MalformedJSON, p, "ends where "+want+" is expected")
	}
	if s.data[p] >= utf8.RuneSelf {
		if r, n := utf8.DecodeRune(s.data[p:]); r == utf8.RuneError && n == 1 {
			return s.fail(InvalidUTF8, p, "a byte that is not UTF-8")
		}
	}
	return s.fail(MalformedJSON, p, "something else where "+want+" is expected")
}

// text reads the string whose opening quote is at p. What is between the quotes is data[p+1 : end-1], still escaped if escaped is set.
func (s *scanner) text(p int) int {
	s.escaped = false
	d, i := s.data, p+1
	for {
		for i+8 <= len(d) { // eight bytes at a time up to the next quote, backslash, control character or non-ASCII byte
			if m := special(binary.LittleEndian.Uint64(d[i:])); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(d) {
			return s.fail(MalformedJSON, i, "ends inside a text")
		}
		switch c := d[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = s.escape(i); i < 0 {
				return -1
			}
		case c < ' ':
			return s.fail(MalformedJSON, i, "a control character inside a text")
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(d[i:])
			if r == utf8.RuneError && n == 1 {
				return s.fail(InvalidUTF8, i, "a byte that is not UTF-8")
			}
			i += n
		}
	}
}

// special sets the top bit of each byte of w that is a quote, a backslash, a control character or not ASCII; only the lowest set bit is
// to be trusted, since borrows can set higher ones (Warren, Hacker's Delight, 6-1).
func special(w uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^(ones*'"'), w^(ones*'\\')
	return ((w-ones*' ')&^w | (quote-ones)&^quote | (slash-ones)&^slash | w) & tops
}

// escape checks the escape whose backslash is at p.
func (s *scanner) escape(p int) int {
	s.escaped = true
	switch s.at(p + 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return p + 2
	case 'u':
	default:
		return s.fail(MalformedJSON, p, "an unknown escape inside a text")
	}
	r, ok := hex4(s.data, p+2)
	if !ok {
		return s.fail(MalformedJSON, p, `a \u without four hexadecimal digits`)
	}
	if r < 0xd800 || r > 0xdfff {
		return p + 6
	}
	low, ok := hex4(s.data, p+8)
	if r > 0xdbff || !ok || s.data[p+6] != '\\' || s.data[p+7] != 'u' || low < 0xdc00 || low > 0xdfff {
		return s.fail(InvalidUTF8, p, "half of a surrogate pair")
	}
	return p + 12
}

// hex4 reads four hexadecimal digits at p.
func hex4(d []byte, p int) (rune, bool) {
	if p+4 > len(d) {
		return 0, false
	}
	var r rune
	for _, c := range d[p : p+4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// literal reads word, of which the first byte is known to stand at p.
func (s *scanner) literal(p int, word string) int {
	if p+len(word) > len(s.data) || string(s.data[p:p+len(word)]) != word {
		return s.unexpected(p, "a value")
	}
	return p + len(word)
}

// unescape appends what a text that has been scanned stands for.
func unescape(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		if text[i] != '\\' {
			dst = append(dst, text[i])
			i++
			continue
		}
		c := text[i+1]
		i += 2
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, _ := hex4(text, i)
			i += 4
			if r >= 0xd800 && r <= 0xdfff { // escape has seen the other half
				low, _ := hex4(text, i+2)
				r = (r-0xd800)<<10 + low - 0xdc00 + 0x10000
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

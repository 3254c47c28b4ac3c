package schemas

import (
	"errors"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// Seconds since 1970 of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: times that RFC 3339, Postgres and Go all write the same way.
const (
	minUnix = -62135596800
	maxUnix = 253402300799
)

// checkText refuses text that JSON could not carry unchanged.
func (v *Verdict) checkText() error {
	ok := utf8.Valid(v.TransactionID) && utf8.ValidString(v.Bundle.Name) && utf8.ValidString(v.Bundle.Version) &&
		utf8.ValidString(v.Source.Topic)
	for i := 0; ok && i < len(v.Findings); i++ {
		ok = utf8.ValidString(v.Findings[i])
	}
	if !ok {
		return errors.New("a text is not UTF-8")
	}
	return nil
}

// appendFloat writes a finite float64 as encoding/json does (ECMA-262, Number::toString), which is the shortest text that reads back.
func appendFloat(b []byte, f float64) []byte {
	a := math.Abs(f)
	if a != 0 && (a < 1e-6 || a >= 1e21) {
		b = strconv.AppendFloat(b, f, 'e', -1, 64)
		if n := len(b); b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' { // e-09 is e-9
			b[n-2] = b[n-1]
			b = b[:n-1]
		}
		return b
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

// appendTime writes RFC 3339 in UTC with as many digits of the second as are not zero.
func appendTime(b []byte, t time.Time) []byte { return t.UTC().AppendFormat(b, time.RFC3339Nano) }

const hex = "0123456789abcdef"

// appendString writes a JSON string. Only what JSON demands is escaped, and U+2028 and U+2029, which end a line for some readers.
func appendString[text ~string | ~[]byte](b []byte, s text) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c != 0xe2 {
			continue
		}
		if c == 0xe2 { // U+2028 is e2 80 a8, U+2029 is e2 80 a9
			if i+2 < len(s) && s[i+1] == 0x80 && s[i+2]&^1 == 0xa8 {
				b = append(b, s[from:i]...)
				b = append(b, `\u202`...)
				b = append(b, hex[s[i+2]&0xf])
				i += 2
				from = i + 1
			}
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, '\\', 'b')
		case '\f':
			b = append(b, '\\', 'f')
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

package schemas

import "strconv"

// maxInteger is 2^53, up to which float64 tells all integers apart.
const maxInteger = 1 << 53

// number is a JSON number as scanned: mantissa × 10^exp, negated if neg, when exact; else only the text is to be trusted.
type number struct {
	mantissa uint64
	exp      int
	at, end  int // where its text stands
	neg      bool
	exact    bool
	plain    bool // digits only, no fraction and no exponent
}

// Powers of ten that float64 holds exactly.
var pow10 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
	1e21, 1e22}

// number reads the number that begins at p, with a digit or a minus, into num.
func (s *scanner) number(p int) int {
	d, start := s.data, p
	exp, plain := 0, true
	neg := d[p] == '-'
	if neg {
		p++
	}
	first := p
	var m uint64 // wraps around for more than 19 digits, which makes it not exact
	for ; p < len(d); p++ {
		c := uint64(d[p] - '0')
		if c > 9 {
			break
		}
		m = m*10 + c
	}
	digits := p - first
	if digits == 0 {
		if c := s.at(p) | 0x20; c == 'i' || c == 'n' {
			return s.fail(NotANumber, start, "NaN or Infinity, which JSON does not have")
		}
		return s.unexpected(p, "a digit")
	}
	if digits > 1 && d[first] == '0' {
		return s.fail(MalformedJSON, first, "a number with a leading zero")
	}
	if p < len(d) && d[p] == '.' {
		plain = false
		p++
		point := p
		for ; p < len(d); p++ {
			c := uint64(d[p] - '0')
			if c > 9 {
				break
			}
			m = m*10 + c
		}
		exp = point - p
		if exp == 0 {
			return s.unexpected(p, "a digit")
		}
		digits -= exp
	}
	if p < len(d) && d[p]|0x20 == 'e' {
		plain = false
		e, end := s.exponent(p + 1)
		if end < 0 {
			return -1
		}
		exp, p = exp+e, end
	}
	if p-start > MaxNumberBytes {
		return s.fail(NumberTooLong, start, "a number of more than "+strconv.Itoa(MaxNumberBytes)+" bytes")
	}
	s.num = number{mantissa: m, exp: exp, at: start, end: p, neg: neg, exact: digits <= 19, plain: plain}
	return p
}

// exponent reads what follows the e of a number. Beyond ±100,000 it stops counting, since MaxNumberBytes digits cannot make up for that.
func (s *scanner) exponent(p int) (exp, end int) {
	neg := s.at(p) == '-'
	if neg || s.at(p) == '+' {
		p++
	}
	first := p
	for p < len(s.data) && s.data[p]-'0' <= 9 {
		if exp < 100_000 {
			exp = exp*10 + int(s.data[p]-'0')
		}
		p++
	}
	if p == first {
		return 0, s.unexpected(p, "a digit")
	}
	if neg {
		exp = -exp
	}
	return exp, p
}

// float returns the float64 nearest to the last number, as strconv.ParseFloat rounds, and false if it is beyond float64.
func (s *scanner) float() (float64, bool) {
	n := &s.num
	if n.exact && n.mantissa <= maxInteger && n.exp >= -22 && n.exp <= 22 {
		// Mantissa and power are exact, so the one operation rounds once and right (Clinger 1990).
		f := float64(n.mantissa)
		if n.exp < 0 {
			f /= pow10[-n.exp]
		} else if n.exp > 0 {
			f *= pow10[n.exp]
		}
		if n.neg {
			f = -f
		}
		return f, true
	}
	f, err := strconv.ParseFloat(string(s.data[n.at:n.end]), 64)
	return f, err == nil
}

// integer returns the last number if it is mathematically whole, however it is written, and of at most 2^53. Otherwise the class says which
// of both it is not.
func (s *scanner) integer() (int64, Class) {
	n := &s.num
	m, exp := n.mantissa, n.exp
	if !n.exact {
		m, exp = s.significant()
	}
	for exp < 0 && m != 0 {
		if m%10 != 0 {
			return 0, NotAnInteger
		}
		m, exp = m/10, exp+1
	}
	for ; exp > 0 && m != 0 && m <= maxInteger; exp-- {
		m *= 10
	}
	if m > maxInteger {
		return 0, NumberOverflow
	}
	if n.neg {
		return -int64(m), ""
	}
	return int64(m), ""
}

// significant returns mantissa and exponent of the last number without trailing zeros, for texts with more digits than a mantissa takes. Where more than 18
// digits remain it returns some mantissa above 2^53 that ends in a digit other than zero, with the right sign of the exponent.
func (s *scanner) significant() (m uint64, exp int) {
	exp = s.num.exp
	digits := 0 // of m
	zeros := 0  // seen since the last digit that is not zero
	for _, c := range s.data[s.num.at:s.num.end] {
		if c|0x20 == 'e' {
			break
		}
		if c-'0' > 9 || c == '0' && digits == 0 {
			continue
		}
		digits++
		if c == '0' {
			zeros++
			continue
		}
		if digits > 18 {
			m = maxInteger + 1 // odd and not a multiple of five: never whole with a negative exponent
			zeros = 0
			continue
		}
		for ; zeros > 0; zeros-- {
			m *= 10
		}
		m = m*10 + uint64(c-'0')
	}
	return m, exp + zeros
}

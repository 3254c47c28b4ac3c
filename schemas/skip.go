package schemas

// value reads the value of f, which begins at p in an object that is nested depth deep.
func (d *Decoder) value(f *field, p, depth int) int {
	if f.expected {
		switch d.at(p) {
		case '{':
			if depth == MaxDepth {
				return d.tooDeep(p)
			}
			return d.object(f.child, p, depth+1)
		case 'n': // then all below it is missing
			return d.skip(p, depth)
		}
		return d.refuse(p, depth, "the contract expects an object")
	}
	if len(f.sinks) > 0 {
		return d.take(f, p, depth)
	}
	if d.at(p) == '{' && depth < MaxDepth {
		if n := d.inside(f); n != nil {
			return d.object(n, p, depth+1)
		}
	}
	return d.skip(p, depth)
}

// refuse fails with wrong_type for the value at p, or with what is wrong with it as JSON.
func (d *Decoder) refuse(p, depth int, detail string) int {
	if d.skip(p, depth) < 0 {
		return -1
	}
	return d.fail(WrongType, p, detail)
}

func (d *Decoder) tooDeep(p int) int { return d.fail(TooDeep, p, "nested too deep") }

// skip checks a value that the contract does not name and no learned name leads to.
func (d *Decoder) skip(p, depth int) int {
	switch c := d.at(p); c {
	case '"':
		return d.text(p)
	case '{', '[':
		if depth == MaxDepth {
			return d.tooDeep(p)
		}
		if c == '[' {
			return d.skipArray(p, depth+1)
		}
		return d.skipObject(p, depth+1)
	case 't':
		return d.literal(p, "true")
	case 'f':
		return d.literal(p, "false")
	case 'n':
		if d.at(p+1) != 'a' {
			return d.literal(p, "null")
		}
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return d.number(p)
	}
	return d.noValue(p)
}

// noValue fails at p, where no value of JSON begins.
func (d *Decoder) noValue(p int) int {
	for n := 3; n <= 8; n += 5 {
		if p+n <= len(d.data) && notANumber(d.data[p:p+n]) {
			return d.fail(NotANumber, p, "NaN or Infinity, which JSON does not have")
		}
	}
	return d.unexpected(p, "a value")
}

func (d *Decoder) skipArray(p, depth int) int {
	p = d.space(p + 1)
	if d.at(p) == ']' {
		return p + 1
	}
	for {
		if p = d.skip(p, depth); p < 0 {
			return -1
		}
		p = d.space(p)
		switch d.at(p) {
		case ',':
			p = d.space(p + 1)
		case ']':
			return p + 1
		default:
			return d.unexpected(p, "a comma or the end of the array")
		}
	}
}

func (d *Decoder) skipObject(p, depth int) int {
	d.loose++
	object := d.loose
	p = d.space(p + 1)
	if d.at(p) == '}' {
		return p + 1
	}
	for {
		start := p
		var name []byte
		if name, p = d.name(p); p < 0 {
			return -1
		}
		if !d.names.add(object, name) {
			return d.repeated(start, name)
		}
		if p = d.colon(p); p < 0 {
			return -1
		}
		if p = d.skip(p, depth); p < 0 {
			return d.within(name)
		}
		p = d.space(p)
		switch d.at(p) {
		case ',':
			p = d.space(p + 1)
		case '}':
			return p + 1
		default:
			return d.unexpected(p, "a comma or the end of the object")
		}
	}
}

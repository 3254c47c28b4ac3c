package schemas

import (
	"fmt"
	"hash/maphash"
	"unicode/utf8"
)

// Decoder reads events by one contract. It learns in which order names come, which makes it faster but never changes what it returns. It
// is not for concurrent use; make one for each goroutine.
type Decoder struct {
	scanner
	contract *Contract
	root     *node
	nodes    uint32
	learned  int

	// State of the event being read.
	event  uint32 // number of the event, to compare with field.seen
	loose  uint32 // objects that are no nodes so far
	names  names
	buffer []byte // texts without their escapes; ID, Key and names may alias it
	row    []float64
	tx     *Transaction
	marks  []mark // for each feature
	whole  int    // features that got a value without a finding
	have   [useFeature]bool

	// The last time read, since several features are often parts of one.
	instant   instant
	instantAt int
	instantOf timeFormat
}

// mark is what an event had for a feature.
type mark uint8

const (
	markMissing mark = iota
	markWhole
	markOutside
	markUnknown
)

// NewDecoder compiles the contract into a decoder.
func (c *Contract) NewDecoder() *Decoder {
	d := &Decoder{contract: c, marks: make([]mark, len(c.features)), names: names{seed: maphash.MakeSeed()}}
	d.root = d.newNode()
	d.grow(c.id, sink{use: useID})
	d.grow(c.key, sink{use: useKey})
	d.grow(c.time, sink{use: useTime, format: c.timeFormat})
	d.grow(c.amount, sink{use: useAmount})
	zones := map[string]*zone{}
	for i := range c.features {
		f := &c.features[i]
		s := sink{use: useFeature, feature: i, spec: f, format: f.format}
		if f.kind == kindTime {
			if zones[f.location.String()] == nil {
				zones[f.location.String()] = &zone{location: f.location}
			}
			s.zone = zones[f.location.String()]
		}
		d.grow(f.path, s)
	}
	return d
}

// Decode reads one event into row, one value for each feature in the contract's order with NaN for a missing one, and into tx. An event
// that breaks the contract gives an *Error, and then row and tx mean nothing. Before, the caller sets tx.Timestamp, which a rule of freshness needs. Any other error is a mistake of the caller. Decode reads
// the event once and allocates nothing for events like those before.
func (d *Decoder) Decode(event []byte, row []float64, tx *Transaction) error {
	if len(row) != len(d.marks) {
		return fmt.Errorf("decode event: row has %d places for %d features", len(row), len(d.marks))
	}
	d.data, d.row, d.tx = event, row, tx
	if d.read() < 0 || !d.finish() || !d.checkRules() {
		return d.err
	}
	return nil
}

// read goes through the event once.
func (d *Decoder) read() int {
	d.err = nil
	d.buffer = d.buffer[:0]
	d.loose = firstLooseObject
	d.whole = 0
	d.have = [useFeature]bool{}
	d.instantAt = -1
	clear(d.marks)
	d.names.reset()
	d.event++
	if d.event == 0 { // after 2^32 events: no mark may look as if it were of this one
		d.root.forget()
		d.event = 1
	}
	*d.tx = Transaction{Timestamp: d.tx.Timestamp, Findings: d.tx.Findings[:0], Broken: d.tx.Broken[:0]}
	if len(d.data) > MaxEventBytes {
		return d.fail(TooLarge, MaxEventBytes, fmt.Sprintf("%d bytes are more than %d", len(d.data), MaxEventBytes))
	}
	p := d.space(0)
	if p == len(d.data) {
		return d.fail(Empty, p, "no event")
	}
	if d.data[p] != '{' {
		// Read it all the same, so that what is no JSON is called that.
		if d.skip(p, 0) < 0 {
			return -1
		}
		return d.fail(WrongType, p, "an event must be an object")
	}
	if p = d.object(d.root, p, 1); p < 0 {
		return -1
	}
	if p = d.space(p); p < len(d.data) {
		return d.fail(TrailingData, p, "something follows the event")
	}
	return p
}

// forget clears the marks below n.
func (n *node) forget() {
	for _, f := range n.fields {
		f.seen = 0
		if f.child != nil {
			f.child.forget()
		}
	}
}

// object reads the object that begins at p and is nested depth deep, itself counted.
func (d *Decoder) object(n *node, p, depth int) int {
	data := d.data
	p = d.space(p + 1)
	if d.at(p) == '}' {
		return p + 1
	}
	guess := &n.first
	for {
		var name []byte
		start := p
		f := *guess
		if f != nil && f.plain && p+len(f.name)+2 < len(data) && data[p] == '"' && data[p+1+len(f.name)] == '"' &&
			string(data[p+1:p+1+len(f.name)]) == f.name {
			p += len(f.name) + 2
		} else {
			if name, p = d.name(p); p < 0 {
				return -1
			}
			if f = n.fields[string(name)]; f == nil {
				f = d.learn(n, name)
			}
			if f != nil {
				*guess = f
			} else if !d.names.add(n.object, name) {
				return d.repeated(start, name)
			}
		}
		if f != nil {
			if f.seen == d.event {
				return d.repeated(start, []byte(f.name))
			}
			f.seen = d.event
			guess = &f.next
		}
		if p = d.colon(p); p < 0 {
			return -1
		}
		if f != nil {
			p = d.value(f, p, depth)
		} else {
			p = d.skip(p, depth)
		}
		if p < 0 {
			if f != nil {
				name = []byte(f.name)
			}
			return d.within(name)
		}
		if p < len(data) && data[p] == ',' {
			p++
			if p < len(data) && data[p] <= ' ' {
				p = d.space(p)
			}
			continue
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

// name reads a name in an object at p. It aliases the event or the buffer.
func (d *Decoder) name(p int) ([]byte, int) {
	if d.at(p) != '"' {
		return nil, d.unexpected(p, "a name")
	}
	end := d.text(p)
	if end < 0 {
		return nil, -1
	}
	return d.plain(d.data[p+1 : end-1]), end
}

// plain returns what the text that was scanned last stands for.
func (d *Decoder) plain(text []byte) []byte {
	if !d.escaped {
		return text
	}
	from := len(d.buffer)
	d.buffer = unescape(d.buffer, text)
	return d.buffer[from:len(d.buffer):len(d.buffer)]
}

// colon reads a colon and returns the position of the value.
func (d *Decoder) colon(p int) int {
	if d.at(p) != ':' {
		if p = d.space(p); d.at(p) != ':' {
			return d.unexpected(p, "a colon")
		}
	}
	p++
	if p < len(d.data) && d.data[p] <= ' ' {
		p = d.space(p)
	}
	return p
}

func (d *Decoder) repeated(p int, name []byte) int {
	d.fail(DuplicateKey, p, "the name comes twice in one object")
	return d.within(name)
}

// within puts name before the path of the error on the way out of an object. Long names are cut: an error is kept in a header.
func (d *Decoder) within(name []byte) int {
	const most = 64
	if len(name) > most {
		cut := most
		for !utf8.RuneStart(name[cut]) {
			cut--
		}
		name = name[:cut]
	}
	if d.err.Path == "" {
		d.err.Path = string(name)
	} else {
		d.err.Path = string(name) + "." + d.err.Path
	}
	return -1
}

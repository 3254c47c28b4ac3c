package schemas

// node is an object on the way to fields of the contract, or one that events had there too. A node is reached at most once in an event,
// since names do not repeat, so the marks of its fields need no copy for each object.
type node struct {
	object uint32 // tells objects apart in names
	fields map[string]*field
	first  *field // the name that began this object last time
}

// field is one name of a node.
type field struct {
	name     string
	plain    bool   // the name is written in JSON as it is, without escapes
	seen     uint32 // the last event that had it
	next     *field // the name that followed this one last time
	child    *node  // for a value that is an object
	expected bool   // the contract says that it is one
	sinks    []sink // what the contract makes of a value that is none
}

// sink is one use of a value.
type sink struct {
	use     use
	feature int      // useFeature
	spec    *feature // useFeature
	zone    *zone    // a feature of kindTime
	format  timeFormat
}

// use is what a value is for: one of the fields every transaction has, or a feature.
type use uint8

const (
	useID use = iota
	useKey
	useTime
	useAmount
	useFeature
)

const (
	// maxLearned is how many names a decoder learns beyond the contract's, and maxLearnedBytes how long they may be. Further names only
	// cost a little more time.
	maxLearned      = 1024
	maxLearnedBytes = 64
	// firstLooseObject numbers the objects that are no nodes, beyond any node.
	firstLooseObject = 1 << 24
)

// grow adds the field that p leads to, and the nodes on the way.
func (d *Decoder) grow(p path, s sink) {
	n := d.root
	for i, name := range p {
		f := n.fields[name]
		if f == nil {
			f = n.add(name)
		}
		if i == len(p)-1 {
			f.sinks = append(f.sinks, s)
			return
		}
		if f.child == nil {
			f.child, f.expected = d.newNode(), true
		}
		n = f.child
	}
}

func (d *Decoder) newNode() *node {
	d.nodes++
	return &node{object: d.nodes, fields: map[string]*field{}}
}

func (n *node) add(name string) *field {
	f := &field{name: name, plain: true}
	for _, c := range []byte(name) {
		if c < ' ' || c == '"' || c == '\\' {
			f.plain = false
		}
	}
	n.fields[name] = f
	return f
}

// learn adds a name that the contract does not have, so that the next event with it is read as fast. It returns nil if there is no room.
func (d *Decoder) learn(n *node, name []byte) *field {
	if d.learned == maxLearned || len(name) > maxLearnedBytes {
		return nil
	}
	d.learned++
	return n.add(string(name))
}

// inside returns the node for an object that is the value of f, if it has or can learn one.
func (d *Decoder) inside(f *field) *node {
	if f.child == nil && d.learned < maxLearned {
		f.child = d.newNode()
	}
	return f.child
}

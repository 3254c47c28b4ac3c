package schemas

import (
	"bytes"
	"hash/maphash"
)

// names holds the names seen in objects of one event, to find one that comes twice. It is an open hash table that grows with the names of
// an event, which its size bounds, and is given back after an event with very many. The seed keeps senders from choosing names that
// collide; it does not change what is found.
type names struct {
	seed  maphash.Seed
	used  int
	slots []nameSlot
}

type nameSlot struct {
	object uint32 // 0 for an empty slot
	name   []byte
}

const (
	firstNames = 64
	keepNames  = 1024
)

// reset forgets all names, and with them the event that they alias.
func (t *names) reset() {
	if t.used == 0 {
		return
	}
	t.used = 0
	if len(t.slots) > keepNames {
		t.slots = nil
	}
	clear(t.slots)
}

// add reports whether name is new in object, which is not 0. It keeps name, which must not change until reset.
func (t *names) add(object uint32, name []byte) bool {
	if 2*t.used >= len(t.slots) {
		t.grow()
	}
	s := t.find(object, name)
	if s.object != 0 {
		return false
	}
	*s = nameSlot{object, name}
	t.used++
	return true
}

// find returns the slot where name of object is or belongs.
func (t *names) find(object uint32, name []byte) *nameSlot {
	mask := uint64(len(t.slots) - 1)
	mix := uint64(object) * 0x9e3779b97f4a7c15 // golden ratio: spreads objects with the same names
	for i := maphash.Bytes(t.seed, name) ^ mix>>20; ; i++ {
		s := &t.slots[i&mask]
		if s.object == 0 || s.object == object && bytes.Equal(s.name, name) {
			return s
		}
	}
}

func (t *names) grow() {
	old := t.slots
	t.slots = make([]nameSlot, max(firstNames, 2*len(old)))
	for _, s := range old {
		if s.object != 0 {
			*t.find(s.object, s.name) = s
		}
	}
}

package schemas

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// shape is a set of JSON types.
type shape uint8

const (
	aText shape = 1 << iota
	aNumber
	aBoolean
)

func (f timeFormat) shape() shape {
	if f == rfc3339 {
		return aText
	}
	return aNumber
}

// shape returns the JSON types that f can read.
func (f *feature) shape() shape {
	var s shape
	switch f.kind {
	case kindNumber, kindInteger:
		s = aNumber
	case kindBoolean:
		s = aBoolean
	case kindTime:
		s = f.format.shape()
	case kindCategory:
		if len(f.texts) > 0 {
			s |= aText
		}
		if len(f.integers) > 0 {
			s |= aNumber
		}
	}
	return s
}

// uses collects what a contract reads at each path, to refuse a contract that no event could satisfy.
type uses struct {
	reader *contractReader
	order  []string
	at     map[string]*pathUse // by names joined by a byte that names cannot have
}

type pathUse struct {
	first ast.Node
	path  path
	what  string
	shape shape
}

func newUses(r *contractReader) *uses { return &uses{reader: r, at: map[string]*pathUse{}} }

// add says that what, at n, reads a value of one of the types in s at p.
func (u *uses) add(n ast.Node, p path, what string, s shape) {
	if u.reader.err != nil {
		return
	}
	key := strings.Join(p, "\x00")
	other := u.at[key]
	if other == nil {
		u.at[key] = &pathUse{n, p, what, s}
		u.order = append(u.order, key)
		return
	}
	if other.shape &= s; other.shape == 0 {
		u.reader.fail(n, "%s and %s read %s as different types, so no event could have both", what, other.what, p)
	}
}

// check refuses a path that leads through a value.
func (u *uses) check() {
	for _, key := range u.order {
		use := u.at[key]
		for i := range use.path[:len(use.path)-1] {
			if above := u.at[strings.Join(use.path[:i+1], "\x00")]; above != nil {
				u.reader.fail(use.first, "%s reads %s, but %s reads %s, which cannot be a value and an object", use.what, use.path,
					above.what, above.path)
			}
		}
	}
}

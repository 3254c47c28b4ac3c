package schemas

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	yamlscanner "github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

// contractReader reads YAML nodes into plain values. It keeps the first error, with its line, and gives zero values after it.
type contractReader struct{ err error }

func (r *contractReader) fail(n ast.Node, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("line %d: %s", n.GetToken().Position.Line, fmt.Sprintf(format, args...))
	}
}

// parseYAML returns the one document in data.
func parseYAML(data []byte) (root ast.Node, err error) {
	if len(data) > MaxContractBytes {
		return nil, fmt.Errorf("%d bytes are more than %d", len(data), MaxContractBytes)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("the text is not UTF-8")
	}
	// A bundle may come from anywhere; a panic of the YAML library is one more way to say no.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, fmt.Errorf("the YAML cannot be read: %v", p)
		}
	}()
	tokens, err := tokenize(string(data))
	if err != nil {
		return nil, err
	}
	// The library takes 7 and "7" for one name; block and codes look for repeated ones themselves.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil { // err.Error() would draw all of the text around it
			return nil, fmt.Errorf("line %d: the YAML cannot be read: %s", syntax.Token.Position.Line, syntax.Message)
		}
		return nil, fmt.Errorf("the YAML cannot be read: %w", err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, errors.New("the text must hold one YAML document")
	}
	return file.Docs[0].Body, nil
}

// tokenize is the library's lexer, but it ends at the first text that is no token, where the lexer would make one of each character that
// follows.
func tokenize(text string) (token.Tokens, error) {
	var s yamlscanner.Scanner
	var tokens token.Tokens
	s.Init(text)
	for {
		more, err := s.Scan()
		tokens.Add(more...)
		if err != nil { // the end, or an invalid token, for which the parser has words
			return tokens, checkTokens(tokens)
		}
	}
}

// checkTokens refuses what a contract does not need and what a YAML parser spends time on without bound: anchors, tags, directives, block
// texts, and nesting and long mappings, for which the time of this one grows with the square.
func checkTokens(tokens token.Tokens) error {
	const mostNested, mostIndented, mostNames = 8, 64, MaxCategories + 50
	flow, colonLine := 0, 0 // brackets open; line of the last name outside of brackets
	names := 0              // outside of brackets since the last list entry
	for _, t := range tokens {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.TagType, token.DirectiveType, token.MergeKeyType, token.LiteralType, token.FoldedType,
			token.MappingKeyType, token.DocumentEndType:
			return fmt.Errorf("line %d: a contract has no YAML anchors, aliases, tags, directives, block texts or ?", t.Position.Line)
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType:
			names = 0
			if t.Position.Column > mostIndented {
				return fmt.Errorf("line %d: a list is indented by more than %d columns", t.Position.Line, mostIndented)
			}
		case token.MappingValueType:
			if flow > 0 {
				continue
			}
			if t.Position.Line == colonLine {
				return fmt.Errorf("line %d: more than one name with a colon; put each on its own line or all in braces", t.Position.Line)
			}
			colonLine = t.Position.Line
			if names++; names > mostNames {
				return fmt.Errorf("line %d: more than %d names in one mapping", t.Position.Line, mostNames)
			}
		}
		if flow > mostNested {
			return fmt.Errorf("line %d: more than %d brackets inside one another", t.Position.Line, mostNested)
		}
	}
	return nil
}

// pairs returns the entries of a mapping.
func (r *contractReader) pairs(n ast.Node, what string) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	case nil:
	default:
		r.fail(n, "%s must be a mapping of names to values, not %s", what, describe(n))
	}
	return nil
}

// block returns the values of a mapping by key, of which only the known ones may be there.
func (r *contractReader) block(n ast.Node, what string, known ...string) map[string]ast.Node {
	values := map[string]ast.Node{}
	for _, pair := range r.pairs(n, what) {
		key, ok := pair.Key.(*ast.StringNode)
		switch {
		case !ok:
			r.fail(pair.Key, "%s has the key %s, which is not a name", what, pair.Key)
		case !slices.Contains(known, key.Value):
			r.fail(key, "%s has the unknown key %q; known are %s", what, key.Value, strings.Join(known, ", "))
		case values[key.Value] != nil:
			r.fail(key, "%s has the key %q twice", what, key.Value)
		default:
			values[key.Value] = pair.Value
		}
	}
	return values
}

// need returns values[key], which must be there, in the block that begins at n.
func (r *contractReader) need(values map[string]ast.Node, key, what string, n ast.Node) ast.Node {
	if values[key] == nil {
		r.fail(n, "%s has no %q", what, key)
	}
	return values[key]
}

// text returns a text. What YAML reads as a number or as true must be quoted, so that no name changes its spelling.
func (r *contractReader) text(n ast.Node, what string) string {
	s, ok := n.(*ast.StringNode)
	switch {
	case n == nil:
		return ""
	case !ok:
		r.fail(n, "%s must be a text, not %s; put it in quotes if it is one", what, describe(n))
		return ""
	case s.Value == "" || len(s.Value) > MaxNameBytes:
		r.fail(n, "%s must have 1 to %d bytes", what, MaxNameBytes)
		return ""
	}
	for _, c := range s.Value {
		if c < ' ' || c == 0x7f {
			r.fail(n, "%s has a control character", what)
			return ""
		}
	}
	return s.Value
}

// choice returns the value of one of a few words.
func choice[T any](r *contractReader, n ast.Node, what string, words map[string]T) T {
	var none T
	if n == nil {
		return none
	}
	word := r.text(n, what)
	v, ok := words[word]
	if !ok && r.err == nil {
		known := make([]string, 0, len(words))
		for w := range words {
			known = append(known, w)
		}
		slices.Sort(known)
		r.fail(n, "%s is %q; it must be one of %s", what, word, strings.Join(known, ", "))
	}
	return v
}

// decimal reads a number, which must be written as in JSON, so that 010 and 1_000 are not guessed at.
func (r *contractReader) decimal(n ast.Node, what string) *scanner {
	if n == nil {
		return &scanner{num: number{exact: true}}
	}
	switch n.GetToken().Type {
	case token.IntegerType, token.FloatType, token.StringType: // the last for 1e6, which the library takes for a text
		s := &scanner{data: []byte(n.GetToken().Value)}
		if c := s.at(0); c == '-' || c-'0' <= 9 {
			if s.number(0) == len(s.data) {
				return s
			}
		}
	}
	r.fail(n, "%s must be a number, written as in JSON, not %s", what, describe(n))
	return &scanner{num: number{exact: true}}
}

func (r *contractReader) float(n ast.Node, what string) float64 {
	num := r.decimal(n, what)
	v, ok := num.float()
	if !ok {
		r.fail(n, "%s is beyond float64", what)
	}
	return v
}

// code reads an integer of at most 2^31-1 on either side of zero, which is as far as tree libraries tell categories apart.
func (r *contractReader) code(n ast.Node, what string) float64 {
	num := r.decimal(n, what)
	v, class := num.integer()
	if class != "" || v > 1<<31-1 || v < -(1<<31-1) {
		r.fail(n, "%s must be an integer of at most 2^31-1", what)
	}
	return float64(v)
}

// path reads names joined by dots, or a list of names.
func (r *contractReader) path(n ast.Node, what string) path {
	var p path
	if list, ok := n.(*ast.SequenceNode); ok {
		for _, name := range list.Values {
			p = append(p, r.text(name, "a name in "+what))
		}
	} else if n != nil {
		p = strings.Split(r.text(n, what), ".")
	}
	if n != nil && (len(p) == 0 || len(p) > MaxDepth || slices.Contains(p, "")) {
		r.fail(n, "%s must be 1 to %d names joined by dots, none of them empty; for a name with a dot, write a list of names", what, MaxDepth)
	}
	return p
}

// describe says what kind of YAML n is.
func describe(n ast.Node) string {
	switch n := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	case *ast.StringNode:
		return fmt.Sprintf("the text %.40q", n.Value)
	default:
		return fmt.Sprintf("%.40s", n.GetToken().Value)
	}
}

package docs

import (
	"fmt"
	"regexp"
	"strings"
)

// page is a Markdown file, taken apart.
type page struct {
	prose   string   // without code: lines that are code are empty
	spans   []string // inline code, each on one line
	shell   []string // lines of fenced sh blocks, continued lines joined
	fenced  []string // lines of all fenced blocks
	anchors map[string]bool
}

var (
	fenceLine  = regexp.MustCompile("^\\s*```\\s*(\\w*)\\s*$")
	heading    = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	linkTarget = regexp.MustCompile(`\]\(([^)\s]+)(?:\s+"[^"]*")?\)`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_ -]`)
)

func parse(text string) page {
	p := page{anchors: map[string]bool{}}
	language, open, joined := "", false, ""
	var outside []string
	for _, line := range strings.Split(text, "\n") {
		if m := fenceLine.FindStringSubmatch(line); m != nil && (!open || m[1] == "") {
			open, language, joined = !open, m[1], ""
			outside = append(outside, "")
			continue
		}
		if open {
			p.fenced = append(p.fenced, line)
			if language == "sh" {
				if rest, more := strings.CutSuffix(line, `\`); more {
					joined += rest
					continue
				}
				p.shell = append(p.shell, joined+line)
				joined = ""
			}
			outside = append(outside, "")
			continue
		}
		if m := heading.FindStringSubmatch(line); m != nil {
			slug := strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(linkTarget.ReplaceAllString(m[1], "")), ""), " ", "-")
			for n, base := 1, slug; p.anchors[slug]; n++ {
				slug = fmt.Sprintf("%s-%d", base, n)
			}
			p.anchors[slug] = true
		}
		outside = append(outside, line)
	}
	// Code within a line may go on in the next, but not beyond its paragraph.
	var prose strings.Builder
	for _, paragraph := range strings.Split(strings.Join(outside, "\n"), "\n\n") {
		for {
			before, rest, found := strings.Cut(paragraph, "`")
			prose.WriteString(before)
			if !found {
				break
			}
			ticks := "`" + rest[:len(rest)-len(strings.TrimLeft(rest, "`"))]
			code, after, closed := strings.Cut(strings.TrimLeft(rest, "`"), ticks)
			if !closed {
				break
			}
			p.spans = append(p.spans, strings.Join(strings.Fields(code), " "))
			paragraph = after
		}
		prose.WriteString("\n\n")
	}
	p.prose = prose.String()
	return p
}

// shellCommands are the commands of a line of shell, each as its words, without what is assigned before it, without comments and redirections.
func shellCommands(line string) (commands [][]string) {
	var words []string
	var word strings.Builder
	var quote rune
	inWord := false
	endWord := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	end := func() {
		endWord()
		for len(words) > 0 && (assignment.MatchString(words[0]) || words[0] == "export" || words[0] == "sudo") {
			words = words[1:]
		}
		if len(words) > 0 {
			commands = append(commands, words)
		}
		words = nil
	}
	for _, c := range line {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			} else {
				word.WriteRune(c)
			}
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == '#' && !inWord:
			end()
			return commands
		case strings.ContainsRune("|&;()", c):
			end()
		case c == ' ' || c == '\t':
			endWord()
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	end()
	return commands
}

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// spanCommands are those of inline code, where list|redrive means either.
func spanCommands(span string) [][]string {
	for _, word := range strings.Fields(span) {
		if first, rest, either := strings.Cut(word, "|"); either && first != "" && rest != "" && !strings.HasPrefix(rest, "|") && alternative.MatchString(word) {
			var all [][]string
			for _, one := range strings.Split(word, "|") {
				all = append(all, spanCommands(strings.Replace(span, word, one, 1))...)
			}
			return all
		}
	}
	return shellCommands(span)
}

var alternative = regexp.MustCompile(`^[a-z|-]+$`)

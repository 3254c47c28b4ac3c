package docs

import (
	"maps"
	"strings"
	"testing"
)

// TestTheChecksFindWhatIsWrong: a document of one line is added to those that are here; code is between ' instead of `.
func TestTheChecksFindWhatIsWrong(t *testing.T) {
	w := here(t)
	for _, c := range []struct{ text, fault string }{
		{"[a](operations.md)", ""},
		{"[a](operations.md#metrics-of-score), [b](../README.md \"title\"), [c](https://example.com/x), [d](#there)\n# There", ""},
		{"[a](../operations.md)", "there is no operations.md"},
		{"[a](../../etc)", "there is no ../etc"},
		{"![a](absent.png)", "there is no docs/absent.png"},
		{"[a](operations.md#nowhere)", "no such heading"},
		{"[a](#nowhere)", "no such heading"},
		{"[a](demo.png#part)", "no such heading"},
		{"'[a](absent.md)'", ""},
		{"'mlmonitor dlq list --json' and 'mlmonitor'", ""},
		{"'mlmonitor dlq\nlsit'", "mlmonitor dlq has no command lsit"},
		{"'mlmonitor scroe'", "mlmonitor has no command scroe"},
		{"'mlmonitor score --fast'", "mlmonitor score has no flag --fast"},
		{"'dlq redrive --max-attempts 3'", ""},
		{"'dlq redrive --max-attempt 3'", "no flag --max-attempt"},
		{"'model chekc'", "no command chekc"},
		{"'mlmonitor model push|list|rollback'", ""},
		{"'mlmonitor model push|lsit'", "no command lsit"},
		{"'topics do not exist: run it'", ""},
		{"'''sh\nX=1 mlmonitor replay --from 720h --out r.html | less # mlmonitor absent\n'''", ""},
		{"'''sh\nmlmonitor topics && A=b bin/mlmonitor replay --frm 720h\n'''", "no flag --frm"},
		{"'''sh\nmlmonitor replay \\\n  --frm 720h\n'''", "no flag --frm"},
		{"'''sh\nx=$(mlmonitor absent)\n'''", "no command absent"},
		{"'''json\nmlmonitor absent\n'''", ""},
		{"'make test PACKAGES=./audit/...'", ""},
		{"'make\ntset'", "no target tset"},
		{"'''sh\nmake build && make lnit # make it\n'''", "no target lnit"},
		{"'KAFKA_BROKERS', 'DATABASE_URL_FILE', 'API_AUTH=off'", ""},
		{"'KAFKA_BROKER'", "does not read KAFKA_BROKER"},
		{"'KAFKA_BROKERS_FILE'", "does not read KAFKA_BROKERS_FILE"},
		{"'''yaml\nCONSUMER_GROPU: x\n'''", "does not read CONSUMER_GROPU"},
	} {
		only := *w
		// All others are sound, which another test says: what is found is the new one's.
		only.pages = maps.Clone(w.pages)
		only.pages["docs/new.md"] = parse(strings.ReplaceAll(c.text, "'", "`"))
		only.exists = func(path string) bool { return path == "docs/new.md" || w.exists(path) }
		var all []string
		for _, faults := range [][]string{linkFaults(&only), commandFaults(&only), targetFaults(&only), variableFaults(&only)} {
			all = append(all, faults...)
		}
		got := strings.Join(all, "; ")
		if (got == "") != (c.fault == "") || !strings.Contains(got, c.fault) {
			t.Errorf("%q: got %q, want %q", c.text, got, c.fault)
		}
	}
}

func TestHeadingsHaveTheirAnchors(t *testing.T) {
	p := parse("# What `X` does, and *why*\n## Twice\n## Twice\n```sh\n# not a heading\n```\n### A [link](x.md): 5 %")
	for _, want := range []string{"what-x-does-and-why", "twice", "twice-1", "a-link-5-"} {
		if !p.anchors[want] {
			t.Errorf("no anchor %q in %v", want, p.anchors)
		}
	}
	if len(p.anchors) != 4 {
		t.Errorf("anchors %v", p.anchors)
	}
}

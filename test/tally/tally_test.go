package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const passing = `{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestOne"}
{"Action":"output","Package":"a","Test":"TestOne","Output":"    noise\n"}
{"Action":"pass","Package":"a","Test":"TestOne","Elapsed":0.1}
{"Action":"pass","Package":"a","Elapsed":1.25}
`

func TestTallyCountsWhatHappened(t *testing.T) {
	junit := filepath.Join(t.TempDir(), "report.xml")
	report := `<?xml version="1.0"?><testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="9"></testsuite></testsuites>`
	if err := os.WriteFile(junit, []byte(report), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, events, junit string
		exit                int
		last                string
		shown, hidden       string
	}{
		{name: "all pass", events: passing, exit: 0, last: "1 passed, 0 failed, 0 skipped", shown: "ok    a  1.2s", hidden: "noise"},
		{name: "nothing ran", events: "", exit: 1, last: "0 passed, 0 failed, 0 skipped"},
		{
			name: "a test and its subtest fail", exit: 1, last: "1 passed, 2 failed, 0 skipped", shown: "want 2",
			events: passing + `{"Action":"run","Package":"b","Test":"TestTwo"}
{"Action":"run","Package":"b","Test":"TestTwo/sub"}
{"Action":"output","Package":"b","Test":"TestTwo/sub","Output":"    want 2\n"}
{"Action":"fail","Package":"b","Test":"TestTwo/sub"}
{"Action":"fail","Package":"b","Test":"TestTwo"}
{"Action":"fail","Package":"b"}
`,
		},
		{
			name: "a skip says why", exit: 0, last: "1 passed, 0 failed, 1 skipped", shown: "needs a real Kafka",
			events: passing + `{"Action":"run","Package":"b","Test":"TestTwo"}
{"Action":"output","Package":"b","Test":"TestTwo","Output":"    needs a real Kafka\n"}
{"Action":"skip","Package":"b","Test":"TestTwo"}
{"Action":"pass","Package":"b"}
`,
		},
		{
			name: "a package does not build", exit: 1, last: "1 passed, 1 failed, 0 skipped", shown: "undefined: x",
			events: passing + `{"ImportPath":"b","Action":"build-output","Output":"b.go:1: undefined: x\n"}
{"ImportPath":"b","Action":"build-fail"}
{"Action":"start","Package":"b"}
{"Action":"output","Package":"b","Output":"FAIL\tb [build failed]\n"}
{"Action":"fail","Package":"b","Elapsed":0,"FailedBuild":"b"}
`,
		},
		{
			name: "a package ends with no test to blame", exit: 1, last: "2 passed, 1 failed, 0 skipped", shown: "exit status 2",
			events: passing + `{"Action":"start","Package":"b"}
{"Action":"run","Package":"b","Test":"TestTwo"}
{"Action":"pass","Package":"b","Test":"TestTwo"}
{"Action":"output","Package":"b","Output":"exit status 2\n"}
{"Action":"fail","Package":"b"}
`,
		},
		{
			name: "the output is cut", exit: 1, last: "1 passed, 1 failed, 0 skipped", shown: "TestTwo",
			events: passing + `{"Action":"start","Package":"b"}` + "\n" + `{"Action":"run","Package":"b","Test":"TestTwo"}` + "\n",
		},
		{name: "text between the events is shown", events: "go: downloading\n" + passing, exit: 0, last: "1 passed, 0 failed, 0 skipped", shown: "go: downloading"},
		{name: "another runner's report", events: passing, junit: junit, exit: 1, last: "7 passed, 2 failed, 1 skipped"},
		{name: "a report that is missing", events: passing, junit: junit + "x", exit: 1, last: "1 passed, 1 failed, 0 skipped", shown: "report"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			if exit := run(strings.NewReader(c.events), &out, c.junit); exit != c.exit {
				t.Errorf("exit code %d, want %d", exit, c.exit)
			}
			if !strings.HasSuffix("\n"+out.String(), "\n"+c.last+"\n") || !strings.Contains(out.String(), c.shown) {
				t.Errorf("got:\n%s\nwant %q, and at the end %q", out.String(), c.shown, c.last)
			}
			if c.hidden != "" && strings.Contains(out.String(), c.hidden) {
				t.Errorf("%q should not be shown:\n%s", c.hidden, out.String())
			}
		})
	}
}

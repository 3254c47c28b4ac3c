package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

// axe is axe-core, which test/run.sh installs.
func axe(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../.cache/venv-api/axe.min.js")
	if err != nil {
		t.Fatalf("%v: make .cache/venv-api/installed", err)
	}
	return string(text)
}

// TestPeopleSeeWhatIsGoingOn drives the page in a real browser, over a scorer and the audit on a real Kafka and Postgres: without transactions, with them, on a phone, in the dark, by the keyboard,
// and while the API is away.
func TestPeopleSeeWhatIsGoingOn(t *testing.T) {
	b := newBrowser(t)
	rules := axe(t)
	s := newStack(t)
	score := s.score(t, "score-0", rig.FreePort(t))
	port := rig.FreePort(t)
	server := supervise(t, "api", "api-0", rig.FreePort(t), append(s.env, "API_AUTH=off", "API_DATABASE_URL="+s.db.ReaderURL, "API_TIMEOUT=60s", fmt.Sprintf("API_PORT=%d", port)))
	audit := s.audit(t, "audit-0", rig.FreePort(t))
	for _, p := range []*process{score, server, audit} {
		p.becomesReady(t)
	}
	origin := fmt.Sprintf("http://127.0.0.1:%d", port)

	// Nothing yet.
	b.look(1280, 900, "light")
	b.visit(origin+"/", "Overview")
	b.until("that there are none", `document.body.innerText.includes("None yet.")`)
	b.visit(origin+"/#/letters", "Dead letters")
	b.until("that there are none", `document.body.innerText.includes("There are none.")`)
	b.visit(origin+"/#/verdicts", "Verdicts")
	b.until("that there are none", `document.body.innerText.includes("None match.")`)
	if !read[bool](b, `document.getElementById("banner").textContent.includes("API_AUTH=off") && !document.getElementById("banner").hidden`) {
		t.Error("the page does not say that everybody may do everything")
	}

	b.visit(origin+"/", "Overview")
	load := s.flow(t, "--rate", "300", "--customers", "500", "--malformed", "0.01")
	b.until("throughput", `Number(document.querySelector(".cards .value")?.textContent) > 200`)
	b.until("latency", `/^\d.* ms$/.test(document.querySelectorAll(".cards .value")[1]?.textContent)`)
	b.until("the scorer", `document.body.innerText.includes("1 scorer")`)
	b.until("verdicts", `document.querySelectorAll("main table tbody tr").length === 15`)
	time.Sleep(10 * time.Second) // for curves in the picture
	b.picture("overview")
	b.accessible(rules, "the overview")

	// A verdict of the list, in detail, by the keyboard alone.
	b.run(`document.querySelector("main table a").focus()`)
	id := read[string](b, `document.activeElement.textContent`)
	b.do("press enter", chromedp.KeyEvent(kb.Enter))
	b.until("its detail", fmt.Sprintf(`document.querySelector("h1").textContent === "Transaction %s"`, id))
	b.until("its verdict", `document.querySelector("dl") !== null || (document.querySelector("main button")?.click(), false)`) // the audit may be a moment behind
	if text := read[string](b, `document.querySelector("main").textContent`); !strings.Contains(text, "sha256:") || !strings.Contains(text, "verdicts, partition") {
		t.Errorf("the detail is %s", text)
	}
	b.accessible(rules, "a verdict")

	// Search.
	b.visit(origin+"/#/verdicts", "Verdicts")
	b.run(`document.querySelector("select[name=decision]").value = "review"; document.querySelector("form[aria-label='Search for verdicts']").requestSubmit()`)
	b.until("what is reviewed", `document.querySelectorAll("main table tbody tr").length > 0 && [...document.querySelectorAll("main table .badge")].every(n => n.textContent === "review")`)
	b.run(`document.querySelector("select[name=decision]").value = ""; document.querySelector("form[aria-label='Search for verdicts']").requestSubmit()`)
	b.until("a first page", `document.querySelectorAll("main table tbody tr").length === 50`)
	b.run(`[...document.querySelectorAll("main button")].find(n => n.textContent === "Older ones").click()`)
	b.until("an older page below it", `document.querySelectorAll("main table tbody tr").length === 100`)
	if n := read[int](b, `new Set([...document.querySelectorAll("main table a")].map(n => n.textContent)).size`); n < 99 { // one may have come twice
		t.Errorf("100 rows show %d transactions", n)
	}
	lines := read[int](b, `fetch(document.querySelector("main a[download]").href + "&limit=20").then(r => r.text()).then(t => t.trim().split("\n").length)`)
	if lines != 21 {
		t.Errorf("the export has %d lines", lines)
	}
	b.run(`document.querySelector("input[name=id]").value = "nobody"; document.querySelector("form[role=search]").requestSubmit()`)
	b.until("that it is not there", `document.body.innerText.includes("The audit has no verdict of this transaction")`)
	b.forgive("/verdicts/nobody")

	// The others.
	b.visit(origin+"/#/model", "Model")
	b.until("the digest, and that the scorer said it", `/sha256:[0-9a-f]{64}/.test(document.querySelector("main").textContent) && document.querySelectorAll("main table tbody tr").length > 0`)
	b.accessible(rules, "the model")
	b.visit(origin+"/#/replicas", "Replicas")
	b.until("the scorer and its partitions", `[...document.querySelectorAll("main td")].some(n => n.textContent === "score-0") && document.querySelectorAll("main table")[1]?.rows.length === 7`)
	b.accessible(rules, "the replicas")
	b.visit(origin+"/#/letters", "Dead letters")
	b.until("dead letters and their classes", `document.querySelectorAll("main table tbody tr").length > 5 && document.querySelectorAll(".cards .card").length > 2`)
	b.accessible(rules, "the dead letters")
	b.visit(origin+"/#/quality", "Data quality")
	b.until("the rules", `document.querySelectorAll("main table tbody tr").length > 3`)
	b.accessible(rules, "the data quality")
	b.visit(origin+"/#/drift", "Drift")
	b.until("the features", `document.querySelectorAll("details.feature").length > 10`)
	b.run(`document.querySelector("details.feature summary").focus()`)
	b.do("open one by the keyboard", chromedp.KeyEvent(kb.Enter))
	b.until("its histogram", `document.querySelector("details.feature[open] > svg .bar-current") !== null`)
	b.picture("drift")
	b.accessible(rules, "the drift")

	// In the dark, and on a phone.
	b.look(1280, 900, "dark")
	b.visit(origin+"/", "Overview")
	b.until("throughput", `Number(document.querySelector(".cards .value")?.textContent) > 0`)
	b.picture("overview-dark")
	b.accessible(rules, "the overview in the dark")
	b.look(390, 844, "light")
	for _, view := range []string{"", "verdicts", "model", "drift", "quality", "letters", "replicas"} {
		b.do(view, chromedp.Navigate(origin+"/#/"+view))
		b.until(view, `document.querySelector("main [aria-busy=true]") === null && document.querySelector("h1") !== null`)
		if wide := read[int](b, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
			t.Errorf("on a phone, %q is %d px too wide", view, wide)
		}
	}
	b.do("the drift", chromedp.Navigate(origin+"/#/drift"))
	b.until("the features", `document.querySelectorAll("details.feature").length > 10`)
	b.picture("phone")
	b.clean(origin)

	load.end(t)
	t.Run("its description holds", func(t *testing.T) { conforms(t, origin) })

	// Without the API the page says so; when it is back, it goes on by itself.
	b.look(1280, 900, "light")
	b.visit(origin+"/", "Overview")
	b.until("throughput", `document.querySelector(".cards .value") !== null`)
	server.kill()
	b.until("that it is away", `document.body.innerText.includes("connection was lost")`)
	server.becomesReady(t)
	b.until("that it is back", `!document.body.innerText.includes("connection was lost") && document.querySelector(".cards .value") !== null`)
}

// conforms holds the API to its own description by schemathesis: requests of any shape, no 5xx, no status, type or header that it does not tell. What the contract refuses is no fault.
func conforms(t *testing.T, origin string) {
	t.Helper()
	program, err := filepath.Abs("../../.cache/venv-api/bin/st")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "run", origin+"/openapi.json", "--exclude-path", "/stream", "--max-examples", "40", "--workers", "2", "--request-timeout", "90", "--no-color", "--seed", "1",
		"--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,unsupported_method")
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "NO_PROXY=127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, tail(string(out)))
	}
	if !strings.Contains(string(out), "Tested: 12") {
		t.Errorf("not all operations were tried:\n%s", tail(string(out)))
	}
}

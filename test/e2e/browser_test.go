package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a real Chromium with one tab. It notes what the page says on its console, and where it asks.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	requests []string
	troubles []string // exceptions, errors on the console
}

// newBrowser starts one; it ends with the test. Under go test -short it skips the test.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	if out, err := exec.CommandContext(t.Context(), "../stack/apt.sh", "chromium-headless-shell", "fonts-dejavu-core").CombinedOutput(); err != nil {
		t.Fatalf("install Chromium: %v\n%s", err, out)
	}
	// Root, as in containers, has no sandbox; only this test's own servers are opened.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("/usr/bin/chromium-headless-shell"), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("lang", "en-GB"), chromedp.WSURLReadTimeout(patience))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	err := chromedp.Listen(ctx, b.note) // starts the browser
	if err == nil {
		_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	}
	if err == nil {
		_, err = chromedp.Call(ctx, log.Enable, cdp.Empty{})
	}
	if err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return b
}

func (b *browser) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.troubles = append(b.troubles, e.ExceptionDetails.Text+" "+e.ExceptionDetails.URL)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			b.troubles = append(b.troubles, e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

// fail shows what the page says.
func (b *browser) fail(what string, err error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`(document.body ? document.body.innerText.slice(0, 1500) : "") + "\n" + location.href`))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t.Fatalf("%s: %v; the console: %v; the page says:\n%s", what, err, b.troubles, tail(text))
}

// do acts.
func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.fail(what, err)
	}
}

// run runs JavaScript.
func (b *browser) run(script string) {
	b.t.Helper()
	b.do(script, chromedp.Evaluate[chromedp.Void](script))
}

// read gives a JavaScript expression's value; of a promise, what it comes to.
func read[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.fail(expression, err)
	}
	return value
}

// until waits for what a JavaScript expression says; while pages are loaded it may fail.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if ok && err == nil {
			return
		}
		select {
		case <-ctx.Done():
			b.fail("wait for "+what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// visit opens a view of the page, and waits for its heading.
func (b *browser) visit(url, heading string) {
	b.t.Helper()
	b.do("open "+url, chromedp.Navigate(url))
	b.until(heading, fmt.Sprintf(`document.querySelector("h1")?.textContent === %q`, heading))
}

// look is how the screen is.
func (b *browser) look(width, height int64, scheme string) {
	b.t.Helper()
	b.do("look", chromedp.EmulateViewport(width, height))
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}); err != nil {
		b.fail("look", err)
	}
}

// picture keeps what is seen, where MLMONITOR_PICTURES names a folder.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("MLMONITOR_PICTURES")
	if dir == "" {
		return
	}
	data, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.fail("picture", err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// accessible holds a view to the rules of axe-core (WCAG 2 A and AA).
func (b *browser) accessible(axe, view string) {
	b.t.Helper()
	b.run(axe)
	found := read[[]string](b, `axe.run(document, {runOnly: ["wcag2a", "wcag2aa"]}).then(r => r.violations.map(v => v.id + ": " + v.help + " " + v.nodes.map(n => n.target + " " + n.failureSummary).slice(0, 2).join("; ")))`)
	for _, f := range found {
		b.t.Errorf("%s is not accessible: %s", view, f)
	}
}

// forgive takes back what the console says of an address.
func (b *browser) forgive(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.troubles = slices.DeleteFunc(b.troubles, func(trouble string) bool { return strings.HasSuffix(trouble, address) })
}

// clean says that the page asked nobody else, and had no trouble.
func (b *browser) clean(origins ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) == 0 {
		b.t.Error("no request was seen")
	}
	for _, url := range b.requests {
		ours := strings.HasPrefix(url, "data:") || strings.HasPrefix(url, "blob:")
		for _, origin := range origins {
			ours = ours || strings.HasPrefix(url, origin+"/")
		}
		if !ours {
			b.t.Errorf("the page asks %s", url)
		}
	}
	for _, trouble := range b.troubles {
		b.t.Errorf("on the console: %s", trouble)
	}
	b.troubles = nil
}

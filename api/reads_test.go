package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/reports"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// reading starts an API of sources.
func reading(t *testing.T, src Sources) *httptest.Server {
	t.Helper()
	s, err := New(t.Context(), Config{Auth: "off", Timeout: time.Second, Rate: 1e7, ClientRate: 1e6, Remember: 10, DriftWindow: time.Hour}, &oracle{}, func() InForce { return InForce{Champion: loaded()} }, src,
		slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(s.closing) }) // before the server waits for its streams
	return server
}

func get(t testing.TB, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return resp, string(data)
}

// shelf is an audit of n verdicts, which searches as the audit does; it remembers what it was asked.
type shelf struct {
	n     int
	fails int // from which search on; 0: never
	mu    sync.Mutex
	asked []Query
}

func (a *shelf) row(i int) RecordedVerdict {
	v := schemas.Verdict{TransactionID: schemas.ID(fmt.Sprintf("=tx-%d", i)), Decision: schemas.Approve, Bundle: loaded().ID, EventTime: time.Unix(0, 0).UTC(), Findings: []string{"missing:a", "missing:b"},
		Source: schemas.Source{Topic: "transactions", Offset: int64(i)}}
	payload, err := v.Append(nil)
	if err != nil {
		panic(err)
	}
	return RecordedVerdict{Verdict: json.RawMessage(payload), Topic: "verdicts", Offset: int64(i), PublishedAt: time.Unix(int64(1_000_000-i), 0).UTC()}
}

func (a *shelf) search(_ context.Context, q Query) (found []RecordedVerdict, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked = append(a.asked, q); a.fails != 0 && len(a.asked) >= a.fails {
		return nil, errors.New("hunter2 is not there")
	}
	from := 0
	if q.After != nil {
		from = int(q.After.Offset) + 1
	}
	for i := from; i < min(a.n, from+q.Limit); i++ {
		found = append(found, a.row(i))
	}
	return found, nil
}

func TestASearchIsHandedOnAsItWasAsked(t *testing.T) {
	audit := &shelf{n: 7}
	server := reading(t, Sources{Search: audit.search})
	from, to := time.Unix(1_700_000_000, 0).UTC(), time.Unix(1_700_000_100, 0).UTC()
	resp, body := get(t, server.URL+"/verdicts?decision=decline&bundle=sha256:ab&min_probability=0.25&limit=3&from=2023-11-14T22:13:20Z&to=2023-11-14T22:15:00Z")
	want := Query{Decision: schemas.Decline, Bundle: "sha256:ab", MinProbability: 0.25, From: from, To: to, Limit: 4}
	if resp.StatusCode != 200 || len(audit.asked) != 1 {
		t.Fatalf("%d %s, %d searches", resp.StatusCode, body, len(audit.asked))
	}
	if diff := cmp.Diff(want, audit.asked[0]); diff != "" {
		t.Error(diff)
	}
	// Page by page, each once.
	seen := map[string]int{}
	pages := 0
	for cursor := ""; ; pages++ {
		resp, body := get(t, server.URL+"/verdicts?limit=3&cursor="+cursor)
		var page struct {
			Verdicts []struct{ Verdict schemas.Verdict }
			Next     string
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%d %s: %v", resp.StatusCode, body, err)
		}
		for _, v := range page.Verdicts {
			seen[string(v.Verdict.TransactionID)]++
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(seen) != 7 || pages != 2 {
		t.Errorf("%d pages, %v", pages+1, seen)
	}
	for _, wrong := range []string{"cursor=x", "cursor=bnVsbHg", "decision=perhaps", "limit=0", "limit=501", "min_probability=2", "from=yesterday"} {
		if resp, body := get(t, server.URL+"/verdicts?"+wrong); resp.StatusCode != 422 || !strings.Contains(body, `"status":422`) {
			t.Errorf("%s: %d %s", wrong, resp.StatusCode, body)
		}
	}
	audit.fails = 1
	if resp, body := get(t, server.URL+"/verdicts"); resp.StatusCode != 503 || strings.Contains(body, "hunter2") || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestAnExportIsWholeOrCutOff(t *testing.T) {
	audit := &shelf{n: 2500}
	server := reading(t, Sources{Search: audit.search})
	for limit, want := range map[string]int{"": 2500, "?limit=1700": 1700, "?limit=1000": 1000, "?limit=10": 10} {
		resp, body := get(t, server.URL+"/verdicts.csv"+limit)
		rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil || len(rows) != want+1 || resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/csv") {
			t.Fatalf("%s: %d, %d rows, %v", limit, resp.StatusCode, len(rows), err)
		}
		for i, row := range rows[1:] {
			if row[1] != fmt.Sprintf("'=tx-%d", i) { // no formula
				t.Fatalf("row %d is %v", i, row)
			}
		}
		if rows[1][5] != "missing:a missing:b" || len(rows[0]) != len(rows[1]) {
			t.Errorf("%v\n%v", rows[0], rows[1])
		}
	}
	audit.asked, audit.fails = nil, 2
	resp, err := http.Get(server.URL + "/verdicts.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if data, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a file of %d bytes that lacks rows looks whole", len(data))
	}
	audit.asked, audit.fails = nil, 1
	if resp, body := get(t, server.URL+"/verdicts.csv"); resp.StatusCode != 503 || strings.Contains(body, "hunter2") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// aReport is of one feature, some of whose figures are undefined.
func aReport(what string) *reports.Report {
	return &reports.Report{Bundle: loaded().ID, Source: what, Transactions: 5, Verdict: drift.TooFew, Features: []reports.Feature{{Name: "amount", Level: drift.TooFew, PSI: 0.5, Critical: reports.Number(nan())}},
		Quality: []reports.Rule{{Name: "late", Holds: false}, {Name: "fine", Holds: true}}}
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestDriftIsMeasuredOnceForAllWhoAsk(t *testing.T) {
	var measured atomic.Int64
	hold := make(chan struct{})
	server := reading(t, Sources{Drift: func(_ context.Context, from, to time.Time) (*reports.Report, error) {
		measured.Add(1)
		<-hold
		if age := time.Since(from); age < 59*time.Minute || age > 61*time.Minute || !to.IsZero() {
			return nil, fmt.Errorf("asked from %v to %v", from, to)
		}
		return aReport("the last hour"), nil
	}})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			resp, body := get(t, server.URL+"/drift/status")
			if resp.StatusCode != 200 || !strings.Contains(body, `"psi":0.5`) || strings.Contains(body, "psi_critical") || !strings.Contains(body, `"broken_rules":["late"]`) {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // so that all wait for the one measurement; fewer would prove less, not fail
	close(hold)
	all.Wait()
	if resp, body := get(t, server.URL+"/drift/report"); resp.StatusCode != 200 || !strings.Contains(body, `"psi_critical":null`) || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := get(t, server.URL+"/drift/report?format=html"); resp.StatusCode != 200 || !strings.Contains(body, "<html") || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Errorf("%d %.200s", resp.StatusCode, body)
	}
	if n := measured.Load(); n != 1 {
		t.Errorf("drift was measured %d times", n)
	}
}

func TestAReportOfARangeIsMadeOneAtATime(t *testing.T) {
	began, hold := make(chan struct{}, 1), make(chan struct{})
	server := reading(t, Sources{Drift: func(_ context.Context, from, to time.Time) (*reports.Report, error) {
		began <- struct{}{}
		<-hold
		return aReport(from.Format(time.DateOnly) + " " + to.Format(time.DateOnly)), nil
	}})
	const one = "/drift/report?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"
	done := make(chan string)
	go func() {
		_, body := get(t, server.URL+one)
		done <- body
	}()
	<-began
	if resp, body := get(t, server.URL+one); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a second: %d %s", resp.StatusCode, body)
	}
	close(hold)
	if body := <-done; !strings.Contains(body, "2026-01-01 2026-01-02") {
		t.Errorf("the first: %s", body)
	}
	if resp, body := get(t, server.URL+"/drift/report?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"); resp.StatusCode != 422 {
		t.Errorf("backwards: %d %s", resp.StatusCode, body)
	}
}

func TestWhatIsNotThereIsNotOffered(t *testing.T) {
	server := reading(t, Sources{})
	for _, path := range []string{"/verdicts", "/verdicts.csv", "/verdicts/x", "/drift/status", "/drift/report", "/model/history", "/dead-letters", "/replicas", "/stream", "/login"} {
		if resp, _ := get(t, server.URL+path); resp.StatusCode != 404 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	if _, body := get(t, server.URL+"/openapi.json"); strings.Contains(body, "/drift/status") || !strings.Contains(body, "/predict") {
		t.Error("the description offers what is not there")
	}
	if _, body := get(t, server.URL+"/page"); !strings.Contains(body, `"drift":false`) || !strings.Contains(body, `"auth":"off"`) {
		t.Errorf("%s", body)
	}
}

// stage is what a Follow reads, by hand.
type stage struct {
	began, ended    atomic.Int64
	verdict, letter atomic.Value
	fail            chan error
}

func (s *stage) follow(ctx context.Context, verdict, letter func(*kafka.Record)) error {
	s.verdict.Store(verdict)
	s.letter.Store(letter)
	s.began.Add(1)
	defer s.ended.Add(1)
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.fail:
		return err
	}
}

// event reads one server-sent event.
func event(t *testing.T, lines *bufio.Reader) (name string, data []byte) {
	t.Helper()
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "event: "); ok {
			name = rest
		} else if rest, ok := strings.CutPrefix(line, "data: "); ok {
			data = []byte(rest)
		} else if line == "" {
			return name, data
		}
	}
}

func TestWhoWatchesSeesEachSecond(t *testing.T) {
	s := &stage{fail: make(chan error)}
	server := reading(t, Sources{Follow: s.follow})
	if s.began.Load() != 0 {
		t.Error("topics are read although nobody watches")
	}
	open := func() (*bufio.Reader, func()) {
		resp, err := http.Get(server.URL + "/stream")
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%d, %s", resp.StatusCode, resp.Header.Get("Content-Type"))
		}
		return bufio.NewReader(resp.Body), func() { resp.Body.Close() }
	}
	one, closeOne := open()
	defer closeOne()
	if name, data := event(t, one); name != "past" || string(data) != "[]" {
		t.Fatalf("%s %s", name, data)
	}
	two, closeTwo := open()
	defer closeTwo()
	event(t, two)
	eventually(t, "the topics are read", func() bool { return s.began.Load() > 0 })
	for i := range 30 {
		v := schemas.Verdict{TransactionID: schemas.ID(fmt.Sprint(i)), Decision: [3]schemas.Decision{schemas.Approve, schemas.Review, schemas.Decline}[i%3], Bundle: loaded().ID, EventTime: time.Unix(0, 0), Source: schemas.Source{Topic: "transactions"}}
		payload, err := v.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		s.verdict.Load().(func(*kafka.Record))(&kafka.Record{Value: payload, Timestamp: time.Now().Add(-100 * time.Millisecond)})
	}
	s.verdict.Load().(func(*kafka.Record))(&kafka.Record{Value: []byte("nonsense")})
	s.letter.Load().(func(*kafka.Record))(&kafka.Record{})
	var sum Rates
	letters, recent := int64(0), 0
	for sum.Approve+sum.Review+sum.Decline < 30 || letters < 1 {
		name, data := event(t, one)
		var f Figures
		if err := json.Unmarshal(data, &f); err != nil || name != "second" || !f.Following {
			t.Fatalf("%s %s: %v", name, data, err)
		}
		sum = Rates{sum.Approve + f.Verdicts.Approve, sum.Review + f.Verdicts.Review, sum.Decline + f.Verdicts.Decline}
		letters += f.Letters
		if n := len(f.Recent); n > 0 {
			recent += n
			if f.Recent[0].TransactionID != "29" && recent == n && n == recentEach {
				t.Errorf("the latest is %+v", f.Recent[0])
			}
			if f.P50 < 90 || f.P50 > 5000 || f.P99 < f.P50 {
				t.Errorf("latencies %v, %v", f.P50, f.P99)
			}
		}
	}
	if sum != (Rates{10, 10, 10}) || letters != 1 || recent < recentEach {
		t.Errorf("%+v, %d letters, %d named", sum, letters, recent)
	}
	if name, _ := event(t, two); name != "second" {
		t.Errorf("the other sees %s", name)
	}
	if s.began.Load() != 1 {
		t.Errorf("two watchers read the topics %d times", s.began.Load())
	}
	// Topics that cannot be read are told, and read again.
	s.fail <- errors.New("no broker")
	for {
		_, data := event(t, one)
		if strings.Contains(string(data), `"following":false`) {
			break
		}
	}
	eventually(t, "they are read again", func() bool { return s.began.Load() > 1 })
}

// Brokers that answer may still not let the topics be read.
func TestTopicsThatFailAreToldEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failing atomic.Bool
		failing.Store(true)
		follow := func(ctx context.Context, _, _ func(*kafka.Record)) error {
			if failing.Load() {
				return errors.New("no right to read")
			}
			<-ctx.Done()
			return nil
		}
		l := newLive(follow, (&oracle{}).Ready, slog.New(slog.NewTextHandler(io.Discard, nil)))
		_, each, leave, err := l.watch()
		if err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			if f := <-each; f.Following {
				t.Errorf("second %d is told as read", i)
			}
		}
		failing.Store(false)
		time.Sleep(3 * time.Second)
		for range 3 {
			<-each
		}
		if f := <-each; !f.Following {
			t.Error("topics that are read again are not told as such")
		}
		leave()
		l.rest()
	})
}

func TestNobodyWatchingReadsNothing(t *testing.T) {
	s := &stage{fail: make(chan error)}
	l := newLive(s.follow, (&oracle{}).Ready, slog.New(slog.NewTextHandler(io.Discard, nil)))
	_, _, leave, err := l.watch()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the topics are read", func() bool { return s.began.Load() > 0 })
	leave()
	l.rest() // the pause is over
	eventually(t, "the topics are read no longer", func() bool { return s.ended.Load() > 0 })
	var leaves []func()
	for range maxWatchers {
		_, _, leave, err := l.watch()
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	if _, _, _, err := l.watch(); !errors.Is(err, errTooManyWatchers) {
		t.Errorf("one too many: %v", err)
	}
	for range 1000 { // a watcher that does not take its seconds holds nobody up
		l.tell(time.Now())
	}
	if len(l.last) != keptSeconds {
		t.Errorf("%d seconds are kept", len(l.last))
	}
	for _, leave := range leaves {
		leave()
	}
	l.rest()
	if len(l.watchers) != 0 || l.stop != nil {
		t.Error("somebody is left")
	}
}

func TestThePageNeedsNothingFromElsewhere(t *testing.T) {
	server := reading(t, Sources{})
	for path, kind := range map[string]string{"/": "text/html", "/app.js": "text/javascript", "/charts.js": "text/javascript", "/style.css": "text/css", "/icon.svg": "image/svg+xml"} {
		resp, body := get(t, server.URL+path)
		if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), kind) || len(body) == 0 {
			t.Errorf("%s: %d, %s", path, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
		if policy := resp.Header.Get("Content-Security-Policy"); policy != pagePolicy || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		for line := range strings.Lines(body) {
			if at := strings.Index(line, "//"); strings.Contains(line, "https://") || strings.Contains(line, "http://") && !strings.Contains(line, "http://www.w3.org/") || at > 0 && strings.Contains(line[at:], "//cdn") {
				t.Errorf("%s: %s", path, line)
			}
		}
	}
	for path, want := range map[string]int{"/health": 200, "/ready": 200, "/nothing": 404, "/page/app.js": 404} {
		if resp, _ := get(t, server.URL+path); resp.StatusCode != want {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// TestQuietTopicsAndAbsentBrokersAreToldApart: who follows the topics of brokers that are away gets no error, only nothing.
func TestQuietTopicsAndAbsentBrokersAreToldApart(t *testing.T) {
	var away atomic.Bool
	ready := func(context.Context) error {
		if away.Load() {
			return errors.New("no broker")
		}
		return nil
	}
	l := newLive((&stage{}).follow, ready, slog.New(slog.NewTextHandler(io.Discard, nil)))
	_, each, leave, err := l.watch()
	if err != nil {
		t.Fatal(err)
	}
	defer l.rest()
	defer leave()
	for _, gone := range []bool{false, true, false} {
		away.Store(gone)
		deadline := time.After(patience)
		for told := gone; told == gone; {
			select {
			case f := <-each:
				told = f.Following
			case <-deadline:
				t.Fatalf("with brokers away %v, following is still %v", gone, told)
			}
		}
	}
}

// TestALateWatcherIsNotToldEveryVerdict: what is kept of past seconds is small.
func TestALateWatcherIsNotToldEveryVerdict(t *testing.T) {
	l := newLive((&stage{}).follow, (&oracle{}).Ready, slog.New(slog.NewTextHandler(io.Discard, nil)))
	for range 3 {
		l.now.Recent = make([]RecentLine, recentEach)
		l.tell(time.Now())
	}
	for i, f := range l.last {
		if want := map[int]int{2: recentEach}[i]; len(f.Recent) != want {
			t.Errorf("second %d names %d verdicts", i, len(f.Recent))
		}
	}
}

// FuzzSearch: whatever the cursor and the filters say, a search is refused or handed on; it breaks nothing.
func FuzzSearch(f *testing.F) {
	f.Add("bnVsbA", "decline", "sha256:ab", "0.5", "2026-01-01T00:00:00Z")
	f.Add("eyJhdCI6IjAwMDAtMDEtMDFUMDA6MDA6MDBaIiwidCI6IlxuIiwicCI6LTEsIm8iOi0xfQ", "", "\x00", "-1", "x")
	audit := &shelf{n: 3}
	s, err := New(context.Background(), Config{Auth: "off", Timeout: time.Second, Rate: 1e9, ClientRate: 1e9, Remember: 10}, &oracle{}, func() InForce { return InForce{Champion: loaded()} }, Sources{Search: audit.search},
		slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, cursor, decision, bundle, probability, from string) {
		audit.asked = nil
		q := url.Values{"cursor": {cursor}, "decision": {decision}, "bundle": {bundle}, "min_probability": {probability}, "from": {from}}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/verdicts?"+q.Encode(), nil))
		if w.Code != 200 && w.Code != 422 || w.Code == 422 && len(audit.asked) != 0 || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %s, asked %+v", w.Code, w.Body, audit.asked)
		}
	})
}

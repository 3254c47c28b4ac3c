package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mlmonitor/mlmonitor/bundles"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

var loaded = sync.OnceValue(func() *scorer.Bundle {
	b, err := scorer.LoadBundle(bundles.Sample(), scorer.Auto)
	if err != nil {
		panic(err) // compiled in
	}
	return b
})

// oracle answers as a scorer would, when it is let.
type oracle struct {
	asked atomic.Int64
	hold  chan struct{} // nil: answer at once
	err   error
}

func (o *oracle) Ready(context.Context) error { return o.err }

func (o *oracle) Ask(ctx context.Context, _, value []byte) (producer.Reply, error) {
	n := o.asked.Add(1)
	if o.err != nil {
		return producer.Reply{}, o.err
	}
	if o.hold != nil {
		select {
		case <-o.hold:
		case <-ctx.Done():
			return producer.Reply{}, ctx.Err()
		}
	}
	s := loaded().NewScorer()
	s.Add(value, time.Now())
	outcomes, err := s.Score()
	if err != nil {
		return producer.Reply{}, err
	}
	if reason := outcomes[0].Err; reason != nil {
		return producer.Reply{Refusal: &producer.Refusal{Class: reason.Class, Message: reason.Error()}}, nil
	}
	outcomes[0].Verdict.Source = schemas.Source{Topic: "transactions", Partition: 1, Offset: n}
	payload, err := outcomes[0].Verdict.Append(nil)
	return producer.Reply{Payload: payload}, err
}

// serve starts an API of an oracle.
func serve(t *testing.T, cfg Config, o Asker) (*httptest.Server, *Server) {
	t.Helper()
	for _, set := range []struct {
		to *time.Duration
		be time.Duration
	}{{&cfg.Timeout, 2 * time.Second}} {
		if *set.to == 0 {
			*set.to = set.be
		}
	}
	if cfg.Auth == "" {
		cfg.Auth = "off"
	}
	if cfg.ClientRate == 0 {
		cfg.ClientRate = 1e6
	}
	if cfg.Rate == 0 {
		cfg.Rate = 1e7
	}
	if cfg.Remember == 0 {
		cfg.Remember = 1000
	}
	s, err := New(t.Context(), cfg, o, func() InForce { return InForce{Champion: loaded(), Reason: "the test says so"} }, Sources{Find: find}, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return server, s
}

// recordedBefore are verdicts that the audit has, by transaction id.
var recordedBefore sync.Map

// find has one verdict of "known", and breaks at "broken".
func find(_ context.Context, id string, limit int) ([]RecordedVerdict, error) {
	if before, ok := recordedBefore.Load(id); ok {
		return []RecordedVerdict{{Verdict: json.RawMessage(`{"later":true}`)}, {Verdict: json.RawMessage(before.(string))}}, nil
	}
	switch id {
	case "known", "a/b c":
		return []RecordedVerdict{{Verdict: json.RawMessage(`{"a":1.50}`), Topic: "verdicts", Partition: 1, Offset: 2, PublishedAt: time.Unix(0, 0).UTC()}}, nil
	case "broken":
		return nil, errors.New("hunter2 does not connect")
	}
	return nil, nil
}

func example(t testing.TB, i int) []byte {
	t.Helper()
	return loaded().Examples[i].Event
}

func post(t testing.TB, url, token string, body []byte) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, data
}

func asProblem(t *testing.T, resp *http.Response, data []byte) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal(data, &p); err != nil || resp.Header.Get("Content-Type") != "application/problem+json" || p.Status != resp.StatusCode || p.Title == "" || p.Type == "" {
		t.Errorf("status %d, %s is no problem: %s, %v", resp.StatusCode, resp.Header.Get("Content-Type"), data, err)
	}
	return p
}

// patience bounds every wait for what must come: far longer than a machine needs that is not busy with something else.
const patience = 2 * time.Minute

// eventually waits, bounded, for what other goroutines do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it did not come to that", what)
		}
	}
}

func TestATransactionGetsTheCommittedVerdictsBytes(t *testing.T) {
	o := &oracle{}
	server, s := serve(t, Config{}, o)
	for i := range 5 {
		resp, data := post(t, server.URL+"/predict", "", example(t, i))
		v, err := schemas.ParseVerdict(data)
		if resp.StatusCode != 200 || err != nil || v.Probability != loaded().Examples[i].Probability || resp.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("status %d: %s, %v", resp.StatusCode, data, err)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
			if resp.Header.Get(name) != want {
				t.Errorf("%s is %q", name, resp.Header.Get(name))
			}
		}
		if resp.Header.Get("X-Request-Id") == "" || resp.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("headers %v", resp.Header)
		}
	}
	if n := testutil.ToFloat64(s.metrics.requests.WithLabelValues("predict", "200")); n != 5 {
		t.Errorf("%v requests are counted", n)
	}
}

func TestARepeatedTransactionIsNotPublishedAgain(t *testing.T) {
	o := &oracle{hold: make(chan struct{})}
	server, _ := serve(t, Config{Timeout: 100 * time.Millisecond}, o)
	// It takes too long; asked again it joins, and gets what comes.
	resp, data := post(t, server.URL+"/predict", "", example(t, 0))
	if p := asProblem(t, resp, data); p.Status != 504 || p.TransactionID == "" {
		t.Errorf("%+v", p)
	}
	var all sync.WaitGroup
	var bodies [8][]byte
	close(o.hold)
	for i := range bodies {
		all.Go(func() {
			resp, data := post(t, server.URL+"/predict", "", example(t, 0))
			for begin := time.Now(); resp.StatusCode == 504 && time.Since(begin) < patience; {
				resp, data = post(t, server.URL+"/predict", "", example(t, 0))
			}
			if resp.StatusCode != 200 {
				t.Errorf("status %d: %s", resp.StatusCode, data)
			}
			bodies[i] = data
		})
	}
	all.Wait()
	for _, b := range bodies {
		if !bytes.Equal(b, bodies[0]) {
			t.Errorf("%s and %s", b, bodies[0])
		}
	}
	if n := o.asked.Load(); n != 1 {
		t.Errorf("it was published %d times", n)
	}
}

func TestWhatTheAuditHasIsNotPublishedAgain(t *testing.T) {
	o := &oracle{}
	server, _ := serve(t, Config{}, o)
	var event struct {
		ID string `json:"transaction_id"`
	}
	if err := json.Unmarshal(example(t, 7), &event); err != nil {
		t.Fatal(err)
	}
	recordedBefore.Store(event.ID, `{"first":true}`)
	defer recordedBefore.Delete(event.ID)
	resp, data := post(t, server.URL+"/predict", "", example(t, 7))
	if resp.StatusCode != 200 || string(data) != `{"first":true}` || o.asked.Load() != 0 {
		t.Errorf("status %d: %s, published %d times", resp.StatusCode, data, o.asked.Load())
	}
}

func TestWhatWasNotPublishedMayBeSentAgain(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{{producer.ErrBusy, 503}, {fmt.Errorf("%w: no broker", producer.ErrUnreachable), 503}, {errors.New("who knows"), 504}} {
		o := &oracle{err: c.err}
		server, _ := serve(t, Config{}, o)
		resp, data := post(t, server.URL+"/predict", "", example(t, 0))
		if p := asProblem(t, resp, data); p.Status != c.status || resp.Header.Get("Retry-After") == "" || strings.Contains(p.Detail, "no broker") || strings.Contains(p.Detail, "who knows") {
			t.Errorf("%v: %+v, %v", c.err, p, resp.Header)
		}
		o.err = nil
		if resp, data := post(t, server.URL+"/predict", "", example(t, 0)); resp.StatusCode != 200 {
			t.Errorf("again after %v: %d %s", c.err, resp.StatusCode, data)
		}
	}
}

// Who hears that it failed, and sends it again at once, is not told the same again.
func TestWhatFailedIsForgottenBeforeAnybodyHearsOfIt(t *testing.T) {
	r := newRecent(10)
	for range 20_000 {
		a, _ := r.begin("a")
		again := make(chan bool, 1)
		go func() {
			<-a.done
			b, first := r.begin("a")
			if first {
				r.end(b, producer.Reply{}, producer.ErrBusy)
			}
			again <- first
		}()
		runtime.Gosched()
		r.end(a, producer.Reply{}, producer.ErrUnreachable)
		if !<-again {
			t.Fatal("it is not published again")
		}
	}
}

func TestWhatTheContractRefusesIsNotPublished(t *testing.T) {
	o := &oracle{}
	server, _ := serve(t, Config{}, o)
	for _, body := range []string{"{}", "[]", "nothing", "", `{"transaction_id":` + strings.Repeat("[", 100_000), "\xff", string(bytes.Replace(example(t, 0), []byte(`"amount":`), []byte(`"amount":-`), 1))} {
		resp, data := post(t, server.URL+"/predict", "", []byte(body))
		p := asProblem(t, resp, data)
		if p.Status != 422 && p.Status != 400 || p.Status == 422 && p.Class == "" {
			t.Errorf("%.60q: %+v", body, p)
		}
	}
	if o.asked.Load() != 0 {
		t.Errorf("%d were published", o.asked.Load())
	}
	resp, data := post(t, server.URL+"/predict", "", bytes.Repeat([]byte(" "), 100<<20))
	if resp.StatusCode != 413 {
		t.Errorf("100 MB: %d %.200s", resp.StatusCode, data)
	}
}

func TestABatchHasAnAnswerForEach(t *testing.T) {
	o := &oracle{}
	server, _ := serve(t, Config{}, o)
	var body bytes.Buffer
	body.WriteString("[")
	for i := range 20 {
		body.Write(example(t, i))
		body.WriteString(",")
	}
	body.WriteString(`{"no":"transaction"}]`)
	resp, data := post(t, server.URL+"/predict/batch", "", body.Bytes())
	var items []struct {
		Status  int
		Verdict json.RawMessage
		Problem *Failure
	}
	if err := json.Unmarshal(data, &items); err != nil || resp.StatusCode != 200 || len(items) != 21 {
		t.Fatalf("status %d, %d items: %.300s, %v", resp.StatusCode, len(items), data, err)
	}
	for i, item := range items[:20] {
		v, err := schemas.ParseVerdict(item.Verdict)
		if item.Status != 200 || err != nil || v.Probability != loaded().Examples[i].Probability {
			t.Errorf("item %d: %+v, %v", i, item, err)
		}
	}
	if last := items[20]; last.Status != 422 || last.Problem == nil || last.Problem.Class == "" {
		t.Errorf("the last: %+v", last)
	}
	for body, says := range map[string]string{"{}": "no JSON array", "[": "does not end", "[1,": "no JSON array", "[] []": "after the array", "[" + strings.Repeat("1,", 1000) + "1]": "more than 1000"} {
		resp, data := post(t, server.URL+"/predict/batch", "", []byte(body))
		if p := asProblem(t, resp, data); p.Status != 400 || !strings.Contains(p.Detail, says) {
			t.Errorf("%.20s: %+v, want %q", body, p, says)
		}
	}
}

func TestWhatIfIsMarkedAndPublishesNothing(t *testing.T) {
	o := &oracle{}
	server, _ := serve(t, Config{}, o)
	resp, data := post(t, server.URL+"/score", "", example(t, 3))
	var w WhatIf
	if err := json.Unmarshal(data, &w); err != nil || resp.StatusCode != 200 || !w.WhatIf || w.Probability != loaded().Examples[3].Probability || w.Bundle.Digest != loaded().ID.Digest {
		t.Errorf("status %d: %s, %v", resp.StatusCode, data, err)
	}
	if o.asked.Load() != 0 {
		t.Error("it was published")
	}
	get, err := http.Get(server.URL + "/model/info")
	if err != nil {
		t.Fatal(err)
	}
	defer get.Body.Close()
	var info ModelInfo
	if err := json.NewDecoder(get.Body).Decode(&info); err != nil || info.Bundle.Digest != loaded().ID.Digest || len(info.Features) != 18 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestARecordedVerdictIsFound(t *testing.T) {
	server, _ := serve(t, Config{}, &oracle{})
	for path, want := range map[string]struct {
		status int
		says   string
	}{"known": {200, `{"a":1.50}`}, "a%2Fb%20c": {200, `"transaction_id":"a/b c"`}, "unknown": {404, "no verdict"}, "broken": {503, "cannot be read now"}, strings.Repeat("x", 1025): {422, "validation"}} {
		resp, err := http.Get(server.URL + "/verdicts/" + path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != want.status || !strings.Contains(string(data), want.says) || strings.Contains(string(data), "hunter2") {
			t.Errorf("%.20s: %d %s, %v", path, resp.StatusCode, data, err)
		}
		if want.status != 200 {
			asProblem(t, resp, data)
		}
	}
}

func TestTheDescriptionIsOpenAPIAndThePageNeedsNothingElse(t *testing.T) {
	server, _ := serve(t, Config{}, &oracle{})
	read := func(path string) string {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
		}
		return string(data)
	}
	var spec struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Responses   map[string]any
			RequestBody struct {
				Content map[string]struct{ Schema struct{ Type string } }
			}
		}
	}
	if err := json.Unmarshal([]byte(read("/openapi.json")), &spec); err != nil || !strings.HasPrefix(spec.OpenAPI, "3.1") {
		t.Fatalf("%+v, %v", spec, err)
	}
	for path, method := range map[string]string{"/predict": "post", "/predict/batch": "post", "/score": "post", "/model/info": "get", "/verdicts/{transaction_id}": "get"} {
		if spec.Paths[path][method].Responses["200"] == nil {
			t.Errorf("%s %s is not described", method, path)
		}
	}
	for path, is := range map[string]string{"/predict": "object", "/predict/batch": "array", "/score": "object"} {
		if got := spec.Paths[path]["post"].RequestBody.Content["application/json"].Schema.Type; got != is {
			t.Errorf("the body of %s is described as %q", path, got)
		}
	}
	if page := read("/docs"); strings.Contains(page, "http://") || strings.Contains(page, "https://") || strings.Contains(page, "<script") || !strings.Contains(page, "/predict/batch") {
		t.Errorf("the page: %s", page)
	}
}

// issuer is an OIDC issuer.
type issuer struct {
	*httptest.Server
	key    *rsa.PrivateKey
	server *oidctest.Server
	keys   atomic.Int64 // times that the keys were asked for
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.rotate(t, "first")
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "keys") {
			i.keys.Add(1)
		}
		i.server.ServeHTTP(w, r)
	}))
	i.server.SetIssuer(i.URL)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) rotate(t *testing.T, id string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.key = key
	i.server = &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: id, Algorithm: "RS256"}}}
	if i.Server != nil {
		i.server.SetIssuer(i.URL)
	}
}

func (i *issuer) token(id, scope string, change map[string]any) string {
	claims := map[string]any{"iss": i.URL, "aud": "mlmonitor", "sub": "checkout", "scope": scope, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()}
	for name, value := range change {
		claims[name] = value
	}
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return oidctest.SignIDToken(i.key, id, "RS256", string(text))
}

func TestTokensThatDoNotHoldAreRefused(t *testing.T) {
	i := newIssuer(t)
	o := &oracle{}
	server, _ := serve(t, Config{Auth: "oidc", Issuer: i.URL, Audience: "mlmonitor"}, o)
	try := func(token string) int {
		t.Helper()
		resp, data := post(t, server.URL+"/predict", token, example(t, 0))
		if resp.StatusCode != 200 {
			if p := asProblem(t, resp, data); strings.Contains(string(data), "signature") || strings.Contains(string(data), "expired") || p.Status == 401 && resp.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("the refusal tells too much, or too little: %s", data)
			}
		}
		return resp.StatusCode
	}
	good := i.token("first", "read score", nil)
	if code := try(good); code != 200 {
		t.Fatalf("a good token: %d", code)
	}
	part := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + part[1] + "."
	hs := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"first"}`)) + "." + part[1] + "." + part[2]
	stranger := newIssuer(t)
	for what, c := range map[string]struct {
		token string
		want  int
	}{
		"none at all":        {"", 401},
		"no token":           {"nonsense", 401},
		"expired":            {i.token("first", "score", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), 401},
		"not valid yet":      {i.token("first", "score", map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), 401},
		"another audience":   {i.token("first", "score", map[string]any{"aud": "other"}), 401},
		"another issuer":     {stranger.token("first", "score", nil), 401},
		"a stranger's key":   {oidctest.SignIDToken(stranger.key, "first", "RS256", fmt.Sprintf(`{"iss":%q,"aud":"mlmonitor","sub":"x","scope":"score","exp":%d}`, i.URL, time.Now().Add(time.Hour).Unix())), 401},
		"alg none":           {none, 401},
		"HS256 for RS256":    {hs, 401},
		"changed":            {part[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"scope":"score"}`)) + "." + part[2], 401},
		"too large":          {strings.Repeat("a", 17<<10), 401},
		"another scope":      {i.token("first", "read", nil), 403},
		"no scope":           {i.token("first", "", nil), 403},
		"several audiences":  {i.token("first", "score", map[string]any{"aud": []string{"a", "mlmonitor"}}), 200},
		"scopes as a list":   {i.token("first", "", map[string]any{"scp": []string{"score"}}), 200},
		"scopes as one text": {i.token("first", "", map[string]any{"scp": "read score"}), 200},
	} {
		if code := try(c.token); code != c.want {
			t.Errorf("%s: %d, want %d", what, code, c.want)
		}
	}
}

func TestRotatedKeysAreFoundAndTheIssuerIsNotFlooded(t *testing.T) {
	i := newIssuer(t)
	server, _ := serve(t, Config{Auth: "oidc", Issuer: i.URL, Audience: "mlmonitor"}, &oracle{})
	try := func(token string) int {
		t.Helper()
		resp, _ := post(t, server.URL+"/predict", token, example(t, 0))
		return resp.StatusCode
	}
	if code := try(i.token("first", "score", nil)); code != 200 {
		t.Fatal(code)
	}
	i.rotate(t, "second")
	if code := try(i.token("second", "score", nil)); code != 200 {
		t.Errorf("a token of the new key: %d", code)
	}
	before, begin := i.keys.Load(), time.Now()
	for n := range 50 {
		if code := try(i.token(fmt.Sprint("unknown-", n), "score", nil)); code != 401 {
			t.Errorf("an unknown key: %d", code)
		}
	}
	if asked, most := i.keys.Load()-before, 3+int64(time.Since(begin)/keysEvery); asked > most {
		t.Errorf("50 tokens of unknown keys had the keys asked for %d times, not %d at most", asked, most)
	}
	if code := try(i.token("second", "score", nil)); code != 200 {
		t.Errorf("afterwards, a good token: %d", code)
	}
}

// rush has twenty ask at once where five a second may, and look at each answer.
func rush(t *testing.T, server *httptest.Server, look func(*http.Response)) {
	t.Helper()
	var mu sync.Mutex
	codes := map[int]int{}
	begin := time.Now()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			resp, _ := post(t, server.URL+"/predict", "", example(t, 0))
			mu.Lock()
			defer mu.Unlock()
			codes[resp.StatusCode]++
			look(resp)
		})
	}
	all.Wait()
	most := min(20, 5+int(5*time.Since(begin).Seconds()))
	if codes[200] < 5 || codes[200] > most || codes[200]+codes[429] != 20 {
		t.Errorf("%v, not %d at most", codes, most)
	}
}

func TestAClientIsHeldToItsRate(t *testing.T) {
	server, _ := serve(t, Config{ClientRate: 5, Timeout: time.Minute}, &oracle{})
	rush(t, server, func(resp *http.Response) {
		if resp.StatusCode == 429 && resp.Header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		if got := resp.Header.Get("RateLimit-Policy"); got != `"client";q=5;w=1` {
			t.Errorf("policy %q", got)
		}
		if got := resp.Header.Get("RateLimit"); !strings.HasPrefix(got, `"client";r=`) || resp.StatusCode == 429 && got != `"client";r=0;t=1` {
			t.Errorf("status %d, limit %q", resp.StatusCode, got)
		}
	})
}

func TestAllTogetherAreHeldToTheirRate(t *testing.T) {
	server, _ := serve(t, Config{Rate: 5, ClientRate: 1000, Timeout: time.Minute}, &oracle{})
	rush(t, server, func(resp *http.Response) {
		if resp.StatusCode == 429 && resp.Header.Get("RateLimit-Policy") != `"all";q=5;w=1` {
			t.Errorf("headers %v", resp.Header)
		}
	})
}

func TestLimitsForgetNobodyTheyNeedAndAreBounded(t *testing.T) {
	l := newLimits(1e9, 1)
	may := func(name string) bool {
		ok, _ := l.allow(name, 1)
		return ok
	}
	for i := range maxClients {
		if !may(fmt.Sprint(i)) {
			t.Fatalf("client %d is refused", i)
		}
	}
	if may("one more") {
		t.Error("there is no bound")
	}
	for _, c := range l.clients {
		c.seen = time.Now().Add(-time.Hour)
	}
	if !may("one more") || len(l.clients) != 1 {
		t.Errorf("%d clients are remembered", len(l.clients))
	}
}

func TestTheRecentAreBounded(t *testing.T) {
	r := newRecent(100)
	for i := range 1000 {
		a, first := r.begin(fmt.Sprint(i))
		if !first {
			t.Fatalf("%d is known", i)
		}
		r.end(a, producer.Reply{}, nil)
	}
	if r.order.Len() > 101 || len(r.byID) != r.order.Len() {
		t.Errorf("%d are remembered, %d", r.order.Len(), len(r.byID))
	}
	if _, first := r.begin("999"); first {
		t.Error("the last is forgotten")
	}
	if _, first := r.begin("3"); !first {
		t.Error("the first is remembered")
	}
}

func FuzzPredict(f *testing.F) {
	f.Add([]byte(loaded().Examples[0].Event))
	f.Add([]byte("{}"))
	o := &oracle{}
	s, err := New(context.Background(), Config{Auth: "off", Timeout: time.Second, Rate: 1e7, ClientRate: 1e6, Remember: 10}, o, func() InForce { return InForce{Champion: loaded()} }, Sources{}, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{"/predict", "/predict/batch", "/score"} {
			r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			if w.Code >= 500 || w.Code == 200 && !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
		}
	})
}

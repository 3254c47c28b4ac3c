package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// Bounds of what is asked.
const (
	maxBatch      = 1000
	maxBatchBytes = 8 << 20
	bodyTimeout   = 10 * time.Second
	// lateReply is how long a transaction whose caller has given up is waited for: one that is sent again meanwhile joins it.
	lateReply = time.Minute
)

type rawInput struct {
	RawBody []byte `contentType:"application/json"`
}

type rawOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

type itemsOutput struct{ Body []Item }

type whatIfOutput struct{ Body WhatIf }

type modelOutput struct{ Body ModelInfo }

func (s *Server) register() {
	schema := func(of any, name string) *huma.Schema {
		return s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(of), true, name)
	}
	verdict := map[string]*huma.Response{"200": {Description: "The committed verdict", Content: map[string]*huma.MediaType{"application/json": {Schema: schema(Verdict{}, "Verdict")}}}}
	object, array := func() *huma.Schema { return &huma.Schema{Type: "object"} }, new(maxBatch)
	transaction := &huma.RequestBody{Required: true, Description: "One transaction event, as on the topic: the contract of the bundle in force says which fields.",
		Content: map[string]*huma.MediaType{"application/json": {Schema: object()}}}
	batch := &huma.RequestBody{Required: true, Description: fmt.Sprintf("An array of at most %d transaction events.", maxBatch),
		Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: "array", Items: object(), MaxItems: array}}}}
	common := []int{400, 401, 403, 408, 413, 415, 422, 429, 500, 503}
	huma.Register(s.api, s.operation("predict", http.MethodPost, "/predict", "Have a transaction decided", ScopeScore, `Publishes the transaction; the scorer that owns its partition decides, and the answer is the verdict as it was committed to the topic.
A transaction id that comes again gets the verdict of the first. 504: no verdict came in time; it may still come, and asking again with the same transaction id gets it.`, func(o *huma.Operation) {
		o.Responses, o.Errors, o.MaxBodyBytes = verdict, append(common, 504), schemas.MaxEventBytes
	}), s.predict)
	huma.Register(s.api, s.operation("predict-batch", http.MethodPost, "/predict/batch", "Have several transactions decided", ScopeScore,
		"As predict, for each of an array; the items are in its order, each with a status of its own.", func(o *huma.Operation) {
			o.Errors, o.MaxBodyBytes = common, maxBatchBytes
		}), s.predictBatch)
	huma.Register(s.api, s.operation("score", http.MethodPost, "/score", "Ask what if", ScopeRead, "Scores the transaction in this process under the bundle in force. Nothing is published or recorded: it is no decision.", func(o *huma.Operation) {
		o.Errors, o.MaxBodyBytes = common, schemas.MaxEventBytes
	}), s.score)
	huma.Register(s.api, s.operation("model-info", http.MethodGet, "/model/info", "Say which bundle is in force", ScopeRead, "", func(o *huma.Operation) { o.Errors = []int{401, 403, 429, 500} }), s.modelInfo)
	// Huma describes a raw body as text.
	paths := s.api.OpenAPI().Paths
	for path, body := range map[string]*huma.RequestBody{"/predict": transaction, "/predict/batch": batch, "/score": transaction} {
		paths[path].Post.RequestBody = body
	}
	s.registerReads(common)
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// operation describes one, and holds it to its scope and its caller's rate.
func (s *Server) operation(id, method, path, summary, scope, description string, more func(*huma.Operation)) huma.Operation {
	o := huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Description: description, BodyReadTimeout: bodyTimeout, SkipValidateBody: true}
	if s.cfg.Auth != "off" {
		o.Security = []map[string][]string{{s.cfg.Auth: {scope}}}
	}
	more(&o)
	o.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		r, _ := humago.Unwrap(ctx)
		access := accessOf(ctx.Context())
		access.operation = id
		caller, err := s.gate.who(r)
		if err != nil {
			s.log.Info("refused", "error", err, "request_id", ctx.Context().Value(requestKey), "remote", r.RemoteAddr)
			s.refuse(ctx, s.unauthorized())
			return
		}
		access.caller = caller.name
		if !caller.may(scope) {
			s.refuse(ctx, newProblem(http.StatusForbidden, "the caller has not the scope "+scope))
			return
		}
		ok, standing := s.limits.allow(caller.name, 1)
		if !ok {
			s.refuse(ctx, standing.refusal("too many requests: slow down"))
			return
		}
		standing.headers(ctx.SetHeader)
		next(huma.WithValue(ctx, callerKey, caller))
	}}
	return o
}

// unauthorized asks for what API_AUTH wants.
func (s *Server) unauthorized() *problem {
	if s.cfg.Auth == "mtls" {
		return newProblem(http.StatusUnauthorized, "a client certificate is needed")
	}
	p := newProblem(http.StatusUnauthorized, "a valid bearer token is needed")
	p.headers = http.Header{"WWW-Authenticate": {`Bearer realm="mlmonitor"`}}
	return p
}

func (s *Server) refuse(ctx huma.Context, p *problem) {
	for name, values := range p.headers {
		ctx.SetHeader(name, values[0])
	}
	ctx.SetHeader("Content-Type", "application/problem+json")
	ctx.SetStatus(p.Status)
	if err := json.NewEncoder(ctx.BodyWriter()).Encode(p); err != nil {
		s.log.Debug("the caller is gone", "error", err)
	}
}

func (s *Server) predict(ctx context.Context, in *rawInput) (*rawOutput, error) {
	accessOf(ctx).transactions = 1
	payload, p := s.decide(ctx, in.RawBody)
	if p != nil {
		return nil, p
	}
	return &rawOutput{ContentType: "application/json", Body: payload}, nil
}

func (s *Server) predictBatch(ctx context.Context, in *rawInput) (*itemsOutput, error) {
	events, err := array(in.RawBody)
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, err.Error())
	}
	accessOf(ctx).transactions = len(events)
	if ok, standing := s.limits.allow(who(ctx).name, len(events)); !ok {
		return nil, standing.refusal("too many transactions: slow down")
	}
	items := make([]Item, len(events))
	var all sync.WaitGroup
	for i, event := range events {
		all.Go(func() {
			payload, p := s.decide(ctx, event)
			if p != nil {
				items[i] = Item{Status: p.Status, Problem: &Failure{p.Class, p.Detail, p.TransactionID}}
				return
			}
			items[i] = Item{Status: http.StatusOK, Verdict: json.RawMessage(payload)}
		})
	}
	all.Wait()
	return &itemsOutput{items}, nil
}

// array splits a JSON array into its elements, as they stand.
func array(text []byte) (events []json.RawMessage, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, errors.New("the body is no JSON array of transactions")
	}
	for dec.More() {
		if len(events) == maxBatch {
			return nil, fmt.Errorf("more than %d transactions", maxBatch)
		}
		var one json.RawMessage
		if err := dec.Decode(&one); err != nil {
			return nil, errors.New("the body is no JSON array of transactions")
		}
		events = append(events, one)
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("the array does not end")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("there is text after the array")
	}
	return events, nil
}

// decide has a transaction decided: the verdict's bytes, or why there are none.
func (s *Server) decide(ctx context.Context, event []byte) ([]byte, *problem) {
	id, key, refused := s.identify(event)
	if refused != nil {
		p := newProblem(http.StatusUnprocessableEntity, refused.Error())
		p.Class = refused.Class
		return nil, p
	}
	accessOf(ctx).one(id)
	asked, first := s.recent.begin(id)
	if first {
		go s.ask(context.WithoutCancel(ctx), asked, key, bytes.Clone(event))
	}
	wait, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	select {
	case <-asked.done:
	case <-wait.Done():
		p := newProblem(http.StatusGatewayTimeout, "no verdict yet: ask again with the same transaction")
		p.TransactionID = id
		return nil, p.retryAfter("1")
	}
	var p *problem
	switch {
	case errors.Is(asked.err, producer.ErrBusy):
		p = newProblem(http.StatusServiceUnavailable, "too many transactions wait for their verdicts").retryAfter("1")
	case errors.Is(asked.err, producer.ErrUnreachable):
		p = newProblem(http.StatusServiceUnavailable, "the transaction could not be published, and will not be decided").retryAfter("2")
	case asked.err != nil:
		p = newProblem(http.StatusGatewayTimeout, "nobody knows whether the transaction is decided").retryAfter("2")
	case asked.reply.Refusal != nil:
		p = newProblem(http.StatusUnprocessableEntity, asked.reply.Refusal.Message)
		p.Class = asked.reply.Refusal.Class
	default:
		return asked.reply.Payload, nil
	}
	p.TransactionID = id
	return nil, p
}

// auditTimeout bounds the look into the audit before a transaction is published: without an answer it is published.
const auditTimeout = 250 * time.Millisecond

// before gives the verdict that the audit has of a transaction already, the first where it has several; nil where it has none, or does not answer.
func (s *Server) before(ctx context.Context, id string) []byte {
	if s.sources.Find == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	found, err := s.sources.Find(ctx, id, maxRecorded)
	if err != nil {
		s.metrics.unlooked.Inc()
		s.log.Warn("a transaction is published without a look into the audit", "error", err)
		return nil
	}
	if len(found) == 0 {
		return nil
	}
	payload, ok := found[len(found)-1].Verdict.(json.RawMessage)
	if !ok {
		return nil
	}
	return payload
}

// ask publishes a transaction that the audit does not have, and waits for its reply longer than its caller does.
func (s *Server) ask(ctx context.Context, a *asked, key, event []byte) {
	ctx, cancel := context.WithTimeout(ctx, lateReply)
	defer cancel()
	if payload := s.before(ctx, a.id); payload != nil {
		s.recent.end(a, producer.Reply{Payload: payload}, nil)
		return
	}
	reply, err := s.asker.Ask(ctx, key, event)
	if err != nil && !errors.Is(err, producer.ErrBusy) {
		s.log.Warn("a transaction has no verdict", "transaction_id", a.id, "error", err)
	}
	s.recent.end(a, reply, err)
}

// hands are what reads and scores transactions under one bundle; they are used again.
type hands struct {
	bundle *scorer.Bundle
	pool   sync.Pool
}

type hand struct {
	decoder *schemas.Decoder
	row     []float64
	tx      schemas.Transaction
	scorer  *scorer.Scorer
}

// take gives hands for the bundle in force, and the way to give them back.
func (s *Server) take() (h *hand, bundle *scorer.Bundle, back func()) {
	bundle = s.inForce().Champion
	s.mu.Lock()
	if s.hands == nil || s.hands.bundle != bundle {
		s.hands = &hands{bundle: bundle}
		s.hands.pool.New = func() any {
			return &hand{decoder: bundle.Contract.NewDecoder(), row: make([]float64, len(bundle.Contract.FeatureNames())), scorer: bundle.NewScorer()}
		}
	}
	all := s.hands
	s.mu.Unlock()
	h = all.pool.Get().(*hand)
	return h, bundle, func() { all.pool.Put(h) }
}

// identify reads a transaction's id and key, as the contract in force has them. What it refuses is not published: it would be a dead letter.
func (s *Server) identify(event []byte) (id string, key []byte, refused *schemas.Error) {
	h, _, back := s.take()
	defer back()
	h.tx.Timestamp = time.Now()
	if err := h.decoder.Decode(event, h.row, &h.tx); err != nil {
		if !errors.As(err, &refused) {
			refused = &schemas.Error{Class: schemas.MalformedJSON, Detail: "it cannot be read"}
		}
		return "", nil, refused
	}
	return string(h.tx.ID), bytes.Clone(h.tx.Key), nil
}

func (s *Server) score(ctx context.Context, in *rawInput) (*whatIfOutput, error) {
	accessOf(ctx).transactions = 1
	h, b, back := s.take()
	defer back()
	h.scorer.Reset()
	h.scorer.Add(in.RawBody, time.Now())
	outcomes, err := h.scorer.Score()
	if err != nil {
		s.log.Error("the engine failed", "error", err)
		return nil, newProblem(http.StatusInternalServerError, "the engine failed")
	}
	if reason := outcomes[0].Err; reason != nil {
		p := newProblem(http.StatusUnprocessableEntity, reason.Error())
		p.Class = reason.Class
		return nil, p
	}
	v := &outcomes[0].Verdict
	return &whatIfOutput{WhatIf{true, string(v.Decision), v.Probability, v.Margin, named(b), append([]string{}, v.Findings...)}}, nil
}

func (s *Server) modelInfo(context.Context, *struct{}) (*modelOutput, error) {
	f := s.inForce()
	b := f.Champion
	info := ModelInfo{Bundle: named(b), Format: b.Model.Format(), Objective: b.Model.Objective(), Trees: b.Model.Trees(), Features: b.Contract.FeatureNames(), Review: b.Policy.Review, Decline: b.Policy.Decline, Reason: f.Reason}
	if f.Challenger != nil {
		one := named(f.Challenger)
		if info.Challenger = &one; f.Share > 0 {
			info.Canary, info.Share = &one, f.Share
		}
	}
	return &modelOutput{info}, nil
}

func named(b *scorer.Bundle) Bundle { return Bundle{b.ID.Name, b.ID.Version, b.ID.Digest} }

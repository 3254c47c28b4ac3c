package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// registerReads offers what there is to read.
func (s *Server) registerReads(common []int) {
	errors := func(more ...int) func(*huma.Operation) {
		return func(o *huma.Operation) { o.Errors = append([]int{401, 403, 429, 500}, more...) }
	}
	streams := func(kind string, schema *huma.Schema, more ...int) func(*huma.Operation) {
		return func(o *huma.Operation) {
			errors(more...)(o)
			o.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{kind: {Schema: schema}}}}
		}
	}
	text, object := &huma.Schema{Type: "string"}, &huma.Schema{Type: "object"}
	src := &s.sources
	if src.Find != nil {
		huma.Register(s.api, s.operation("verdict", http.MethodGet, "/verdicts/{transaction_id}", "Find the verdict of a transaction", ScopeRead,
			"From the audit: what was decided, by which bundle, and where it stands.", errors(404, 422, 503)), s.recorded)
	}
	if src.Search != nil {
		huma.Register(s.api, s.operation("verdicts", http.MethodGet, "/verdicts", "Search for verdicts", ScopeRead,
			"From the audit, the latest published first, page by page. Narrow a search that takes too long by from and to.", errors(422, 503)), s.search)
		huma.Register(s.api, s.operation("verdicts-csv", http.MethodGet, "/verdicts.csv", "Export verdicts as CSV", ScopeRead,
			"As verdicts, as one file. A connection that is cut off means that the file is not whole.", streams("text/csv", text, 422, 503)), s.export)
	}
	if src.Models != nil {
		huma.Register(s.api, s.operation("model-history", http.MethodGet, "/model/history", "Tell which bundles decided", ScopeRead,
			"What scorers have said in the topic of models, the latest first.", errors(503)), s.modelHistory)
	}
	if src.Drift != nil {
		huma.Register(s.api, s.operation("drift-status", http.MethodGet, "/drift/status", "Say how far the input has drifted", ScopeRead,
			"The transactions of the last while (API_DRIFT_WINDOW; the latest API_DRIFT_RECORDS of them) against the profile of the bundle in force. Measured again when it is older than 15 s.", errors(503)), s.driftStatus)
		huma.Register(s.api, s.operation("drift-report", http.MethodGet, "/drift/report", "Report drift and data quality", ScopeRead,
			"As `mlmonitor drift report` makes it, with histograms; of a range of time the latest API_DRIFT_RECORDS transactions.", func(o *huma.Operation) {
				streams("application/json", object, 422, 503)(o)
				o.Responses["200"].Content["text/html"] = &huma.MediaType{Schema: text}
			}), s.driftReport)
	}
	if src.DeadLetters != nil {
		huma.Register(s.api, s.operation("dead-letters", http.MethodGet, "/dead-letters", "List the latest dead letters", ScopeRead,
			"Why and whence, without their values; `mlmonitor dlq list` shows those.", errors(503)), s.deadLetters)
	}
	if src.Replicas != nil {
		huma.Register(s.api, s.operation("replicas", http.MethodGet, "/replicas", "List the scorers", ScopeRead,
			"The members of the group, their partitions, and how many inputs of each are not answered yet.", errors(503)), s.showReplicas)
	}
	if src.Follow != nil {
		huma.Register(s.api, s.operation("stream", http.MethodGet, "/stream", "Watch live figures", ScopeRead,
			"Server-sent events: `past`, an array of the figures of the last minutes, then `second` with those of each second. Ends after ten minutes: connect again.",
			streams("text/event-stream", text, 503)), s.stream)
		s.api.OpenAPI().Components.Schemas.Schema(typeOf[Figures](), true, "Figures")
	}
}

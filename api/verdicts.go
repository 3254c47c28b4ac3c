package api

import (
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// Bounds of searches.
const (
	maxRecorded = 20      // verdicts of one id
	maxPage     = 500     // of a search
	maxExport   = 100_000 // rows of one file
	exportPage  = 1000
)

type recordedInput struct {
	TransactionID string `path:"transaction_id" minLength:"1" maxLength:"1024" doc:"of the event"`
}

type recordedOutput struct{ Body Recorded }

func (s *Server) recorded(ctx context.Context, in *recordedInput) (*recordedOutput, error) {
	accessOf(ctx).about = in.TransactionID
	found, err := s.sources.Find(ctx, in.TransactionID, maxRecorded)
	if err != nil {
		return nil, s.unreadable("the audit", err)
	}
	if len(found) == 0 {
		return nil, newProblem(http.StatusNotFound, "the audit has no verdict of this transaction id")
	}
	return &recordedOutput{Recorded{in.TransactionID, found}}, nil
}

// unreadable is the answer where a source does not answer; why is for the log.
func (s *Server) unreadable(what string, err error) error {
	s.log.Error(what+" cannot be read", "error", err)
	return newProblem(http.StatusServiceUnavailable, what+" cannot be read now").retryAfter("2")
}

// Filter narrows searches: of page and export alike. Exported, since only such fields are filled.
type Filter struct {
	Decision       string    `query:"decision" enum:"approve,review,decline"`
	Bundle         string    `query:"bundle" maxLength:"100" doc:"digest, as verdicts name it"`
	MinProbability float64   `query:"min_probability" minimum:"0" maximum:"1"`
	From           time.Time `query:"from" doc:"published then or later"`
	To             time.Time `query:"to" doc:"published before"`
}

func (f *Filter) query() Query {
	return Query{Decision: schemas.Decision(f.Decision), Bundle: f.Bundle, MinProbability: f.MinProbability, From: f.From, To: f.To}
}

type searchInput struct {
	Filter
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500"`
	Cursor string `query:"cursor" maxLength:"2000" doc:"next of the page before; the other parameters as they were there"`
}

type searchOutput struct{ Body Page }

// Page is a part of what a search found.
type Page struct {
	Verdicts []RecordedVerdict `json:"verdicts" doc:"the latest published first"`
	Next     string            `json:"next,omitempty" doc:"cursor of the next page; absent on the last"`
}

func (s *Server) search(ctx context.Context, in *searchInput) (*searchOutput, error) {
	q := in.query()
	if in.Cursor != "" {
		var err error
		if q.After, err = parseCursor(in.Cursor); err != nil {
			return nil, newProblem(http.StatusUnprocessableEntity, "the cursor is none of this API's")
		}
	}
	q.Limit = in.Limit + 1 // one more says whether there is a next page
	found, err := s.sources.Search(ctx, q)
	if err != nil {
		return nil, s.unreadable("the audit", err)
	}
	page := Page{Verdicts: append([]RecordedVerdict{}, found...)}
	if len(found) > in.Limit {
		page.Verdicts = page.Verdicts[:in.Limit]
		page.Next = found[in.Limit-1].cursor()
	}
	return &searchOutput{page}, nil
}

func (v *RecordedVerdict) place() Place { return Place{v.PublishedAt, v.Topic, v.Partition, v.Offset} }

func (v *RecordedVerdict) cursor() string {
	text, err := json.Marshal(v.place())
	if err != nil {
		return "" // a time beyond the year 9999, which the audit does not keep
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(text string) (*Place, error) {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	var p Place
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, err
	}
	return &p, nil
}

type exportInput struct {
	Filter
	Limit int `query:"limit" default:"10000" minimum:"1" maximum:"100000" doc:"rows at most"`
}

var exportColumns = []string{"published_at", "transaction_id", "decision", "probability", "margin", "findings", "event_time", "bundle_name", "bundle_version", "bundle_digest",
	"source_topic", "source_partition", "source_offset", "topic", "partition", "offset"}

// export writes what a search finds as CSV (RFC 4180). A failure after the first rows cuts the connection off: no file that looks whole is not.
func (s *Server) export(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
	q := in.query()
	q.Limit = min(in.Limit, exportPage)
	rows, err := s.sources.Search(ctx, q)
	if err != nil {
		return nil, s.unreadable("the audit", err)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		control := http.NewResponseController(w)
		hc.SetHeader("Content-Type", "text/csv; charset=utf-8")
		hc.SetHeader("Content-Disposition", `attachment; filename="verdicts.csv"`)
		out := csv.NewWriter(w)
		fail := func(err error) {
			s.log.Error("an export was cut off", "error", err)
			panic(http.ErrAbortHandler)
		}
		if err := out.Write(exportColumns); err != nil {
			return
		}
		for left := in.Limit; ; {
			for i := range rows {
				line, err := exportLine(&rows[i])
				if err != nil {
					fail(err)
				}
				if out.Write(line) != nil {
					return // the caller is gone
				}
			}
			left -= len(rows)
			if len(rows) < q.Limit || left <= 0 {
				break
			}
			if control.SetWriteDeadline(time.Now().Add(2*writeEach)) != nil {
				return
			}
			after := rows[len(rows)-1].place()
			q.After, q.Limit = &after, min(left, exportPage)
			if rows, err = s.sources.Search(hc.Context(), q); err != nil {
				fail(err)
			}
		}
		out.Flush()
	}}, nil
}

func exportLine(r *RecordedVerdict) ([]string, error) {
	text, ok := r.Verdict.(json.RawMessage)
	if !ok {
		text = nil
	}
	v, err := schemas.ParseVerdict(text)
	if err != nil {
		return nil, err
	}
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	line := []string{r.PublishedAt.Format(time.RFC3339Nano), string(v.TransactionID), string(v.Decision), number(v.Probability), number(v.Margin), strings.Join(v.Findings, " "),
		v.EventTime.Format(time.RFC3339Nano), v.Bundle.Name, v.Bundle.Version, v.Bundle.Digest, v.Source.Topic, strconv.Itoa(int(v.Source.Partition)), strconv.FormatInt(v.Source.Offset, 10),
		r.Topic, strconv.Itoa(int(r.Partition)), strconv.FormatInt(r.Offset, 10)}
	for _, i := range []int{1, 5, 7, 8} {
		line[i] = harmless(line[i])
	}
	return line, nil
}

// harmless keeps a spreadsheet from taking a text for a formula (CWE-1236).
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

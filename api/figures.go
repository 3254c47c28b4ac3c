package api

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"time"

	"github.com/mlmonitor/mlmonitor/reports"
)

// How long what was read answers for.
const (
	driftFresh    = 15 * time.Second
	modelsFresh   = 5 * time.Second
	lettersFresh  = 2 * time.Second
	replicasFresh = 2 * time.Second
)

// maxLetters is how many dead letters are told.
const maxLetters = 200

// DriftStatus is a drift report in short.
type DriftStatus struct {
	At           time.Time      `json:"at"`
	Source       string         `json:"source" doc:"what was compared"`
	Bundle       Bundle         `json:"bundle" doc:"whose profile it was compared with"`
	Transactions int64          `json:"transactions"`
	Level        string         `json:"level" doc:"the worst of any feature, as of alerts"`
	Features     []DriftFeature `json:"features" doc:"the worst first"`
	Broken       []string       `json:"broken_rules" doc:"quality rules that do not hold"`
}

// DriftFeature says how far a feature is from its profile. Figures that are undefined are absent.
type DriftFeature struct {
	Feature  string   `json:"feature"`
	Level    string   `json:"level"`
	PSI      *float64 `json:"psi,omitempty"`
	Critical *float64 `json:"psi_critical,omitempty" doc:"what chance alone does not exceed"`
	P        *float64 `json:"p_bonferroni,omitempty"`
}

// ModelChange is what a scorer said of the bundle that decides.
type ModelChange struct {
	At       time.Time `json:"at"`
	Bundle   Bundle    `json:"bundle"`
	Canary   *Bundle   `json:"canary,omitempty"`
	Share    float64   `json:"canary_share,omitempty"`
	Previous string    `json:"previous,omitempty" doc:"digest"`
	Reason   string    `json:"reason"`
	Instance string    `json:"instance"`
	// Offsets by partition, as text: JSON has no other names.
	Offsets map[string]int64 `json:"offsets,omitempty" doc:"of the first inputs that it decides, by partition"`
}

// DeadLetter is an input that was not scored; its value is not told.
type DeadLetter struct {
	Class     string    `json:"class"`
	Message   string    `json:"message"`
	Source    Source    `json:"source"`
	At        time.Time `json:"at" doc:"of the input"`
	Bundle    string    `json:"bundle" doc:"digest of the bundle that refused it"`
	Attempt   int       `json:"attempt"`
	Partition int32     `json:"partition" doc:"of the topic of dead letters"`
	Offset    int64     `json:"offset"`
}

// Replicas are the scorers, and how far they are.
type Replicas struct {
	Group      string      `json:"group"`
	State      string      `json:"state"`
	Members    []Member    `json:"members"`
	Partitions []Partition `json:"partitions"`
}

// Member is one of the group.
type Member struct {
	Name       string  `json:"name"`
	Host       string  `json:"host"`
	Partitions []int32 `json:"partitions"`
	Bundle     *Bundle `json:"bundle,omitempty" doc:"that it last said it has"`
}

// Partition of the input.
type Partition struct {
	Partition int32 `json:"partition"`
	Behind    int64 `json:"behind" doc:"inputs that are not answered yet"`
}

type driftStatusOutput struct{ Body DriftStatus }

func (s *Server) driftStatus(ctx context.Context, _ *struct{}) (*driftStatusOutput, error) {
	r, err := s.drift.get(ctx)
	if err != nil {
		return nil, s.unreadable("the input", err)
	}
	status := DriftStatus{At: time.Now().UTC().Truncate(time.Second), Source: r.Source, Bundle: Bundle{r.Bundle.Name, r.Bundle.Version, r.Bundle.Digest}, Transactions: r.Transactions, Level: string(r.Verdict), Features: []DriftFeature{}, Broken: []string{}}
	for _, f := range r.Features {
		status.Features = append(status.Features, DriftFeature{f.Name, string(f.Level), defined(f.PSI), defined(f.Critical), defined(f.Bonferroni)})
	}
	for _, q := range r.Quality {
		if !q.Holds {
			status.Broken = append(status.Broken, q.Name)
		}
	}
	return &driftStatusOutput{status}, nil
}

func defined(n reports.Number) *float64 {
	x := float64(n)
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

type driftReportInput struct {
	From   time.Time `query:"from" doc:"timestamp of the record; without one, and without to: the window of /drift/status"`
	To     time.Time `query:"to"`
	Format string    `query:"format" enum:"json,html" default:"json"`
}

// latestWindow is the range that drift is shown of.
func (s *Server) latestWindow(ctx context.Context) (*reports.Report, error) {
	return s.sources.Drift(ctx, time.Now().Add(-s.cfg.DriftWindow), time.Time{})
}

func (s *Server) driftReport(ctx context.Context, in *driftReportInput) (*rawOutput, error) {
	report, err := s.reportOf(ctx, in)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if in.Format == "html" {
		if err := report.HTML(&out); err != nil {
			return nil, s.unreadable("the report", err)
		}
		return &rawOutput{ContentType: "text/html; charset=utf-8", Body: out.Bytes()}, nil
	}
	if err := json.NewEncoder(&out).Encode(report); err != nil {
		return nil, s.unreadable("the report", err)
	}
	return &rawOutput{ContentType: "application/json", Body: out.Bytes()}, nil
}

func (s *Server) reportOf(ctx context.Context, in *driftReportInput) (*reports.Report, error) {
	if in.From.IsZero() && in.To.IsZero() {
		r, err := s.drift.get(ctx)
		if err != nil {
			return nil, s.unreadable("the input", err)
		}
		return r, nil
	}
	if !in.To.IsZero() && !in.From.Before(in.To) {
		return nil, newProblem(http.StatusUnprocessableEntity, "from is not before to")
	}
	select {
	case s.reporting <- struct{}{}:
		defer func() { <-s.reporting }()
	default:
		return nil, newProblem(http.StatusServiceUnavailable, "another report is being made").retryAfter("2")
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	r, err := s.sources.Drift(ctx, in.From, in.To)
	if err != nil {
		return nil, s.unreadable("the input", err)
	}
	return r, nil
}

type modelsOutput struct{ Body []ModelChange }

func (s *Server) modelHistory(ctx context.Context, _ *struct{}) (*modelsOutput, error) {
	all, err := s.models.get(ctx)
	if err != nil {
		return nil, s.unreadable("the topic of models", err)
	}
	return &modelsOutput{append([]ModelChange{}, all...)}, nil
}

type lettersOutput struct{ Body []DeadLetter }

func (s *Server) deadLetters(ctx context.Context, _ *struct{}) (*lettersOutput, error) {
	all, err := s.letters.get(ctx)
	if err != nil {
		return nil, s.unreadable("the topic of dead letters", err)
	}
	return &lettersOutput{append([]DeadLetter{}, all...)}, nil
}

type replicasOutput struct{ Body Replicas }

func (s *Server) showReplicas(ctx context.Context, _ *struct{}) (*replicasOutput, error) {
	all, err := s.replicas.get(ctx)
	if err != nil {
		return nil, s.unreadable("the group of scorers", err)
	}
	return &replicasOutput{*all}, nil
}

package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// problem is RFC 9457's, and what an answer without a verdict says. Nothing internal is in it.
type problem struct {
	Type          string        `json:"type" doc:"about:blank: the status says it"`
	Title         string        `json:"title"`
	Status        int           `json:"status"`
	Detail        string        `json:"detail,omitempty"`
	Class         schemas.Class `json:"class,omitempty" doc:"reason class, as of dead letters"`
	TransactionID string        `json:"transaction_id,omitempty"`
	Errors        []string      `json:"errors,omitempty"`
	headers       http.Header
}

func (p *problem) Error() string { return p.Detail }

// GetStatus is of huma.StatusError.
func (p *problem) GetStatus() int { return p.Status }

// ContentType is of huma.ContentTypeFilter.
func (p *problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders is of huma.HeadersError.
func (p *problem) GetHeaders() http.Header { return p.headers }

func newProblem(status int, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

func (p *problem) retryAfter(seconds string) *problem {
	p.headers = http.Header{"Retry-After": {seconds}}
	return p
}

func init() {
	// Problems of huma's own, such as a body that is too large, look as ours do.
	huma.NewError = func(status int, detail string, errs ...error) huma.StatusError {
		p := newProblem(status, detail)
		for _, err := range errs {
			if err != nil && status < http.StatusInternalServerError {
				p.Errors = append(p.Errors, err.Error())
			}
		}
		return p
	}
}

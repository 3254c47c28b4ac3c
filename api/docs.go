package api

import (
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsPage string

var docsTemplate = template.Must(template.New("docs").Parse(docsPage))

// endpoint is a line of the page.
type endpoint struct {
	Method, Path, Summary, Description, Scope string
	Statuses                                  []string
}

// docs describes the API in one page that needs nothing from elsewhere.
func (s *Server) docs(w http.ResponseWriter, r *http.Request) {
	accessOf(r.Context()).operation = "docs"
	var all []endpoint
	for path, item := range s.api.OpenAPI().Paths {
		for method, o := range map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPost: item.Post} {
			if o == nil {
				continue
			}
			e := endpoint{Method: method, Path: path, Summary: o.Summary, Description: o.Description}
			for status := range o.Responses {
				e.Statuses = append(e.Statuses, status)
			}
			slices.Sort(e.Statuses)
			for _, need := range o.Security {
				e.Scope = strings.Join(need[s.cfg.Auth], " ")
			}
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b endpoint) int { return strings.Compare(a.Path, b.Path) })
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := docsTemplate.Execute(w, map[string]any{"Endpoints": all, "Auth": s.cfg.Auth}); err != nil {
		s.log.Debug("the caller is gone", "error", err)
	}
}

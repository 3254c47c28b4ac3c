package torture

import (
	_ "embed"
	"html/template"
	"io"
)

// HTML writes the report.
func (r *Result) HTML(w io.Writer) error { return page.Execute(w, r) }

var page = template.Must(template.New("report").Parse(`{{.Seed}}`))

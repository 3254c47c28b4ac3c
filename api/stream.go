package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// writeEach bounds the write of one event: who does not read is let go.
const writeEach = 5 * time.Second

// stream sends live figures as server-sent events (WHATWG HTML, 9.2): event "past" with an array of those of the last minutes, then "second" with each one that comes.
// It ends after ten minutes, with which the token's lifetime is looked at again: browsers come back by themselves.
func (s *Server) stream(_ context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	last, each, leave, err := s.live.watch()
	if err != nil {
		return nil, newProblem(http.StatusServiceUnavailable, err.Error()).retryAfter("10")
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer leave()
		r, w := humago.Unwrap(ctx)
		ctx.SetHeader("Content-Type", "text/event-stream")
		ctx.SetHeader("X-Accel-Buffering", "no") // of nginx
		control := http.NewResponseController(w)
		send := func(event string, data any) error {
			text, err := json.Marshal(data)
			if err != nil {
				return err
			}
			if err := control.SetWriteDeadline(time.Now().Add(writeEach)); err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, text); err != nil {
				return err
			}
			return control.Flush()
		}
		err := send("past", last)
		end := time.NewTimer(streamsAtMost)
		defer end.Stop()
		for err == nil {
			select {
			case f := <-each:
				err = send("second", f)
			case <-r.Context().Done():
				return
			case <-s.closing:
				return
			case <-end.C:
				return
			}
		}
		s.log.Debug("a watcher is gone", "error", err)
	}}, nil
}

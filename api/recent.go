package api

import (
	"container/list"
	"sync"

	"github.com/mlmonitor/mlmonitor/producer"
)

// recent remembers what became of the last transactions, by their ids: one that comes again waits for, or gets, the verdict of the first. It is of one process.
type recent struct {
	most int

	mu    sync.Mutex
	byID  map[string]*list.Element
	order *list.List // of *asked, the latest in front
}

// asked is a transaction that was published, or is about to be.
type asked struct {
	id    string
	done  chan struct{} // closed when it is known what became of it
	reply producer.Reply
	err   error
}

func newRecent(most int) *recent {
	return &recent{most: most, byID: map[string]*list.Element{}, order: list.New()}
}

// begin gives what is known of a transaction; first when it is the caller's to publish it.
func (r *recent) begin(id string) (a *asked, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.byID[id]; ok {
		r.order.MoveToFront(e)
		return e.Value.(*asked), false
	}
	a = &asked{id: id, done: make(chan struct{})}
	r.byID[id] = r.order.PushFront(a)
	for e := r.order.Back(); r.order.Len() > r.most+1 && e != nil; {
		before := e.Prev()
		select {
		case <-e.Value.(*asked).done:
			r.drop(e)
		default: // somebody waits for it: those are bounded otherwise
		}
		e = before
	}
	return a, true
}

// end says what became of it. One that was not published, or of which nobody knows, is forgotten, and before anybody hears of it: it may be sent again.
func (r *recent) end(a *asked, reply producer.Reply, err error) {
	a.reply, a.err = reply, err
	defer close(a.done)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && r.most > 0 {
		return
	}
	if e, ok := r.byID[a.id]; ok && e.Value.(*asked) == a {
		r.drop(e)
	}
}

func (r *recent) drop(e *list.Element) {
	delete(r.byID, e.Value.(*asked).id)
	r.order.Remove(e)
}

package replay

import (
	"fmt"
	"time"
)

// today is the day of the last event: neighbours in the input are so in time.
type today struct {
	number int64 // days since 1970
	date   string
	day    *Day
	sides  [2]*SideDay
}

// at gives the day of a time.
func (w *worker) at(t time.Time) (*today, error) {
	number := t.Unix() / 86_400
	if t.Unix()%86_400 < 0 {
		number--
	}
	if w.today.day != nil && number == w.today.number {
		return &w.today, nil
	}
	c := w.counts
	date := t.UTC().Format(time.DateOnly)
	if c.Days[date] == nil {
		if len(c.Days) >= maxDays {
			return nil, fmt.Errorf("%s is one of more than %d days: replay a shorter time", date, maxDays)
		}
		c.Days[date] = &Day{}
	}
	w.today = today{number: number, date: date, day: c.Days[date]}
	return &w.today, nil
}

package producer

const (
	recentPayments = 64 // the counts of the windows stop here
	averageDays    = 30
	knownTerminals = 24
	reportDays     = 7
)

// spans of the windows of a customer's velocity, milliseconds: count_1h, count_24h and amount_24h, count_7d and amount_7d.
var spans = [3]int64{hourMillis, dayMillis, 7 * dayMillis}

// payment is what the windows remember of one.
type payment struct {
	at    int64 // Unix milliseconds
	cents int64
}

// velocity holds a customer's sliding windows. Each payment enters and leaves each window once, so that adding one costs constant time on
// average.
type velocity struct {
	recent [recentPayments]payment // ring
	total  uint64                  // payments ever
	oldest [len(spans)]uint64      // number of each window's first payment
	cents  [len(spans)]int64       // sum of each window

	day   int64 // of the newest bucket, since 1970
	daily [averageDays]struct{ count, cents int64 }
	count int64 // sum of the buckets
	sum   int64
}

// add counts a payment; at never goes back. It returns the seconds since the one before, -1 where there is none within seven days.
func (v *velocity) add(at, cents int64) (sinceLast int64) {
	sinceLast = -1
	if v.total > 0 {
		if gap := at - v.recent[(v.total-1)%recentPayments].at; gap <= spans[len(spans)-1] {
			sinceLast = gap / 1000
		}
	}
	for w, span := range spans {
		for v.oldest[w] < v.total {
			p := v.recent[v.oldest[w]%recentPayments]
			if p.at > at-span && v.total-v.oldest[w] < recentPayments {
				break
			}
			v.cents[w] -= p.cents
			v.oldest[w]++
		}
		v.cents[w] += cents
	}
	v.recent[v.total%recentPayments] = payment{at, cents}
	v.total++
	v.addDaily(at/dayMillis, cents)
	return sinceLast
}

func (v *velocity) addDaily(day, cents int64) {
	for v.day = max(v.day, day-averageDays); v.day < day; {
		v.day++
		b := &v.daily[v.day%averageDays]
		v.count -= b.count
		v.sum -= b.cents
		*b = struct{ count, cents int64 }{}
	}
	b := &v.daily[day%averageDays]
	b.count++
	b.cents += cents
	v.count++
	v.sum += cents
}

// window is the count and the sum, in cents, of spans[w].
func (v *velocity) window(w int) (count, cents int64) {
	return int64(v.total - v.oldest[w]), v.cents[w]
}

// average is the mean amount in cents of today and the 29 days before, rounded down.
func (v *velocity) average() int64 { return v.sum / max(v.count, 1) }

// recentTerminals is the set of terminals that a customer used last.
type recentTerminals struct {
	ring [knownTerminals]uint32 // terminal plus one; 0 is free
	next int
}

// add says whether the terminal is new, and remembers it.
func (r *recentTerminals) add(terminal uint32) bool {
	for _, known := range r.ring {
		if known == terminal+1 {
			return false
		}
	}
	r.ring[r.next] = terminal + 1
	r.next = (r.next + 1) % knownTerminals
	return true
}

// reports counts what holders reported as fraud at a terminal. A report shows from the next day on: nobody knows sooner.
type reports struct {
	day     int64 // since 1970, the one that is being counted
	payment [reportDays + 1]int64
	fraud   [reportDays + 1]int64
	share   float64 // of the seven days before day
}

// add counts a payment on a day; days never go back.
func (r *reports) add(day int64, reported bool) {
	r.turn(day)
	i := day % (reportDays + 1)
	r.payment[i]++
	if reported {
		r.fraud[i]++
	}
}

// turn moves to a day and works out the share of the days before.
func (r *reports) turn(day int64) {
	if r.day == day {
		return
	}
	for r.day = max(r.day, day-reportDays-1); r.day < day; {
		r.day++
		r.payment[r.day%(reportDays+1)], r.fraud[r.day%(reportDays+1)] = 0, 0
	}
	var payments, frauds int64
	for i := range r.payment {
		payments += r.payment[i]
		frauds += r.fraud[i]
	}
	r.share = float64(frauds) / float64(max(payments, 1))
}

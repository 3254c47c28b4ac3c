package schemas

import (
	"math"
	"time"
	_ "time/tzdata" // so that an image without zone files still has every zone
)

// timeFormat is how an event writes a time.
type timeFormat uint8

const (
	rfc3339 timeFormat = iota + 1
	unixSeconds
	unixMillis
)

// timePart is the part of a local time that becomes a feature.
type timePart uint8

const (
	partHour timePart = iota + 1
	partMinute
	partWeekday // Monday 0
	partDay     // of the month, from 1
	partMonth   // from 1
	partYearday // from 1
	partHourOfWeek
)

// instant is a time in UTC: seconds since 1970 and nanoseconds of the second.
type instant struct {
	sec  int64
	nsec int64
}

func (t instant) time() time.Time { return time.Unix(t.sec, t.nsec).UTC() }

// parseRFC3339 reads YYYY-MM-DDThh:mm:ss, up to nine digits of a second, and Z or ±hh:mm. It refuses what time.Parse refuses, leap
// seconds and small letters among that, and times outside of the years 1 to 9999 in UTC.
func parseRFC3339(b []byte) (instant, bool) {
	if len(b) < len("2006-01-02T15:04:05Z") || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return instant{}, false
	}
	century, year, month, day := two(b[0:]), two(b[2:]), two(b[5:]), two(b[8:])
	hour, minute, second := two(b[11:]), two(b[14:]), two(b[17:])
	if century|year|month|day|hour|minute|second < 0 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return instant{}, false
	}
	year += 100 * century
	if day < 1 || day > daysOf(year, month) {
		return instant{}, false
	}
	b = b[19:]
	var nsec int64
	if b[0] == '.' {
		i, unit := 1, int64(1e9)
		for ; i < len(b) && b[i]-'0' <= 9; i++ {
			unit /= 10
			nsec += int64(b[i]-'0') * unit
		}
		if i < 2 || i > 10 {
			return instant{}, false
		}
		b = b[i:]
	}
	sec := daysSince1970(year, month, day)*86400 + int64(hour*3600+minute*60+second)
	switch {
	case len(b) == 1 && b[0] == 'Z':
	case len(b) == 6 && (b[0] == '+' || b[0] == '-') && b[3] == ':':
		h, m := two(b[1:]), two(b[4:])
		if h|m < 0 || h > 23 || m > 59 {
			return instant{}, false
		}
		east := int64(h*3600 + m*60)
		if b[0] == '-' {
			east = -east
		}
		sec -= east
	default:
		return instant{}, false
	}
	return instant{sec, nsec}, sec >= minUnix && sec <= maxUnix
}

// two reads two decimal digits; it is negative if they are none.
func two(b []byte) int {
	hi, lo := b[0]-'0', b[1]-'0'
	if hi > 9 || lo > 9 {
		return math.MinInt
	}
	return int(hi)*10 + int(lo)
}

func daysOf(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts days of the Gregorian calendar in eras of 400 years that begin in March (Hinnant, days_from_civil).
func daysSince1970(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	return int64(year*365+year/4-year/100+year/400+dayOfYear) - 719468
}

// unixTime turns a whole number of seconds or milliseconds into an instant.
func unixTime(n int64, f timeFormat) (instant, bool) {
	t := instant{sec: n}
	if f == unixMillis {
		t.sec = floorDiv(n, 1000)
		t.nsec = (n - t.sec*1000) * 1e6
	}
	return t, t.sec >= minUnix && t.sec <= maxUnix
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// zone turns instants into local times of one place. It remembers the last period without a change of the clocks, so that events close in
// time need no look-up.
type zone struct {
	location *time.Location
	from, to int64 // seconds since 1970, [from, to) has offset east
	east     int64 // seconds
}

// part returns one part of the local time at t.
func (z *zone) part(t instant, p timePart) float64 {
	if t.sec < z.from || t.sec >= z.to {
		z.enter(t)
	}
	local := t.sec + z.east
	day := floorDiv(local, 86400)
	second := local - day*86400
	weekday := (day + 3) % 7 // 1970-01-01 was a Thursday
	if weekday < 0 {
		weekday += 7
	}
	switch p {
	case partHour:
		return float64(second / 3600)
	case partMinute:
		return float64(second / 60 % 60)
	case partWeekday:
		return float64(weekday)
	case partHourOfWeek:
		return float64(weekday*24 + second/3600)
	}
	date := time.Unix(local, 0).UTC()
	switch p {
	case partDay:
		return float64(date.Day())
	case partMonth:
		return float64(date.Month())
	default: // partYearday
		return float64(date.YearDay())
	}
}

// enter finds the period around t.
func (z *zone) enter(t instant) {
	local := t.time().In(z.location)
	_, east := local.Zone()
	start, end := local.ZoneBounds()
	z.from, z.to, z.east = math.MinInt64, math.MaxInt64, int64(east)
	if !start.IsZero() {
		z.from = start.Unix()
	}
	if !end.IsZero() {
		z.to = end.Unix()
	}
}

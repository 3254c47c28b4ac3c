package producer

import (
	"math"
	"strconv"
	"time"
)

// transaction is a payment on its way into an event.
type transaction struct {
	at          int64 // Unix milliseconds
	customer    *customer
	terminal    *terminal
	index       uint32 // of the terminal
	fraud       string
	channel     string
	present     bool    // the card was there
	cents       int64   // amount
	distance    float64 // kilometres from home, NaN where unknown
	mood        float64 // 0..1: whether the holder reports the payment as fraud
	sinceLast   int64   // seconds, -1 where there is nothing to count from
	newTerminal bool
}

// appendJSON appends the event. Counts and sums of the windows include the transaction itself.
func (tx *transaction) appendJSON(b []byte, number uint64) []byte {
	c, t := tx.customer, tx.terminal
	b = append(b, `{"transaction_id":"`...)
	b = appendTransactionID(b, number)
	b = append(b, `","customer":{"id":"`...)
	b = append(b, c.id...)
	b = append(b, `","age_days":`...)
	b = strconv.AppendInt(b, max(tx.at/dayMillis-c.joined, 0), 10)
	b = append(b, `},"terminal":{"id":"`...)
	b = append(b, t.id...)
	b = append(b, `","mcc":`...)
	b = strconv.AppendInt(b, int64(t.mcc), 10)
	b = append(b, `},"card":{"present":`...)
	b = strconv.AppendBool(b, tx.present)
	b = append(b, `},"amount":`...)
	b = appendDecimal(b, tx.cents, 100)
	b = append(b, `,"currency":"EUR","channel":"`...)
	b = append(b, tx.channel...)
	b = append(b, `","country":"`...)
	b = append(b, t.country...)
	b = append(b, `","distance_km":`...)
	if math.IsNaN(tx.distance) {
		b = append(b, `null`...)
	} else {
		b = appendDecimal(b, int64(math.Round(tx.distance*10)), 10)
	}
	b = append(b, `,"event_time":"`...)
	b = time.UnixMilli(tx.at).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","velocity":{`...)
	b = tx.appendVelocity(b)
	return append(b, `}}`...)
}

func (tx *transaction) appendVelocity(b []byte) []byte {
	v := &tx.customer.spent
	hour, _ := v.window(0)
	day, dayCents := v.window(1)
	week, weekCents := v.window(2)
	b = append(b, `"count_1h":`...)
	b = strconv.AppendInt(b, hour, 10)
	b = append(b, `,"count_24h":`...)
	b = strconv.AppendInt(b, day, 10)
	b = append(b, `,"count_7d":`...)
	b = strconv.AppendInt(b, week, 10)
	b = append(b, `,"amount_24h":`...)
	b = appendDecimal(b, dayCents, 100)
	b = append(b, `,"amount_7d":`...)
	b = appendDecimal(b, weekCents, 100)
	b = append(b, `,"avg_amount_30d":`...)
	b = appendDecimal(b, v.average(), 100)
	b = append(b, `,"seconds_since_last":`...)
	if tx.sinceLast < 0 {
		b = append(b, `null`...)
	} else {
		b = strconv.AppendInt(b, tx.sinceLast, 10)
	}
	b = append(b, `,"terminal_fraud_7d":`...)
	b = appendDecimal(b, int64(math.Round(tx.terminal.reports.share*10_000)), 10_000)
	b = append(b, `,"new_terminal":`...)
	return strconv.AppendBool(b, tx.newTerminal)
}

// appendTransactionID appends the id of a transaction's number: tx- and at least twelve digits.
func appendTransactionID(b []byte, number uint64) []byte {
	b = append(b, "tx-"...)
	for limit := uint64(100_000_000_000); limit > max(number, 1); limit /= 10 {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, number, 10)
}

// appendDecimal appends units/scale, scale a power of ten, without zeros at the end; units are not negative.
func appendDecimal(b []byte, units, scale int64) []byte {
	b = strconv.AppendInt(b, units/scale, 10)
	rest := units % scale
	if rest == 0 {
		return b
	}
	b = append(b, '.')
	for rest > 0 {
		scale /= 10
		b = append(b, byte('0'+rest/scale))
		rest %= scale
	}
	return b
}

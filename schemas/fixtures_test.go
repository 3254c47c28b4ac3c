package schemas

import (
	"errors"
	"testing"
)

// event is one of the simulator's.
const event = `{"transaction_id":"tx-000000000042","customer":{"id":"c-00017","age_days":812},"terminal":{"id":"t-0042","mcc":5411},` +
	`"card":{"present":true},"amount":12.5,"currency":"EUR","channel":"pos","country":"DE","distance_km":3.2,` +
	`"event_time":"2026-01-05T10:11:12.345Z","velocity":{"count_1h":1,"count_24h":3,"count_7d":9,"amount_24h":55.1,"amount_7d":201.0,` +
	`"avg_amount_30d":31.2,"seconds_since_last":5321,"terminal_fraud_7d":0.01,"new_terminal":false}}`

// contractHead has the fields that every contract needs and event has.
const contractHead = `version: 1
event:
  transaction_id: transaction_id
  key: customer.id
  event_time: {path: event_time, format: rfc3339}
  amount: amount
features:
`

// simulatorContract reads every field of event.
const simulatorContract = contractHead + `
  - {name: amount, path: amount, type: number, missing: reject, domain: {min: 0, max: 1000000}, outside: reject}
  - {name: age_days, path: customer.age_days, type: integer, missing: nan, domain: {min: 0, max: 36500}, outside: flag}
  - {name: mcc, path: terminal.mcc, type: category, codes: {5411: 0, 5812: 1, 4829: 2}, unknown: {code: 3}}
  - {name: card_present, path: card.present, type: boolean, missing: nan}
  - {name: currency, path: currency, type: category, codes: {EUR: 0, USD: 1}, unknown: nan, missing: nan}
  - {name: channel, path: channel, type: category, codes: {pos: 0, web: 1}, unknown: {code: 2}, missing: {default: 2}}
  - {name: country, path: country, type: category, codes: {DE: 0, FR: 1}, unknown: {code: 2}}
  - {name: distance_km, path: distance_km, type: number, missing: nan}
  - {name: hour, path: event_time, type: time, format: rfc3339, part: hour, zone: Europe/Berlin}
  - {name: weekday, path: event_time, type: time, format: rfc3339, part: weekday, zone: Europe/Berlin}
  - {name: count_1h, path: velocity.count_1h, type: integer}
  - {name: count_24h, path: velocity.count_24h, type: integer}
  - {name: count_7d, path: velocity.count_7d, type: integer}
  - {name: amount_24h, path: velocity.amount_24h, type: number}
  - {name: amount_7d, path: velocity.amount_7d, type: number}
  - {name: avg_amount_30d, path: velocity.avg_amount_30d, type: number, missing: {default: -1}}
  - {name: seconds_since_last, path: velocity.seconds_since_last, type: number, missing: nan}
  - {name: terminal_fraud_7d, path: velocity.terminal_fraud_7d, type: number}
  - {name: new_terminal, path: velocity.new_terminal, type: boolean}
`

// decoded is what Decode made of an event.
type decoded struct {
	ID, Key, Time string
	Amount        float64
	Row           []float64
	Findings      []string
}

func mustContract(t testing.TB, yaml string) *Contract {
	t.Helper()
	c, err := ParseContract([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// decode reads an event with d.
func decode(d *Decoder, event []byte) (decoded, error) {
	row := make([]float64, len(d.contract.features))
	var tx Transaction
	if err := d.Decode(event, row, &tx); err != nil {
		return decoded{}, err
	}
	return decoded{string(tx.ID), string(tx.Key), tx.Time.Format("2006-01-02T15:04:05.999999999Z07:00"), tx.Amount, row, tx.Findings}, nil
}

// refusal returns the error of an event that must be refused with one.
func refusal(t testing.TB, d *Decoder, event []byte) Error {
	t.Helper()
	_, err := decode(d, event)
	var refused *Error
	if !errors.As(err, &refused) {
		t.Fatalf("Decode(%.200q) = %v, want an *Error", event, err)
	}
	return *refused
}

package main

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestProgramsThatScoreMustAgree(t *testing.T) {
	record := func(key string, partition int32, at int64, value string) *kgo.Record {
		return &kgo.Record{Key: []byte(key), Partition: partition, Timestamp: time.UnixMilli(at), Value: []byte(value)}
	}
	const first = `{"transaction_id":"tx-1","decision":"approve","probability":0.5,"margin":0,"bundle":{"name":"a"},"findings":["missing:x"]}`
	for name, c := range map[string]struct {
		r     *kgo.Record
		agree bool
	}{
		"the same":          {record("k", 1, 2, first), true},
		"a copy":            {record("k", 1, 2, `{"transaction_id":"tx-1","amount":3}`), true},
		"the last bit":      {record("k", 1, 2, `{"probability":0.50000000000000011,"margin":0,"bundle":{"name":"a"},"findings":["missing:x"]}`), true},
		"a probability":     {record("k", 1, 2, `{"probability":0.5000001,"margin":0,"bundle":{"name":"a"},"findings":["missing:x"]}`), false},
		"no number":         {record("k", 1, 2, `{"probability":NaN,"margin":0,"bundle":{"name":"a"},"findings":["missing:x"]}`), false},
		"another bundle":    {record("k", 1, 2, `{"probability":0.5,"margin":0,"bundle":{"name":"b"},"findings":["missing:x"]}`), false},
		"no finding":        {record("k", 1, 2, `{"probability":0.5,"margin":0,"bundle":{"name":"a"},"findings":[]}`), false},
		"another key":       {record("l", 1, 2, first), false},
		"another partition": {record("k", 0, 2, first), false},
		"another timestamp": {record("k", 1, 3, first), false},
	} {
		var v verdict
		if err := v.agree(record("k", 1, 2, first)); err != nil {
			t.Fatal(err)
		}
		if err := v.agree(c.r); (err == nil) != c.agree {
			t.Errorf("%s: %v", name, err)
		}
	}
}

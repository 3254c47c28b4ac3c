package producer

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/schemas"
)

func TestARepliesAddressIsReadAsItWasWritten(t *testing.T) {
	in := &kgo.Record{Headers: []kgo.RecordHeader{{Key: "other", Value: []byte("x")}}}
	if _, _, ok := ReplyTo(in); ok {
		t.Error("an input that asks for nothing asks for a reply")
	}
	AskReply(in, 7, "an-id")
	if p, id, ok := ReplyTo(in); !ok || p != 7 || string(id) != "an-id" {
		t.Errorf("%d %s %t", p, id, ok)
	}
	for _, text := range []string{"", "7", "7 ", "-1 a", "x a", "99999999999 a", "7 " + strings.Repeat("a", 65)} {
		in := &kgo.Record{Headers: []kgo.RecordHeader{{Key: HeaderReply, Value: []byte(text)}}}
		if _, _, ok := ReplyTo(in); ok {
			t.Errorf("%q is an address", text)
		}
	}
}

func TestRepliesAreReadAsTheyWereWritten(t *testing.T) {
	v := ReplyVerdict("replies", 3, []byte("id"), []byte(`{"a":1}`))
	if r, err := ParseReply(&v); err != nil || r.ID != "id" || string(r.Payload) != `{"a":1}` || r.Refusal != nil || v.Partition != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	want := Refusal{Class: schemas.MalformedJSON, Message: "no", Source: schemas.Source{Topic: "t", Partition: 1, Offset: 2}}
	d, err := ReplyRefusal("replies", 3, []byte("id"), want)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := ParseReply(&d); err != nil || r.Payload != nil || *r.Refusal != want {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := ParseReply(&kgo.Record{Value: []byte("{}")}); err == nil {
		t.Error("a record that is no reply is one")
	}
	d.Value = []byte("{")
	if _, err := ParseReply(&d); err == nil {
		t.Error("a refusal that cannot be read is one")
	}
}

package app

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
)

func TestUsersAreThoseOfTheArguments(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"kafka_fraud_password": "one\n", "kafka_api_password": "two", "kafka_audit_password": "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	topics := kafka.Config{Transactions: "in", Verdicts: "out", DeadLetters: "dlq"}
	c := consumer.Config{Group: "scorers"}
	users, err := Users([]string{"score=fraud", "api", "audit=fraud"}, &topics, &c, dir)
	if err != nil {
		t.Fatal(err)
	}
	made := Grants(users)
	if len(made) != 2 || made[0].Name != "fraud" || made[0].Password != "one" || made[1].Name != "api" || made[1].Password != "two" || len(made[0].Rights) != len(users[0].Rights) {
		t.Errorf("got %+v", made)
	}
	if !slices.Equal(users[0].Roles, []string{"score", "audit"}) || !slices.Contains(users[0].Rights, "Read group mlmonitor-audit") || !slices.Contains(users[0].Rights, "Write transactional id scorers-*") {
		t.Errorf("got %+v", users[0])
	}
	for argument, want := range map[string]string{"scorer": "no role", "score=": "names no user", "score=../x": "names no user", "score=a,b": "names no user", "score=*": "names no user", "audit": "is empty", "replay": "no such file",
		"consume=scorers": "group of ours", "consume=scorers-redrive": "group of ours", "consume=mlmonitor-audit": "group of ours"} {
		if _, err := Users([]string{argument}, &topics, &c, dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", argument, err, want)
		}
	}
	if users, err := Users([]string{"score=x", "score=x"}, &topics, &c, ""); err != nil || len(users) != 1 || len(users[0].Roles) != 1 {
		t.Errorf("a role that is named twice: %+v, %v", users, err)
	}
	if users, err := Users([]string{"consume=desk"}, &topics, &c, ""); err != nil || !slices.Equal(users[0].Rights, []string{"Read topic out", "Read group desk"}) {
		t.Errorf("who consumes verdicts: %+v, %v", users, err)
	}
	t.Run("the audit's group", func(t *testing.T) {
		t.Setenv("AUDIT_GROUP", "*")
		if _, err := Users([]string{"audit"}, &topics, &c, ""); err == nil || !strings.Contains(err.Error(), "AUDIT_GROUP") {
			t.Errorf("got %v", err)
		}
	})
	if users, err := Users([]string{"audit"}, &topics, &c, ""); err != nil || users[0].made.Password != "" {
		t.Errorf("who has a password already: %+v, %v", users, err)
	}
}

package kafka

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheDocumentedRightsAreThoseThatAreGranted: what a role is given, and nothing else, stands in its row of docs/operations.md.
func TestTheDocumentedRightsAreThoseThatAreGranted(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## Least privilege\n")
	table, _, _ = strings.Cut(table, "\nA right that is missing")
	c := valid()
	c.Shadow, c.Replies, c.Models = "verdicts.shadow", "verdicts.replies", "mlmonitor.models"
	for _, role := range Roles {
		rights, err := Access(role, "USER", &c, "mlmonitor-score", "mlmonitor-audit")
		if err != nil || len(rights) == 0 {
			t.Fatalf("%s: %v, %v", role, rights, err)
		}
		granted := map[string]bool{}
		for _, r := range rights {
			for _, o := range r.Operations {
				granted[r.name()+": "+operations[o]] = true
			}
		}
		_, row, found := strings.Cut(table, "\n| "+role+" |")
		row, _, _ = strings.Cut(row, "\n")
		if !found {
			t.Errorf("%s has no row", role)
			continue
		}
		if diff := cmp.Diff(documented(row), granted); diff != "" {
			t.Errorf("%s: documented (-) and granted (+):\n%s", role, diff)
		}
	}
}

// documented reads the columns of a row: "`a`, `b`: Read, Write; for something `c`: Read". What comes with --publish is of a topic that is not of the configuration, and not granted.
func documented(row string) map[string]bool {
	rights := map[string]bool{}
	columns := strings.Split(row, "|")
	for i, kind := range []string{"topic ", "group ", "transactional id "} {
		for _, part := range strings.Split(columns[i], ";") {
			names, said, ok := strings.Cut(part, ": ")
			if !ok || strings.Contains(names, "`--publish`") {
				continue
			}
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(names, -1) {
				if strings.HasPrefix(m[1], "--") {
					continue // an option
				}
				name := strings.Replace(m[1], "INSTANCE_ID", "*", 1) // any
				for _, operation := range strings.Split(strings.TrimSpace(said), ", ") {
					rights[kind+name+": "+operation] = true
				}
			}
		}
	}
	return rights
}

func TestNobodyIsLetDoWhatIsTurnedOff(t *testing.T) {
	c := valid()
	c.Models, c.Shadow, c.Replies = "", "", ""
	for _, role := range Roles {
		rights, err := Access(role, "somebody", &c, "scorers", "writers")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rights {
			if r.Topic+r.Group+r.TransactionalID == "" {
				t.Errorf("%s: a right on nothing", role)
			}
		}
	}
	if _, err := Access("scorer", "somebody", &c, "scorers", "writers"); err == nil || !strings.Contains(err.Error(), "score, audit, api") {
		t.Errorf("a role that is not there: %v", err)
	}
}

func TestAPasswordIsNotSentInClear(t *testing.T) {
	c := valid()
	c.Brokers = brokers(t)
	if err := MakeUsers(t.Context(), &c, []User{{Name: "score", Password: "secret"}}); err == nil || !strings.Contains(err.Error(), "in clear") {
		t.Errorf("got %v", err)
	}
}

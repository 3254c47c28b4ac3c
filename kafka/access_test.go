package kafka

import (
	"os"
	"strings"
	"testing"
)

// TestTheDocumentedRightsAreThoseThatAreGranted: what a role is given stands in its row of docs/operations.md, resource by resource.
func TestTheDocumentedRightsAreThoseThatAreGranted(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## Least privilege\n")
	table, _, _ = strings.Cut(table, "\nA right that is missing")
	c := valid()
	for _, role := range Roles {
		rights, err := Access(role, &c, "mlmonitor-score", "mlmonitor-audit")
		if err != nil || len(rights) == 0 {
			t.Fatalf("%s: %v, %v", role, rights, err)
		}
		_, row, found := strings.Cut(table, "\n| "+role+" |")
		row, _, _ = strings.Cut(row, "\n")
		if !found {
			t.Errorf("%s has no row", role)
			continue
		}
		for _, r := range rights {
			name := r.Topic + r.Group + r.TransactionalID
			if !strings.Contains(row, "`"+name) {
				t.Errorf("the row of %s does not name %s", role, name)
			}
			for _, o := range r.Operations {
				if !strings.Contains(row, operations[o]) {
					t.Errorf("the row of %s has no %s, as for %s", role, operations[o], name)
				}
			}
		}
	}
}

func TestNobodyIsLetDoWhatIsTurnedOff(t *testing.T) {
	c := valid()
	c.Models, c.Shadow, c.Replies = "", "", ""
	for _, role := range Roles {
		rights, err := Access(role, &c, "scorers", "writers")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rights {
			if r.Topic+r.Group+r.TransactionalID == "" {
				t.Errorf("%s: a right on nothing", role)
			}
		}
	}
	if _, err := Access("scorer", &c, "scorers", "writers"); err == nil || !strings.Contains(err.Error(), "score, audit, api") {
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

package loki

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/loki/v3/pkg/storage/config"
	"github.com/grafana/loki/v3/pkg/validation"
	"go.yaml.in/yaml/v2"
)

// The two sections of which a mistake costs logs are read by Loki's own types, strictly; the whole file is checked by `loki -verify-config`, which needs a Loki.
func TestLokisLimitsAndSchemaAreRead(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy/loki/loki.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	read := func(section string, into any) {
		t.Helper()
		part, err := yaml.Marshal(file[section])
		if err == nil {
			err = yaml.UnmarshalStrict(part, into)
		}
		if err != nil {
			t.Fatalf("%s: %v", section, err)
		}
	}
	var limits validation.Limits
	read("limits_config", &limits)
	var schema config.SchemaConfig
	read("schema_config", &schema)
	if err := schema.Validate(); err != nil {
		t.Error(err)
	}
	if limits.RetentionPeriod <= 0 || limits.MaxLabelNamesPerSeries > 5 {
		t.Errorf("retention %v, %d labels", limits.RetentionPeriod, limits.MaxLabelNamesPerSeries)
	}
}

// The agent gives three labels, and no more.
func TestTheAgentsLabelsAreRoleInstanceAndLevel(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy/loki/config.alloy"))
	if err != nil {
		t.Fatal(err)
	}
	for _, stage := range []string{`(?s)stage\.labels \{(.*?)\}`, `(?s)stage\.label_keep \{(.*?)\}`} {
		found := regexp.MustCompile(stage).FindStringSubmatch(string(text))
		if found == nil {
			t.Fatalf("no %s", stage)
		}
		var names []string
		for _, name := range regexp.MustCompile(`\b(\w+) = ""|"(\w+)"`).FindAllStringSubmatch(found[1], -1) {
			names = append(names, name[1]+name[2])
		}
		if !slices.Equal(names, []string{"role", "instance", "level"}) {
			t.Errorf("%s has %v", stage, names)
		}
	}
	if strings.Count(string(text), "{") != strings.Count(string(text), "}") {
		t.Error("its braces do not match")
	}
}

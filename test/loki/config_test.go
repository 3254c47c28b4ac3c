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

// The two sections of which a mistake costs logs are read by Loki's own types, strictly; the whole file by Loki itself, in server_test.go.
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
	if limits.RetentionPeriod <= 0 || limits.MaxLabelNamesPerSeries != 3 {
		t.Errorf("retention %v, %d labels", limits.RetentionPeriod, limits.MaxLabelNamesPerSeries)
	}
}

// given are the labels of a stage of config.alloy.
func given(t *testing.T, stage string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy/loki/config.alloy"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?s)stage\.` + stage + ` \{(.*?)\n  \}`).FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("no %s", stage)
	}
	for _, name := range regexp.MustCompile(`\b(\w+) = ""|"(\w+)"`).FindAllStringSubmatch(found[1], -1) {
		names = append(names, name[1]+name[2])
	}
	return names
}

// The agent gives three labels, and no more. Its own program could not be had here: the form of its file is all that is read.
func TestTheAgentsLabelsAreRoleInstanceAndLevel(t *testing.T) {
	for _, stage := range []string{"labels", "label_keep"} {
		if names := given(t, stage); !slices.Equal(names, []string{"role", "instance", "level"}) {
			t.Errorf("%s has %v", stage, names)
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "deploy/loki/config.alloy"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), "{") != strings.Count(string(text), "}") {
		t.Error("its braces do not match")
	}
}

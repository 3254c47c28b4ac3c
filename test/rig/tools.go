package rig

import (
	"os"
	"path/filepath"
	"testing"
)

// KafkaTools gives a directory with Kafka's own tools under their own names, until the test ends. A checkout need not be able to hold links.
func KafkaTools(t testing.TB) string {
	t.Helper()
	program, err := findScript("kafka-tools.sh")
	if err != nil {
		t.Fatalf("%v", err)
	}
	dir := t.TempDir()
	for _, name := range []string{"kafka-configs.sh", "kafka-topics.sh", "kafka-acls.sh", "kafka-consumer-groups.sh"} {
		if err := os.Symlink(program, filepath.Join(dir, name)); err != nil {
			t.Fatalf("%v", err)
		}
	}
	return dir
}

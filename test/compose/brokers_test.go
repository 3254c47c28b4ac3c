package compose

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// TestThreeBrokersAreOneCluster: what deploy/compose/brokers.yml makes of the one broker is as hardened, and losing one of three stops nobody.
func TestThreeBrokersAreOneCluster(t *testing.T) {
	p := load(t, filepath.Join(root, "docker-compose.yml"), filepath.Join(root, "deploy/compose/brokers.yml"))
	for _, fault := range append(hardeningFaults(p), orderFaults(p)...) {
		t.Error(fault)
	}
	value := func(service, name string) string {
		if v := p.Services[service].Environment[name]; v != nil {
			return *v
		}
		return ""
	}
	data := map[string]bool{}
	for i, broker := range []string{"kafka", "kafka-2", "kafka-3"} {
		for name, want := range map[string]string{
			"KAFKA_NODE_ID": fmt.Sprint(i + 1), "KAFKA_ADVERTISED_LISTENERS": "CLIENTS://" + broker + ":9092,PEERS://" + broker + ":9094", "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@kafka:9093,2@kafka-2:9093,3@kafka-3:9093",
			"KAFKA_DEFAULT_REPLICATION_FACTOR": "3", "KAFKA_MIN_INSYNC_REPLICAS": "2", "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "2", "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "3",
			"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "3", "KAFKA_ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MS": "1", "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
		} {
			if got := value(broker, name); got != want {
				t.Errorf("%s: %s is %q, want %q", broker, name, got, want)
			}
		}
		if l := value(broker, "KAFKA_LISTENERS"); !strings.HasSuffix(l, "CONTROLLER://:9093") {
			t.Errorf("%s listens at %s: the others' controllers must reach it", broker, l)
		}
		if value(broker, "CLUSTER_ID") != value("kafka", "CLUSTER_ID") {
			t.Errorf("%s is of another cluster", broker)
		}
		mounts := 0
		for _, v := range p.Services[broker].Volumes {
			if v.Type == types.VolumeTypeBind && v.Target == "/opt/kafka-admin.properties" && strings.HasSuffix(v.Source, "deploy/kafka/admin.properties") {
				mounts++
				continue // its health is asked with it
			}
			if v.Type != types.VolumeTypeVolume || v.Target != "/var/lib/kafka/data" || data[v.Source] {
				t.Errorf("%s keeps its data at %s of %s, with another", broker, v.Target, v.Source)
			}
			data[v.Source] = true
		}
		if mounts != 1 {
			t.Errorf("%s lacks the properties of its tools", broker)
		}
	}
	if len(data) != 3 {
		t.Errorf("three brokers have %d volumes", len(data))
	}
	for name, s := range p.Services {
		want := "kafka:9092,kafka-2:9092,kafka-3:9092"
		if name == "topics" || name == "kafka-users" {
			want = strings.ReplaceAll(want, "9092", "9094")
		}
		if _, asks := s.Environment["KAFKA_BROKERS"]; asks && value(name, "KAFKA_BROKERS") != want {
			t.Errorf("%s knows only the brokers %s", name, value(name, "KAFKA_BROKERS"))
		}
	}
	for _, first := range []string{"topics", "kafka-users"} {
		if got := p.Services[first].GetDependencies(); !sameSet(got, []string{"kafka", "kafka-2", "kafka-3"}) {
			t.Errorf("%s waits for %v", first, got)
		}
	}
}

package consumer

import (
	"testing"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

func TestPromisesOnRealKafka(t *testing.T) {
	brokers := rig.Kafka(t, 1).Brokers
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) { p.test(t, newCluster(t, brokers)) })
	}
}

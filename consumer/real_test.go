package consumer

import (
	"testing"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

func TestPromisesOnRealKafka(t *testing.T) {
	brokers := rig.Kafka(t, 1).Brokers
	keepPromises(t, func(t *testing.T) *cluster { return newCluster(t, brokers) })
}

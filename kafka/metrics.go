package kafka

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"
)

// ClientMetrics exports the client library's own metrics (connections, requests, bytes, records) as mlmonitor_kafka_*{client="role"}. A role makes a new
// client after a failure: release takes the old client's metrics out of the registry first.
func ClientMetrics(reg prometheus.Registerer, role string) (hook kgo.Hook, release func()) {
	r := &releasable{Registerer: reg}
	return kprom.NewMetrics("mlmonitor_kafka", kprom.Registerer(r), kprom.WithStaticLabel(prometheus.Labels{"client": role})), r.release
}

// releasable remembers what was registered through it.
type releasable struct {
	prometheus.Registerer
	mu   sync.Mutex
	made []prometheus.Collector
}

func (r *releasable) Register(c prometheus.Collector) error {
	if err := r.Registerer.Register(c); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made = append(r.made, c)
	return nil
}

func (r *releasable) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

func (r *releasable) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.made {
		r.Unregister(c)
	}
	r.made = nil
}

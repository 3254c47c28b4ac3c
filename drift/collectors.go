package drift

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Collectors shows several bundles' collectors as one, which may be others at each look: bundles come and go while a process runs.
type Collectors struct {
	mu    sync.Mutex
	shown []prometheus.Collector
}

// Show replaces what is shown.
func (c *Collectors) Show(all []prometheus.Collector) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = all
}

// Describe is of prometheus.Collector. It describes nothing, so that what is collected may change: the registry checks it at each look.
func (c *Collectors) Describe(chan<- *prometheus.Desc) {}

// Collect is of prometheus.Collector.
func (c *Collectors) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	all := c.shown
	c.mu.Unlock()
	for _, one := range all {
		one.Collect(ch)
	}
}

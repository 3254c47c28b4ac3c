package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Embedded is a broker inside this process, for the demo and for fast tests: it speaks the protocol, with transactions and groups, on
// loopback; it does not replicate and is not for production.
type Embedded struct{ cluster *kfake.Cluster }

// StartEmbedded starts the broker. With a directory it keeps what it acknowledged across restarts; "" keeps all in memory.
func StartEmbedded(dir string) (*Embedded, error) {
	opts := []kfake.Opt{kfake.NumBrokers(1)}
	if dir != "" {
		opts = append(opts, kfake.DataDir(dir))
	}
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("start the embedded broker: %w", err)
	}
	return &Embedded{c}, nil
}

// Brokers lists the addresses to connect to.
func (e *Embedded) Brokers() []string { return e.cluster.ListenAddrs() }

// Close stops the broker; what it holds is on disk when it returns.
func (e *Embedded) Close() { e.cluster.Close() }

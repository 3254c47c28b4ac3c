package torture

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// aNodeOnly is held by whatever takes a node from the others: two of three must be left.
const aNodeOnly = "a node"

// brokerKinds hurt the nodes of Kafka, one at a time.
func brokerKinds() []kind {
	node := []string{aNodeOnly}
	return []kind{
		{name: "kill-node", weight: 1, kills: true, targets: []string{"node-1", "node-2", "node-3"}, needs: node, do: killNode(aNode)},
		{name: "kill-txn-coordinator", weight: 1, kills: true, targets: numbered("coordinator of score", scorers), needs: node, do: killNode(txnCoordinator)},
		{name: "kill-group-coordinator", weight: 1, kills: true, targets: []string{"coordinator of mlmonitor-score", "coordinator of mlmonitor-audit"}, needs: node, do: killNode(groupCoordinator)},
		{name: "stop-node", weight: 1, targets: []string{"node-1", "node-2", "node-3"}, needs: node, do: stopNode},
		{name: "freeze-node", weight: 1, targets: []string{"node-1", "node-2", "node-3"}, needs: node, do: freezeNode},
	}
}

// which finds the node to hurt, from 0.
type which func(ctx context.Context, a *act, adm *kadm.Client) (int, error)

func aNode(_ context.Context, a *act, _ *kadm.Client) (int, error) {
	return int(a.target[len(a.target)-1] - '1'), nil
}

func txnCoordinator(ctx context.Context, a *act, adm *kadm.Client) (int, error) {
	id := "mlmonitor-score-score-" + a.target[len(a.target)-1:]
	return coordinator(adm.FindTxnCoordinators(ctx, id), id)
}

func groupCoordinator(ctx context.Context, a *act, adm *kadm.Client) (int, error) {
	group := a.target[len("coordinator of "):]
	return coordinator(adm.FindGroupCoordinators(ctx, group), group)
}

func coordinator(found kadm.FindCoordinatorResponses, name string) (int, error) {
	c := found[name]
	if c.Err != nil || c.NodeID < 1 || c.NodeID > nodes {
		return 0, fmt.Errorf("find the coordinator of %s: node %d, %w", name, c.NodeID, c.Err)
	}
	return int(c.NodeID) - 1, nil
}

// admin connects directly, past the proxies.
func (w *World) admin() (*kadm.Client, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.topics.Brokers...))
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(cl), nil
}

// killNode ends a node by SIGKILL, has it away for a while, and starts it again.
func killNode(find which) func(context.Context, *act) (string, error) {
	return func(ctx context.Context, a *act) (string, error) {
		adm, err := a.admin()
		if err != nil {
			return "", err
		}
		defer adm.Close()
		i, err := find(ctx, a, adm)
		if err != nil {
			return "", fmt.Errorf("%w: %w", errVoid, err)
		}
		err = hold(ctx, a.between(0, 3*time.Second), func() error { return a.kafka.Kill(i) }, func() error { return a.kafka.Restart(i) })
		return fmt.Sprintf("node %d ended by SIGKILL", i+1), errors.Join(err, a.replicated(ctx, adm))
	}
}

// stopNode ends a node in an orderly way.
func stopNode(ctx context.Context, a *act) (string, error) {
	adm, err := a.admin()
	if err != nil {
		return "", err
	}
	defer adm.Close()
	i, _ := aNode(ctx, a, adm)
	pids, err := a.kafka.PIDs()
	if err != nil {
		return "", err
	}
	if err := syscall.Kill(pids[i], syscall.SIGTERM); err != nil {
		return "", fmt.Errorf("%w: %w", errVoid, err)
	}
	begin := time.Now()
	err = until(ctx, time.Minute, func() error {
		if s := state(pids[i]); s != "" && s != "Z" {
			return errors.New("the node does not end")
		}
		return nil
	})
	took := time.Since(begin)
	if err == nil {
		err = sleep(ctx, a.between(0, 3*time.Second))
	}
	return fmt.Sprintf("node %d ended on SIGTERM after %v", i+1, took.Round(time.Millisecond)), errors.Join(err, a.kafka.Restart(i), a.replicated(ctx, adm))
}

// freezeNode has a node stand still until the others have given it up.
func freezeNode(ctx context.Context, a *act) (string, error) {
	adm, err := a.admin()
	if err != nil {
		return "", err
	}
	defer adm.Close()
	i, _ := aNode(ctx, a, adm)
	d := a.between(brokerSession+2*time.Second, brokerSession+6*time.Second)
	err = hold(ctx, d, func() error { return a.kafka.Pause(i) }, func() error {
		pids, err := a.kafka.PIDs()
		if err == nil && state(pids[i]) != "T" {
			err = fmt.Errorf("node %d was not frozen all the time", i+1)
		}
		return errors.Join(err, a.kafka.Resume(i))
	})
	return fmt.Sprintf("node %d stopped for %v", i+1, d.Round(time.Millisecond)), errors.Join(err, a.replicated(ctx, adm))
}

// replicated waits until every replica is in sync again: a second node may then go without harm to availability.
func (a *act) replicated(ctx context.Context, adm *kadm.Client) error {
	return until(ctx, 2*time.Minute, func() error {
		topics, err := adm.ListTopicsWithInternal(ctx)
		if err != nil {
			return err
		}
		for _, t := range topics {
			for _, p := range t.Partitions {
				if len(p.ISR) < nodes && len(p.Replicas) == nodes {
					return fmt.Errorf("%s partition %d has %d replicas in sync", t.Topic, p.Partition, len(p.ISR))
				}
			}
		}
		return nil
	})
}

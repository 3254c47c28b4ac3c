package torture

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mlmonitor/mlmonitor/test/rig"
	"github.com/mlmonitor/mlmonitor/test/torture/wire"
)

// peersOfANode are the ways between one node and the others.
const peersOfANode = "peers of a node"

// wireKinds hurt the way between two: a process and Kafka, a writer and Postgres, the nodes of Kafka among themselves.
func wireKinds() []kind {
	ends := []string{"FEEDER"}
	for i := range scorers {
		ends = append(ends, link("score", i), link("score", i)) // twice as likely
	}
	for i := range writers {
		ends = append(ends, link("audit", i), fmt.Sprintf("POSTGRES %d", i+1))
	}
	all := append(ends[:len(ends):len(ends)], peersOfANode)
	return []kind{
		{name: "wire-cut", weight: 1, targets: all, do: wired(500*time.Millisecond, 8*time.Second, func(*act) wire.Fault { return wire.Fault{Cut: true} })},
		{name: "wire-half-open", weight: 1, targets: all, do: wired(time.Second, 12*time.Second, func(*act) wire.Fault { return wire.Fault{Stall: true} })},
		{name: "wire-delay", weight: 1, targets: all, do: wired(2*time.Second, 6*time.Second, func(a *act) wire.Fault {
			return wire.Fault{Delay: a.between(5*time.Millisecond, 400*time.Millisecond)}
		})},
		{name: "wire-slow", weight: 1, targets: ends, do: wired(2*time.Second, 6*time.Second, func(a *act) wire.Fault {
			return wire.Fault{BytesPerS: 5_000 + a.rng.IntN(100_000)}
		})},
		{name: "wire-torn-answer", weight: 1, targets: all, do: wired(2*time.Second, 5*time.Second, func(a *act) wire.Fault {
			return wire.Fault{TearAfter: 1 + a.rng.IntN(20_000)}
		})},
	}
}

// wired puts a fault on some of the target's links for a while.
func wired(least, most time.Duration, fault func(*act) wire.Fault) func(context.Context, *act) (string, error) {
	return func(ctx context.Context, a *act) (string, error) {
		links := a.drawLinks()
		f := fault(a)
		before := make([]wire.Hits, len(links))
		d := a.between(least, most)
		err := hold(ctx, d, func() error {
			for i, l := range links {
				before[i] = l.Hits()
				l.Set(f)
			}
			return nil
		}, func() error {
			for _, l := range links {
				l.Set(wire.Fault{})
			}
			return nil
		})
		if err != nil {
			return "", err
		}
		var names []string
		var hits wire.Hits
		for i, l := range links {
			h := l.Hits().Sub(before[i])
			hits.Resets, hits.Stalled, hits.Delayed = hits.Resets+h.Resets, hits.Stalled+h.Stalled, hits.Delayed+h.Delayed
			names = append(names, l.Name)
		}
		if hits.Resets+hits.Stalled+hits.Delayed == 0 {
			return "", fmt.Errorf("%w: nothing passed %s", errVoid, strings.Join(names, ", "))
		}
		return fmt.Sprintf("%v for %v: %d resets, %d pieces held, %d delayed", names, d.Round(time.Millisecond), hits.Resets, hits.Stalled, hits.Delayed), nil
	}
}

// drawLinks gives one link of the target, or all; of nodes those from and to one of them.
func (a *act) drawLinks() []*wire.Link {
	if n, ok := strings.CutPrefix(a.target, "POSTGRES "); ok {
		return a.links["POSTGRES"][int(n[0]-'1'):][:1]
	}
	if a.target == peersOfANode {
		return a.aroundNode(a.rng.IntN(nodes))
	}
	all := a.links[a.target]
	if a.rng.IntN(2) == 0 {
		return all
	}
	return all[a.rng.IntN(len(all)):][:1]
}

// aroundNode are the links that lead other nodes to node i, or node i to the controllers of the others, or both.
func (a *act) aroundNode(i int) []*wire.Link {
	toNode := a.links[rig.Peers][i : i+1]
	toControllers := a.links[fmt.Sprintf("%s%d", rig.Controllers, i)]
	switch a.rng.IntN(3) {
	case 0:
		return toNode
	case 1:
		return toControllers
	}
	return append(toNode[:1:1], toControllers...)
}

package rig

import (
	"fmt"
	"strings"
)

// Via makes a proxy that leads to a port of node i, counted from 0, and gives the port that it listens on.
type Via func(link string, i, port int) (int, error)

// Peers is the link that the nodes of a linked cluster use among themselves, and Controllers that to the controllers: it is followed by the number,
// from 0, of the node that asks.
const (
	Peers       = "PEERS"
	Controllers = "CONTROLLERS"
)

// LinkedKafka is PrivateKafka with a listener more for each link, in capitals, whose clients reach every node through a proxy of that link: so the
// way between a client and a node can be hurt. The nodes reach each other through proxies too. Brokers gives the addresses of a link.
func LinkedKafka(t T, nodes int, links []string, via Via, properties ...string) (c *Cluster, brokers map[string][]string) {
	t.Helper()
	skipWhenShort(t, "Kafka")
	fail := func(err error) {
		if err != nil {
			t.Fatalf("start Kafka: %v", err)
		}
	}
	links = append([]string{Peers}, links...)
	ports, err := FreePorts((len(links) + 1) * nodes)
	fail(err)
	brokers = map[string][]string{}
	var listeners, voters strings.Builder
	for _, link := range links {
		mine := ports[:nodes]
		ports = ports[nodes:]
		var told []int
		for i, port := range mine {
			proxy, err := via(link, i, port)
			fail(err)
			told = append(told, proxy)
			brokers[link] = append(brokers[link], fmt.Sprintf("127.0.0.1:%d", proxy))
		}
		fmt.Fprintf(&listeners, "%s %s %s\n", link, portList(mine), portList(told))
	}
	for from := range nodes {
		found := append([]int(nil), ports...)
		for to := range nodes {
			if to == from {
				continue
			}
			found[to], err = via(fmt.Sprintf("%s%d", Controllers, from), to, ports[to])
			fail(err)
		}
		fmt.Fprintln(&voters, portList(found))
	}
	return private(t, nodes, "KAFKA_LISTENERS="+listeners.String(), "KAFKA_VOTERS="+voters.String(), "KAFKA_CONTROLLER_PORTS="+portList(ports),
		"KAFKA_PROPERTIES="+strings.Join(properties, "\n")), brokers
}

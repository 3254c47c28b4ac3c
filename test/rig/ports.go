package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
)

// freePorts finds n ports of loopback that nobody listens on. They lie below the range that the system takes outgoing connections from, so
// that none of those has one by the time that the server listens.
func freePorts(n int) ([]int, error) {
	const first, last, tries = 15000, 31999, 1000
	var ports []int
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	for range tries {
		if len(ports) == n {
			return ports, nil
		}
		port := first + rand.IntN(last-first+1)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue // taken
		}
		// Held until all are found, so that none is found twice.
		listeners = append(listeners, l)
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("found only %d of %d free ports between %d and %d", len(ports), n, first, last)
}

func portList(ports []int) string {
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = strconv.Itoa(p)
	}
	return strings.Join(words, " ")
}

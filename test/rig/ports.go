package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
)

// claims hold every port that this process was given until it ends. A port itself cannot be held: the server that it is for has to listen on it.
// A claim is a socket of Linux's abstract namespace: all test processes see it, and nothing of it remains when its process dies.
var (
	claiming sync.Mutex
	claims   []net.Listener
)

// FreePort finds a port of loopback that nobody listens on.
func FreePort(t T) int {
	t.Helper()
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return ports[0]
}

// FreePorts finds n ports of loopback that nobody listens on, and that no other caller, of this process or of another, was given. They lie below
// the range that the system takes outgoing connections from, so that none of those has one by the time that the server listens.
func FreePorts(n int) ([]int, error) {
	const first, last, tries = 15000, 31999, 1000
	var ports []int
	for range tries {
		if len(ports) == n {
			return ports, nil
		}
		if port := first + rand.IntN(last-first+1); claim(port) {
			ports = append(ports, port)
		}
	}
	return nil, fmt.Errorf("found only %d of %d free ports between %d and %d", len(ports), n, first, last)
}

// claim says whether a port is free, and keeps it for the caller if so.
func claim(port int) bool {
	mine, err := net.Listen("unix", fmt.Sprintf("@mlmonitor-test-port-%d", port))
	if err != nil {
		return false // given to somebody
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		mine.Close()
		return false // taken by somebody who does not ask here
	}
	l.Close()
	claiming.Lock()
	defer claiming.Unlock()
	claims = append(claims, mine)
	return true
}

func portList(ports []int) string {
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = strconv.Itoa(p)
	}
	return strings.Join(words, " ")
}

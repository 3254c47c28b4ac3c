package rig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Cluster is a real Kafka. Every node has two listeners: a plain one, whose clients may do all, and one with TLS, SCRAM-SHA-512 and ACLs.
type Cluster struct {
	Brokers []string // plain, host:port

	SecureBrokers []string // TLS and SCRAM-SHA-512, host:port
	CAFile        string   // PEM of the authority that signed their certificate
	AdminPassword string   // of the user "admin", who may do all
	AppPassword   string   // of the user "app", who may do what ACLs grant, at first nothing

	script  script
	env     []string // that it was started with
	private bool
}

// errShared answers an attempt to hurt a server that other tests use as well.
var errShared = errors.New("this server is shared with other tests: take rig.PrivateKafka or rig.PrivatePostgres")

// sharedKafkas has one cluster per number of nodes.
var sharedKafkas struct {
	sync.Mutex
	byNodes map[int]*Cluster
}

// Kafka gives a cluster of 1 or 3 nodes that tests share. Under go test -short it skips the test.
func Kafka(t T, nodes int) *Cluster {
	t.Helper()
	skipWhenShort(t, "Kafka")
	sharedKafkas.Lock()
	defer sharedKafkas.Unlock()
	if c := sharedKafkas.byNodes[nodes]; c != nil {
		return c
	}
	c, err := sharedKafka(nodes)
	if err != nil {
		t.Fatalf("start Kafka: %v", err)
	}
	if sharedKafkas.byNodes == nil {
		sharedKafkas.byNodes = map[int]*Cluster{}
	}
	sharedKafkas.byNodes[nodes] = c
	return c
}

// sharedKafka takes the cluster that was started for all test programs if it has as many nodes, else starts one for this program.
func sharedKafka(nodes int) (*Cluster, error) {
	if dir := os.Getenv("MLMONITOR_TEST_KAFKA_DIR"); dir != "" && nodes == 1 {
		return connect(script{dir: dir})
	}
	return startKafka(nodes)
}

// PrivateKafka starts a cluster of 1 or 3 nodes for this test, which may hurt it. properties are further lines for server.properties. The
// cluster ends with the test. Under go test -short the test is skipped.
func PrivateKafka(t T, nodes int, properties ...string) *Cluster {
	t.Helper()
	skipWhenShort(t, "Kafka")
	return private(t, nodes, "KAFKA_PROPERTIES="+strings.Join(properties, "\n"))
}

// private starts a cluster that ends with the test.
func private(t T, nodes int, env ...string) *Cluster {
	c, err := startKafka(nodes, env...)
	if err != nil {
		t.Fatalf("start Kafka: %v", err)
	}
	c.private = true
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s", c.script.logTails())
		}
		if err := c.script.remove(); err != nil {
			t.Logf("stop Kafka: %v", err)
		}
	})
	return c
}

func startKafka(nodes int, env ...string) (*Cluster, error) {
	s, err := newScript("kafka.sh")
	if err != nil {
		return nil, err
	}
	ports, err := FreePorts(3 * nodes)
	if err != nil {
		return nil, err
	}
	jvm := os.Getenv("KAFKA_JVM")
	if jvm == "" {
		// A broker of few minutes is started with half the work when Java does not optimise much. Whoever measures says otherwise.
		jvm = "-Xms384m -Xmx384m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
	}
	env = append([]string{"KAFKA_SECURE=1", "KAFKA_JVM=" + jvm,
		"KAFKA_PORTS=" + portList(ports[:nodes]),
		"KAFKA_CONTROLLER_PORTS=" + portList(ports[nodes:2*nodes]),
		"KAFKA_SECURE_PORTS=" + portList(ports[2*nodes:])}, env...)
	if err := s.start(env...); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	c, err := connect(s)
	if err == nil {
		c.env = env
	}
	return c, err
}

// connect reads from the cluster's directory how to connect.
func connect(s script) (*Cluster, error) {
	env, err := s.environment()
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		Brokers:       strings.Split(env["KAFKA_BROKERS"], ","),
		SecureBrokers: strings.Split(env["KAFKA_SECURE_BROKERS"], ","),
		CAFile:        env["KAFKA_CA_FILE"],
		AdminPassword: env["KAFKA_ADMIN_PASSWORD"],
		AppPassword:   env["KAFKA_APP_PASSWORD"],
		script:        s,
	}
	if env["KAFKA_BROKERS"] == "" || c.CAFile == "" {
		return nil, fmt.Errorf("the Kafka in %s was not started with KAFKA_SECURE=1", s.dir)
	}
	return c, nil
}

// PIDs are the process ids of the nodes that were started last, in order.
func (c *Cluster) PIDs() ([]int, error) {
	files, err := filepath.Glob(filepath.Join(c.script.dir, "[0-9]*", "pid"))
	if err != nil {
		return nil, err
	}
	var all []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, pid)
	}
	return all, nil
}

// Log is the file that node i logs to since it was started last; before that it stands beside it, with ".before" behind its name.
func (c *Cluster) Log(i int) string { return filepath.Join(c.script.dir, strconv.Itoa(i+1), "log") }

// Kill ends node i, counted from 0, by SIGKILL, and returns when it is gone.
func (c *Cluster) Kill(i int) error { return c.hurt("kill9", i) }

// Lose ends all nodes by SIGKILL, and removes all that they have kept.
func (c *Cluster) Lose() error {
	if !c.private {
		return errShared
	}
	pids, err := c.PIDs()
	if err != nil {
		return err
	}
	for i := range pids {
		if err := c.Kill(i); err != nil {
			return err
		}
	}
	return os.RemoveAll(c.script.dir)
}

// Replace starts another cluster where one was lost: empty, on the same ports, with another id, and with passwords and an authority of its own, in the files of those of before.
func (c *Cluster) Replace() error {
	if !c.private {
		return errShared
	}
	if err := os.Mkdir(c.script.dir, 0o711); err != nil {
		return err
	}
	if err := c.script.start(append(c.env, "KAFKA_CLUSTER_ID="+Unique("cluster"))...); err != nil {
		return err
	}
	other, err := connect(c.script)
	if err != nil {
		return err
	}
	c.AdminPassword, c.AppPassword = other.AdminPassword, other.AppPassword
	return nil
}

// Stop ends all nodes in an orderly way.
func (c *Cluster) Stop() error {
	if !c.private {
		return errShared
	}
	return c.script.call("stop")
}

// Restart starts node i, which is down, and returns when it serves.
func (c *Cluster) Restart(i int) error { return c.hurt("restart", i) }

// RestartWith is Restart with further environment for Java.
func (c *Cluster) RestartWith(i int, env ...string) error {
	if !c.private {
		return errShared
	}
	return c.script.run(env, "restart", c.script.dir, strconv.Itoa(i+1))
}

// Pause freezes node i: its connections stay open, and it does not answer.
func (c *Cluster) Pause(i int) error { return c.hurt("pause", i) }

// Resume thaws node i.
func (c *Cluster) Resume(i int) error { return c.hurt("resume", i) }

func (c *Cluster) hurt(verb string, i int) error {
	if !c.private {
		return errShared
	}
	return c.script.call(verb, strconv.Itoa(i+1))
}

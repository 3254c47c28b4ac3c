package audit
import ("testing";"time";"strings";"fmt"
"github.com/mlmonitor/mlmonitor/test/rig"
)
func TestDbg(t *testing.T) {
	for name, f := range map[string]func() *stage{"e": func() *stage { return newStage(t, onSQLite(t), embeddedBroker(t).Brokers()) }, "r": func() *stage { return newStage(t, onSQLite(t), rig.Kafka(t,1).Brokers) }} {
	s := f()
	p := s.producer(t)
	p.transaction(t, 30, true)
	s.view.Exec(`INSERT INTO audit_offsets VALUES ('`+s.topics.Verdicts+`', 1, 5000)`)
	m := s.start(t, "a", s.open(t))
	m.notReady(t, "were deleted")
	time.Sleep(3*time.Second)
	fmt.Println(name, strings.Count(m.log.String(), "OORPOLL"), value(m.metrics.restarts))
	}
}

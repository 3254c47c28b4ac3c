package consumer

import (
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/kafka"
)

func TestAGroupIsJudgedByWhoReadsAndWhatWaits(t *testing.T) {
	two := []GroupMember{{Name: "score-1", Partitions: []int32{0}}, {Name: "score-2", Partitions: []int32{1}}}
	for _, c := range []struct {
		name     string
		group    Group
		who, lag kafka.State
		says     string
	}{
		{"all is well", Group{State: "Stable", Members: two, Behind: map[int32]int64{0: 0, 1: 0}}, kafka.OK, kafka.OK, "2 members of group g, Stable: score-1, score-2"},
		{"what waits is read", Group{State: "Stable", Members: two, Behind: map[int32]int64{0: 3, 1: 7}}, kafka.OK, kafka.OK, "10 inputs are not answered by group g, most of them 7 in partition 1"},
		{"nobody", Group{State: "Empty", Behind: map[int32]int64{0: 3, 1: 0}}, kafka.Warn, kafka.Warn, "nobody is in group g"},
		{"a partition of nobody", Group{State: "Stable", Members: two[:1], Behind: map[int32]int64{0: 0, 1: 0}}, kafka.Warn, kafka.OK, "nobody reads partitions 1"},
		{"a rebalance", Group{State: "PreparingRebalance", Members: two, Behind: map[int32]int64{0: 0, 1: 0}}, kafka.Warn, kafka.OK, "PreparingRebalance"},
	} {
		c.group.Name = "g"
		found := judgeGroup(&c.group)
		if found[0].State != c.who || found[1].State != c.lag || !strings.Contains(found[0].Found+"\n"+found[1].Found, c.says) {
			t.Errorf("%s: %+v", c.name, found)
		}
	}
}

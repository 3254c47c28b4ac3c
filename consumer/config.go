package consumer

import (
	"fmt"
	"regexp"
	"time"

	"github.com/mlmonitor/mlmonitor/drift"
)

// Config says how transactions are consumed.
type Config struct {
	Group    string `envconfig:"CONSUMER_GROUP" default:"mlmonitor-score" desc:"consumer group of the scorers, and prefix of their transactional ids"`
	Instance string `ignored:"true"` // stable name of this process within the group; INSTANCE_ID

	Members int `envconfig:"SCORE_MEMBERS" default:"1" desc:"members of the group in this process, each with transactions of its own: more is more throughput, and more work for the brokers"`

	TxnInterval   time.Duration `envconfig:"CONSUMER_TXN_INTERVAL" default:"2ms" desc:"gather records for this long, and until the brokers have ended the last transaction; longer is less work for the brokers, shorter is less latency"`
	TxnMaxRecords int           `envconfig:"CONSUMER_TXN_MAX_RECORDS" default:"10000" desc:"records in one transaction at most"`
	TxnMaxBytes   int           `envconfig:"CONSUMER_TXN_MAX_BYTES" default:"33554432" desc:"bytes of input from which a transaction gathers no more"`
	TxnTimeout    time.Duration `envconfig:"CONSUMER_TXN_TIMEOUT" default:"10s" desc:"the broker aborts a transaction after this; readers wait that long for a dead member that does not come back"`
	Session       time.Duration `envconfig:"CONSUMER_SESSION_TIMEOUT" default:"6s" desc:"the group gives a member's partitions away after this silence"`

	ShadowBudget float64 `envconfig:"SHADOW_BUDGET" default:"1" desc:"time that a challenger may take of what the champion's scoring takes; what is over is not scored by the challenger, and counted"`

	MaxDeadLetterRatio float64       `envconfig:"CONSUMER_MAX_DEAD_LETTER_RATIO" default:"0.5" desc:"share of dead letters in the window above which consumption stops; 1 never stops"`
	DeadLetterWindow   int           `envconfig:"CONSUMER_DEAD_LETTER_WINDOW" default:"1000" desc:"records over which that share is taken"`
	HaltRetry          time.Duration `envconfig:"CONSUMER_HALT_RETRY" default:"5s" desc:"time between two looks at the stream while consumption is stopped"`

	Drift drift.Config `ignored:"true"` // a section of its own; the zero value is drift.Defaults()
}

var safeName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,200}$`)

// Validate names the variable that is wrong and how to mend it.
func (c *Config) Validate() error {
	if !safeName.MatchString(c.Group) {
		return fmt.Errorf("CONSUMER_GROUP is %q: use 1 to 200 letters, digits, '.', '_' or '-'", c.Group)
	}
	if !safeName.MatchString(c.Instance) {
		return fmt.Errorf("INSTANCE_ID is %q: use 1 to 200 letters, digits, '.', '_' or '-'; it must be stable across restarts and differ between processes", c.Instance)
	}
	if c.Members < 1 || c.Members > 64 {
		return fmt.Errorf("SCORE_MEMBERS is %d: set it to 1 … 64", c.Members)
	}
	if c.TxnMaxRecords < 1 || c.TxnMaxRecords > 1_000_000 {
		return fmt.Errorf("CONSUMER_TXN_MAX_RECORDS is %d: set it to 1 … 1000000", c.TxnMaxRecords)
	}
	if c.TxnMaxBytes < 1<<20 || c.TxnMaxBytes > 1<<30 {
		return fmt.Errorf("CONSUMER_TXN_MAX_BYTES is %d: set it to 1048576 … 1073741824", c.TxnMaxBytes)
	}
	if c.TxnTimeout < time.Second || c.TxnTimeout > 15*time.Minute {
		return fmt.Errorf("CONSUMER_TXN_TIMEOUT is %v: set it to 1s … 15m", c.TxnTimeout)
	}
	if c.TxnInterval < 0 || c.TxnInterval > c.TxnTimeout/2 {
		return fmt.Errorf("CONSUMER_TXN_INTERVAL is %v: set it to 0 … %v, half of CONSUMER_TXN_TIMEOUT", c.TxnInterval, c.TxnTimeout/2)
	}
	if c.Session < 3*time.Second || c.Session > 5*time.Minute {
		return fmt.Errorf("CONSUMER_SESSION_TIMEOUT is %v: set it to 3s … 5m", c.Session)
	}
	if !(c.MaxDeadLetterRatio > 0 && c.MaxDeadLetterRatio <= 1) {
		return fmt.Errorf("CONSUMER_MAX_DEAD_LETTER_RATIO is %v: set it above 0, and to 1 at most", c.MaxDeadLetterRatio)
	}
	if !(c.ShadowBudget >= 0 && c.ShadowBudget <= 10) {
		return fmt.Errorf("SHADOW_BUDGET is %v: set it to 0 … 10", c.ShadowBudget)
	}
	if c.DeadLetterWindow < 10 || c.DeadLetterWindow > 100_000 {
		return fmt.Errorf("CONSUMER_DEAD_LETTER_WINDOW is %d: set it to 10 … 100000", c.DeadLetterWindow)
	}
	if c.HaltRetry < 100*time.Millisecond || c.HaltRetry > time.Hour {
		return fmt.Errorf("CONSUMER_HALT_RETRY is %v: set it to 100ms … 1h", c.HaltRetry)
	}
	return c.Drift.Validate()
}

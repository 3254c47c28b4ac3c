package drift

import (
	"fmt"
	"time"
)

// Config says over which event-time windows transactions are compared with the profile.
type Config struct {
	Window   time.Duration `envconfig:"DRIFT_WINDOW" default:"1h" desc:"event time that one look at drift covers; at least 1,000 transactions should fall into it"`
	Hop      time.Duration `envconfig:"DRIFT_HOP" default:"5m" desc:"event time from one look to the next: as DRIFT_WINDOW for windows side by side, a part of it for sliding ones"`
	Lateness time.Duration `envconfig:"DRIFT_LATENESS" default:"1h" desc:"how far behind the newest a transaction's event time may be and still go to its own window"`
	Ahead    time.Duration `envconfig:"DRIFT_AHEAD" default:"5m" desc:"how far ahead of its record's timestamp an event time may be and still go to a window: further is a wrong clock"`
}

// Defaults are those of the environment variables.
func Defaults() Config {
	return Config{Window: time.Hour, Hop: 5 * time.Minute, Lateness: time.Hour, Ahead: 5 * time.Minute}
}

// maxPanes bounds the stretches of one hop that are kept.
const maxPanes = 1000

// Validate names the variable that is wrong.
func (c *Config) Validate() error {
	if c.Hop < time.Second || c.Hop%time.Second != 0 {
		return fmt.Errorf("DRIFT_HOP is %v: set it to whole seconds, 1s at least", c.Hop)
	}
	if c.Window < c.Hop || c.Window%c.Hop != 0 {
		return fmt.Errorf("DRIFT_WINDOW is %v: set it to a multiple of DRIFT_HOP, %v", c.Window, c.Hop)
	}
	if c.Lateness < 0 || c.Ahead < 0 {
		return fmt.Errorf("DRIFT_LATENESS is %v, DRIFT_AHEAD %v: set both to 0 or more", c.Lateness, c.Ahead)
	}
	if c.panes() > maxPanes {
		return fmt.Errorf("DRIFT_WINDOW and DRIFT_LATENESS are %d times DRIFT_HOP: at most %d, or memory grows; set a longer DRIFT_HOP", c.panes(), maxPanes)
	}
	return nil
}

// panes is how many hops are kept: those of the window before the newest, the newest, and those of late transactions.
func (c *Config) panes() int64 {
	return int64(c.Window/c.Hop) + 1 + int64((c.Lateness+c.Hop-1)/c.Hop)
}

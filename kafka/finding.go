package kafka

// State of what was checked.
type State string

// The states, from good to bad.
const (
	OK   State = "ok"
	Warn State = "warn" // works, but not as well as it could
	Fail State = "fail" // does not work, or not safely
	Skip State = "skip" // not looked at: the environment does not ask for it
)

// Finding is what one check found.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Found string `json:"found"`
	Mend  string `json:"mend,omitempty"` // what to do; empty when it is ok
}

// Good is a finding of what works.
func Good(check, found string) Finding { return Finding{check, OK, found, ""} }

// Warned is a finding of what works, but should be mended.
func Warned(check, found, mend string) Finding { return Finding{check, Warn, found, mend} }

// Failed is a finding of what does not work.
func Failed(check, found, mend string) Finding { return Finding{check, Fail, found, mend} }

// Skipped is a check that was left out, and why.
func Skipped(check, why string) Finding { return Finding{check, Skip, why, ""} }

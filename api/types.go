package api

import (
	"time"

	"github.com/mlmonitor/mlmonitor/schemas"
)

// Verdict is schemas.Verdict for the documentation: the answer itself has the bytes of the topic of verdicts.
type Verdict struct {
	TransactionID string    `json:"transaction_id" doc:"of the event"`
	Decision      string    `json:"decision" enum:"approve,review,decline"`
	Probability   float64   `json:"probability" minimum:"0" maximum:"1" doc:"of fraud"`
	Margin        float64   `json:"margin" doc:"raw sum of the trees"`
	Bundle        Bundle    `json:"bundle" doc:"what decided"`
	Findings      []string  `json:"findings" doc:"what the contract found, such as missing:distance_km"`
	EventTime     time.Time `json:"event_time"`
	Source        Source    `json:"source" doc:"where the input stands"`
}

// Bundle names a bundle.
type Bundle struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest" pattern:"^sha256:[0-9a-f]{64}$"`
}

// Source is where an input stands.
type Source struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition" minimum:"0"`
	Offset    int64  `json:"offset" minimum:"0"`
}

// Item is the answer to one transaction of a batch: a verdict or a problem.
type Item struct {
	Status  int      `json:"status" doc:"as POST /predict would answer"`
	Verdict any      `json:"verdict,omitempty"`
	Problem *Failure `json:"problem,omitempty"`
}

// Failure says why there is no verdict.
type Failure struct {
	Class         schemas.Class `json:"class,omitempty" doc:"reason class, as of dead letters"`
	Detail        string        `json:"detail"`
	TransactionID string        `json:"transaction_id,omitempty"`
}

// WhatIf is a verdict that nobody acts on: it is scored in this process, not published, not recorded.
type WhatIf struct {
	WhatIf      bool     `json:"what_if" doc:"always true: it is no decision"`
	Decision    string   `json:"decision" enum:"approve,review,decline"`
	Probability float64  `json:"probability"`
	Margin      float64  `json:"margin"`
	Bundle      Bundle   `json:"bundle"`
	Findings    []string `json:"findings"`
}

// ModelInfo is the bundle in force here.
type ModelInfo struct {
	Bundle     Bundle   `json:"bundle"`
	Format     string   `json:"format"`
	Objective  string   `json:"objective"`
	Trees      int      `json:"trees"`
	Features   []string `json:"features"`
	Review     float64  `json:"review_from"`
	Decline    float64  `json:"decline_from"`
	Reason     string   `json:"reason" doc:"why it is in force"`
	Canary     *Bundle  `json:"canary,omitempty"`
	Share      float64  `json:"canary_share,omitempty"`
	Challenger *Bundle  `json:"challenger,omitempty"`
}

// Recorded is what the audit has of a transaction id.
type Recorded struct {
	TransactionID string            `json:"transaction_id"`
	Verdicts      []RecordedVerdict `json:"verdicts" doc:"the latest published first; several where the transaction was published several times"`
}

// RecordedVerdict is one verdict, and where it stands.
type RecordedVerdict struct {
	Verdict     any       `json:"verdict" doc:"as it was published, byte for byte"`
	Topic       string    `json:"topic"`
	Partition   int32     `json:"partition"`
	Offset      int64     `json:"offset"`
	PublishedAt time.Time `json:"published_at"`
}

package schemas

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// MaxCanaryShare is the largest share of keys that a canary may decide for: who wants more promotes it.
const MaxCanaryShare = 0.5

// Canary is a bundle that decides for a share of the keys, while another decides for the rest.
type Canary struct {
	Bundle BundleID `json:"bundle"`
	Share  float64  `json:"share"` // above 0, MaxCanaryShare at most
}

// Validate refuses what names no bundle, or is no share.
func (c *Canary) Validate() error {
	if !validDigest(c.Bundle.Digest) {
		return errors.New("the canary names no bundle")
	}
	if !(c.Share > 0 && c.Share <= MaxCanaryShare) {
		return fmt.Errorf("the canary's share is %v: above 0 and at most %v is needed", c.Share, MaxCanaryShare)
	}
	return nil
}

// Chooser says for which keys a canary decides: for a share of all, the same on every machine and at all times, and others for each bundle. They are those for which the first 8
// bytes of SHA-256 of the bundle's digest ("sha256:…") and the record's key, as a big-endian number, are below share × 2^64. It is not for concurrent use.
type Chooser struct {
	below uint64
	text  []byte // the digest, and room for a key
	own   int    // bytes of the digest
}

// NewChooser chooses for a canary, which must be valid.
func NewChooser(c Canary) *Chooser {
	return &Chooser{below: uint64(math.Ldexp(c.Share, 64)), text: []byte(c.Bundle.Digest), own: len(c.Bundle.Digest)}
}

// Takes says whether the canary decides for the records of a key. Those without a key are the champion's.
func (c *Chooser) Takes(key []byte) bool {
	if len(key) == 0 {
		return false
	}
	c.text = append(c.text[:c.own], key...)
	sum := sha256.Sum256(c.text)
	return binary.BigEndian.Uint64(sum[:8]) < c.below
}

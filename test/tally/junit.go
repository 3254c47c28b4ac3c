package main

import (
	"encoding/xml"
	"fmt"
	"os"
)

// readJUnit adds the counts of a report. pytest counts a test that broke outside its body as an error: here it failed.
func (t *tally) readJUnit(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the report of the other runner: %w", err)
	}
	var report struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Errors   int `xml:"errors,attr"`
			Skipped  int `xml:"skipped,attr"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(data, &report); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if len(report.Suites) == 0 {
		return fmt.Errorf("read %s: there is no test suite in it", path)
	}
	for _, s := range report.Suites {
		t.passed += max(0, s.Tests-s.Failures-s.Errors-s.Skipped)
		t.failed += s.Failures + s.Errors
		t.skipped += s.Skipped
	}
	return nil
}

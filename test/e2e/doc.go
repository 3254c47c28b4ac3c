// Package e2e tests the binary as users run it: real processes, real Kafka, real Postgres, and what kills them.
package e2e

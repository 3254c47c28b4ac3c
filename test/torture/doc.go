// Package torture proves that nothing is lost or doubled: it runs the product's real processes against a real Kafka and a real Postgres, hurts all of
// them by a seeded schedule, and compares what a read_committed reader and the audit table hold with a clean replay.
//
// A World is what runs; a fault hurts one part of it and must show that it did; a Ledger matches inputs with answers while it happens; a
// checkpoint stops the inputs, waits until all is settled, and compares everything. Teeth are planted defects that the checks must catch.
package torture

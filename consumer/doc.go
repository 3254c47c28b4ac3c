// Package consumer runs the transactional loop: it polls transactions, has each partition's processor score them, and publishes verdicts,
// dead letters and the consumed offsets in one Kafka transaction. It decides when the share of dead letters is no longer a matter of bad
// records but of a broken stream, and stops. It also sends dead letters back.
package consumer

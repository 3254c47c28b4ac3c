// Package kafka connects to a Kafka cluster as the configuration says (TLS, SASL), checks that the cluster can keep the promise of
// exactly-once, lays out the topics, and starts the embedded broker of the demo.
package kafka

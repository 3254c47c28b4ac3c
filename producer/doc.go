// Package producer makes what is published: the records of verdicts and dead letters, and simulated transactions.
package producer

// Package metrics measures decisions on transactions whose labels are known: curves, figures at thresholds, calibration, money, and intervals. Everything is counted, and counts of
// parts add up: of partitions, of machines. It is pure.
package metrics

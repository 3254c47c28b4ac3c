// Package drift compares distributions by counts: what a model was trained on, its profile, with what it is given now. All state is integer
// counts over fixed bins, so counts of replicas and of windows add up, and every statistic is a function of counts alone, here and in PromQL alike.
//
// It is pure: no Kafka, no clock, no environment. What it says of time is said of the events' own.
package drift

// Package registry knows where bundles come from, a directory or MLflow, and which one is to decide: it watches, fetches, proves, and hands over. What it cannot prove never decides:
// the bundle in force stays.
package registry

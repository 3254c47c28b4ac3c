package main

const (
	short   = "short"
	share   = "percentunit"
	seconds = "s"
	rate    = "reqps" // transactions, records or requests a second
	octets  = "bytes"
)

// Conditions that queries share.
const (
	version = `model_version=~"$model_version"`
	chosen  = version + `,feature=~"$feature"`
	api     = `path!~"/health|/ready|/metrics"`
)

// quantile of a histogram over all replicas.
func quantile(q, histogram string) string {
	return "histogram_quantile(" + q + ", sum by (le) (rate(" + histogram + "_bucket[$__rate_interval])))"
}

// within is the share of verdicts within the objective, exact since a bucket ends there.
const within = `sum(rate(mlmonitor_verdict_latency_seconds_bucket{le="0.1"}[$__rate_interval])) / sum(rate(mlmonitor_verdict_latency_seconds_count[$__rate_interval]))`

var modelVersion = variable{"model_version", "model", "fraud_predictions_total"}

func boards() []board {
	return []board{service(), model(), quality(), plumbing()}
}

func service() board {
	return board{"service", "Service", "What users of the verdicts feel: traffic, latency, errors, and how fast the error budgets burn.", []variable{modelVersion}, []row{
		{"Now", []panel{
			{kind: number, title: "Transactions a second", about: "Verdicts committed, all replicas. None for ten minutes pages.", unit: rate, width: 4, queries: []query{{`sum(rate(fraud_predictions_total[$__rate_interval]))`, "verdicts"}}},
			{kind: number, title: "Within 100 ms", about: "Share of verdicts committed within 100 ms of their input's timestamp. Objective: 99 %.", unit: share, width: 4, queries: []query{{within, "within 100 ms"}}, steps: []step{{0, "red"}, {0.99, "green"}}},
			{kind: number, title: "Latency p99", about: "From the input record's timestamp to the commit of its verdict.", unit: seconds, width: 4, queries: []query{{quantile("0.99", "mlmonitor_verdict_latency_seconds"), "p99"}}, steps: []step{{0.1, "red"}}},
			{kind: number, title: "Oldest lag", about: "Age of the newest input answered where more wait. Above 30 s pages.", unit: seconds, width: 4, queries: []query{{`max(mlmonitor_consumer_lag_seconds)`, "lag"}}, steps: []step{{5, "yellow"}, {30, "red"}}},
			{kind: number, title: "Processes ready", about: "Scorers and audit writers whose /ready says 200.", unit: short, width: 4, queries: []query{{`sum(mlmonitor_ready)`, "ready"}}, steps: []step{{0, "red"}, {1, "green"}}},
			{kind: number, title: "Dead letters", about: "Share of records that could not be scored in the last hour. Above 0.1 % opens a ticket.", unit: share, width: 4, queries: []query{{`sum(rate(mlmonitor_dead_letters_total[1h])) / (sum(rate(mlmonitor_dead_letters_total[1h])) + sum(rate(fraud_predictions_total[1h])))`, "dead letters"}}, steps: []step{{0.001, "red"}}},
		}},
		{"Traffic", []panel{
			{kind: stacked, title: "Decisions", about: "Verdicts a second by decision. A share that jumps is a change of the model, of the policy, or of the world.", unit: rate, width: 12, queries: []query{{`sum by (decision) (rate(fraud_predictions_total{` + version + `}[$__rate_interval]))`, "{{decision}}"}}, min: at(0)},
			{kind: lines, title: "By model", about: "Verdicts a second by the bundle's version: a swap shows as one line that takes over from another.", unit: rate, width: 12, queries: []query{{`sum by (model_version) (rate(fraud_predictions_total{` + version + `}[$__rate_interval]))`, "{{model_version}}"}}, min: at(0)},
		}},
		{"Latency", []panel{
			{kind: lines, title: "From input to committed verdict", about: "Observed for the first record of each fetch, which waits longest. Objective: 99 % within 100 ms.", unit: seconds, width: 12, queries: []query{
				{quantile("0.5", "mlmonitor_verdict_latency_seconds"), "p50"}, {quantile("0.99", "mlmonitor_verdict_latency_seconds"), "p99"}}, steps: []step{{0.1, "red"}}, min: at(0)},
			{kind: lines, title: "Decode and score one transaction", about: "Mean of a batch. What scoring itself takes; the rest is brokers and waiting.", unit: seconds, width: 12, queries: []query{
				{quantile("0.5", "fraud_prediction_duration_seconds"), "p50"}, {quantile("0.99", "fraud_prediction_duration_seconds"), "p99"}}, min: at(0)},
		}},
		{"Objectives", []panel{
			{kind: lines, title: "Latency budget: how fast it burns", about: "1 spends the month's budget (1 % beyond 100 ms) in a month; 14.4 over an hour pages.", unit: short, width: 12, queries: []query{
				{`fraud:slow_ratio:5m / 0.01`, "5 m"}, {`fraud:slow_ratio:1h / 0.01`, "1 h"}, {`fraud:slow_ratio:6h / 0.01`, "6 h"}, {`fraud:slow_ratio:3d / 0.01`, "3 d"}}, steps: []step{{1, "yellow"}, {14.4, "red"}}, min: at(0)},
			{kind: lines, title: "Requests that failed", about: "Share of HTTP requests with a 5xx, operations pages left out. Objective: below 0.1 %.", unit: share, width: 12, queries: []query{
				{`(sum(rate(http_requests_total{code=~"5..",` + api + `}[$__rate_interval])) or vector(0)) / (sum(rate(http_requests_total{` + api + `}[$__rate_interval])) > 0) or vector(0)`, "failed"}}, steps: []step{{0.001, "red"}}, min: at(0)},
		}},
		{"Processes", []panel{
			{kind: lines, title: "Memory", about: "Resident memory by process. It levels off; a line that only rises is a leak.", unit: octets, width: 8, queries: []query{{`process_resident_memory_bytes{job=~"mlmonitor-.*"}`, "{{job}} {{instance}}"}}, min: at(0)},
			{kind: lines, title: "Processors", about: "Processor seconds a second by process.", unit: short, width: 8, queries: []query{{`rate(process_cpu_seconds_total{job=~"mlmonitor-.*"}[$__rate_interval])`, "{{job}} {{instance}}"}}, min: at(0)},
			{kind: lines, title: "Ready", about: "1 while /ready says 200. /ready itself says why not.", unit: short, width: 8, queries: []query{{`mlmonitor_ready`, "{{job}} {{instance}}"}}, min: at(0), max: at(1)},
		}},
	}}
}

// levels are the thresholds of PSI.
var levels = []step{{0.02, "yellow"}, {0.1, "orange"}, {0.25, "red"}}

func model() board {
	return board{"drift", "Model and drift", "Whether the model is given what it was made for. PSI counts when it is above its critical value: below, it is chance.", []variable{modelVersion, {"feature", "feature", "fraud_feature_bin_total"}}, []row{
		{"Now", []panel{
			{kind: number, title: "Features that drift", about: "PSI above 0.1 and above chance, over an hour.", unit: short, width: 6, queries: []query{{`count((fraud:drift_psi:1h{` + version + `} > 0.1) and (fraud:drift_psi:1h > fraud:drift_psi_critical:1h) and (fraud:drift_window_observations:1h >= 1000)) or vector(0)`, "features"}}, steps: []step{{1, "orange"}}},
			{kind: number, title: "Transactions in the window", about: "Below 1,000 nothing can be said.", unit: short, width: 6, queries: []query{{`max(fraud:drift_window_observations:1h{` + version + `})`, "transactions"}}, steps: []step{{0, "red"}, {1000, "green"}}},
			{kind: number, title: "Reviewed or declined", about: "Share of verdicts over an hour.", unit: share, width: 6, queries: []query{{`sum(rate(fraud_predictions_total{` + version + `,decision!="approve"}[1h])) / sum(rate(fraud_predictions_total{` + version + `}[1h]))`, "share"}}},
			{kind: number, title: "Age of the newest reference", about: "Since the newest transaction in the bundle's profile. Above thirty days: retrain.", unit: seconds, width: 6, queries: []query{{`time() - max(fraud_model_trained_timestamp_seconds{` + version + `})`, "age"}}, steps: []step{{30 * 86400, "yellow"}}},
		}},
		{"Drift", []panel{
			{kind: heat, title: "PSI by feature", about: "Yellow from 0.02, orange from 0.1, red from 0.25. Only what is above its critical value is coloured as drift: the next panel shows both.", unit: short, width: 24, queries: []query{{`fraud:drift_psi:1h{` + chosen + `} * (fraud:drift_psi:1h{` + chosen + `} > bool fraud:drift_psi_critical:1h{` + chosen + `})`, "{{feature}}"}}, steps: levels},
			{kind: lines, title: "PSI", about: "Population stability index over an hour, all replicas.", unit: short, width: 12, queries: []query{{`fraud:drift_psi:1h{` + chosen + `}`, "{{feature}}"}}, steps: levels, min: at(0)},
			{kind: lines, title: "PSI over its critical value", about: "Above 1 it is more than chance explains in any feature of a window with probability 0.01.", unit: short, width: 12, queries: []query{{`fraud:drift_psi:1h{` + chosen + `} / fraud:drift_psi_critical:1h{` + chosen + `}`, "{{feature}}"}}, steps: []step{{1, "orange"}}, min: at(0)},
		}},
		{"Distributions", []panel{
			{kind: bars, title: "Reference and now, of the chosen feature", about: "Shares of the bins over an hour. Choose one feature above.", unit: share, width: 12, by: "bin", queries: []query{
				{`max by (bin) (fraud_reference_bin_share{` + chosen + `})`, "reference"},
				{`sum by (bin) (increase(fraud_feature_bin_total{` + chosen + `}[1h])) / scalar(sum(increase(fraud_feature_bin_total{` + chosen + `}[1h])))`, "now"}}},
			{kind: bars, title: "Reference and now, of the probability", about: "Shares of the bins of the model's probability over an hour.", unit: share, width: 12, by: "bin", queries: []query{
				{`max by (bin) (fraud_reference_bin_share{` + version + `,feature="verdict.probability"})`, "reference"},
				{`sum by (bin) (increase(fraud_feature_bin_total{` + version + `,feature="verdict.probability"}[1h])) / scalar(sum(increase(fraud_feature_bin_total{` + version + `,feature="verdict.probability"}[1h])))`, "now"}}},
			{kind: lines, title: "Missing values", about: "Share of transactions in which the feature is missing.", unit: share, width: 12, queries: []query{{`sum by (feature) (rate(fraud_feature_bin_total{` + chosen + `,bin="missing"}[$__rate_interval])) / sum by (feature) (rate(fraud_feature_bin_total{` + chosen + `}[$__rate_interval]))`, "{{feature}}"}}, min: at(0)},
			{kind: lines, title: "Decision rates", about: "Share of verdicts by decision, approvals left out.", unit: share, width: 12, queries: []query{{`sum by (decision) (rate(fraud_predictions_total{` + version + `,decision!="approve"}[$__rate_interval])) / scalar(sum(rate(fraud_predictions_total{` + version + `}[$__rate_interval])))`, "{{decision}}"}}, min: at(0)},
		}},
		{"In the champion's shadow", []panel{
			{kind: lines, title: "Decisions that would flip", about: "Share of transactions on which the challenger would have decided otherwise.", unit: share, width: 12, queries: []query{{`(sum(rate(fraud_shadow_decisions_total[$__rate_interval])) - (sum(rate(fraud_shadow_decisions_total{champion="approve",challenger="approve"}[$__rate_interval])) + sum(rate(fraud_shadow_decisions_total{champion="review",challenger="review"}[$__rate_interval])) + sum(rate(fraud_shadow_decisions_total{champion="decline",challenger="decline"}[$__rate_interval])))) / (sum(rate(fraud_shadow_decisions_total[$__rate_interval])) > 0) or vector(0)`, "flips"}}, min: at(0)},
			{kind: lines, title: "What the challenger leaves out", about: "Transactions a second that it does not score: no time left, no score, or it failed.", unit: rate, width: 12, queries: []query{{`sum by (reason) (rate(mlmonitor_shadow_skipped_total[$__rate_interval]))`, "{{reason}}"}}, min: at(0)},
		}},
		{"What each process sees", []panel{
			{kind: stacked, title: "Bundles in force", about: "Scorers by the bundle that decides there. During a swap there are two; when it stays so, a scorer does not follow the registry.", unit: short, width: 24, queries: []query{{`count by (version, digest) (mlmonitor_bundle_info)`, "{{version}} {{digest}}"}}, min: at(0)},
			{kind: lines, title: "Share of keys that a canary decides", about: "By the challenger that decides for them. Nothing without a canary.", unit: share, width: 24, queries: []query{{`max by (version, digest) (mlmonitor_canary_share) or vector(0)`, "{{version}} {{digest}}"}}, min: at(0)},
			{kind: lines, title: "PSI of the last event-time window", about: "By process, of its own partitions, over DRIFT_WINDOW of event time.", unit: short, width: 12, queries: []query{{`fraud_drift_psi{` + chosen + `}`, "{{instance}} {{feature}}"}}, steps: levels, min: at(0)},
			{kind: lines, title: "Where transactions fall in event time", about: "Too late and early ones are in no window: a wrong clock, or old data sent again.", unit: rate, width: 12, queries: []query{{`sum by (placement) (rate(fraud_drift_events_total{` + version + `}[$__rate_interval]))`, "{{placement}}"}}, min: at(0)},
		}},
	}}
}

// passed is the share of checks that held, over rules without a limit of their own.
const passed = `1 - sum(sum by (rule, model_version, bundle) (rate(fraud_quality_failures_total{` + version + `}[15m])) unless on (rule, model_version, bundle) fraud_quality_limit_ratio) / sum(sum by (rule, model_version, bundle) (rate(fraud_quality_checks_total{` + version + `}[15m])) unless on (rule, model_version, bundle) fraud_quality_limit_ratio)`

func quality() board {
	return board{"quality", "Data quality", "Whether records are what the contract says.", []variable{modelVersion}, []row{
		{"Now", []panel{
			{kind: number, title: "Checks that passed", about: "Over 15 minutes. Objective: 99 %.", unit: share, width: 8, queries: []query{{passed, "passed"}}, steps: []step{{0, "red"}, {0.99, "green"}}},
			{kind: number, title: "Records a second", about: "Held to the contract, all replicas.", unit: rate, width: 8, queries: []query{{`sum(rate(fraud_quality_checks_total{` + version + `,rule="type"}[$__rate_interval]))`, "records"}}},
			{kind: number, title: "Rules broken in an hour", about: "Rules with a failure.", unit: short, width: 8, queries: []query{{`count(sum by (rule) (increase(fraud_quality_failures_total{` + version + `}[1h])) > 0) or vector(0)`, "rules"}}},
		}},
		{"Rules", []panel{
			{kind: lines, title: "Pass rate", about: "Objective: 99 %. Rules with a limit of their own are left out.", unit: share, width: 12, queries: []query{{passed, "passed"}}, steps: []step{{0, "red"}, {0.99, "green"}}, max: at(1)},
			{kind: lines, title: "Failures by rule", about: "Share of records that break a rule, the ten worst.", unit: share, width: 12, queries: []query{{`topk(10, sum by (rule) (rate(fraud_quality_failures_total{` + version + `}[$__rate_interval])) / sum by (rule) (rate(fraud_quality_checks_total{` + version + `}[$__rate_interval])))`, "{{rule}}"}}, min: at(0)},
			{kind: lines, title: "Against its limit", about: "Share of failures over what the contract allows, of rules that say so. Above 1 is broken.", unit: short, width: 12, queries: []query{{`(sum by (rule, model_version, bundle) (rate(fraud_quality_failures_total{` + version + `}[1h])) / sum by (rule, model_version, bundle) (rate(fraud_quality_checks_total{` + version + `}[1h]))) / max by (rule, model_version, bundle) (fraud_quality_limit_ratio)`, "{{rule}}"}}, steps: []step{{1, "red"}}, min: at(0)},
			{kind: stacked, title: "Failures by what becomes of the record", about: "count: scored; flag: scored with a finding; dead-letter: not scored.", unit: rate, width: 12, queries: []query{{`sum by (severity) (rate(fraud_quality_failures_total{` + version + `}[$__rate_interval]))`, "{{severity}}"}}, min: at(0)},
		}},
		{"Dead letters", []panel{
			{kind: stacked, title: "By class", about: "Why records could not be scored. mlmonitor dlq list shows them.", unit: rate, width: 12, queries: []query{{`sum by (class) (rate(mlmonitor_dead_letters_total[$__rate_interval]))`, "{{class}}"}}, min: at(0)},
			{kind: lines, title: "Share of the last inputs", about: "What consumption stops at: CONSUMER_MAX_DEAD_LETTER_RATIO, 0.5 by default.", unit: share, width: 12, queries: []query{{`mlmonitor_consumer_dead_letter_ratio`, "{{instance}} {{member}}"}}, steps: []step{{0.5, "red"}}, min: at(0)},
		}},
	}}
}

func plumbing() board {
	return board{"kafka", "Kafka and audit", "From the input topic to the audit table: what waits, what is committed, what fails.", nil, []row{
		{"Scoring", []panel{
			{kind: lines, title: "Inputs that wait", about: "By partition. One that only grows has no reader, or a transaction hangs in it.", unit: short, width: 12, queries: []query{{`sum by (partition) (mlmonitor_consumer_lag_records)`, "{{partition}}"}}, min: at(0)},
			{kind: lines, title: "How long they wait", about: "Age of the newest input answered where more wait. Above 30 s pages.", unit: seconds, width: 12, queries: []query{{`max by (partition) (mlmonitor_consumer_lag_seconds)`, "{{partition}}"}}, steps: []step{{30, "red"}}, min: at(0)},
			{kind: stacked, title: "Kafka transactions", about: "By outcome. Aborts are normal in a rebalance; more than 5 % are not.", unit: rate, width: 8, queries: []query{{`sum by (outcome) (rate(mlmonitor_kafka_transactions_total[$__rate_interval]))`, "{{outcome}}"}}, min: at(0)},
			{kind: lines, title: "Records of a transaction", about: "Few at low rates, up to CONSUMER_TXN_MAX_RECORDS when inputs wait.", unit: short, width: 8, queries: []query{{quantile("0.5", "mlmonitor_kafka_transaction_records"), "p50"}, {quantile("0.99", "mlmonitor_kafka_transaction_records"), "p99"}}, min: at(0)},
			{kind: lines, title: "Clients made anew", about: "After failures, and balances because partitions had no reader.", unit: short, width: 8, queries: []query{{`sum by (instance) (increase(mlmonitor_consumer_restarts_total[5m]))`, "restarts {{instance}}"}, {`sum by (instance) (increase(mlmonitor_consumer_adoptions_total[5m]))`, "adoptions {{instance}}"}}, min: at(0)},
			{kind: number, title: "Halted members", about: "Consumption stopped: too many inputs would be dead letters. Pages.", unit: short, width: 12, queries: []query{{`sum(mlmonitor_consumer_halted)`, "halted"}}, steps: []step{{1, "red"}}},
			{kind: number, title: "transaction.version of the brokers", about: "Below 2 a crash may lose or double a verdict.", unit: short, width: 12, queries: []query{{`min(mlmonitor_kafka_transaction_version)`, "version"}}, steps: []step{{0, "red"}, {2, "green"}}},
		}},
		{"Audit", []panel{
			{kind: lines, title: "Verdicts that wait", about: "Not in the database yet, by partition.", unit: short, width: 12, queries: []query{{`sum by (partition) (mlmonitor_audit_lag_records)`, "{{partition}}"}}, min: at(0)},
			{kind: lines, title: "How long verdicts wait", about: "Above five minutes opens a ticket.", unit: seconds, width: 12, queries: []query{{`max by (partition) (mlmonitor_audit_lag_seconds)`, "{{partition}}"}}, steps: []step{{300, "red"}}, min: at(0)},
			{kind: lines, title: "Rows written", about: "Verdicts, and records of the topic that are none.", unit: rate, width: 8, queries: []query{{`sum(rate(mlmonitor_audit_rows_total[$__rate_interval]))`, "verdicts"}, {`sum(rate(mlmonitor_audit_rejected_total[$__rate_interval]))`, "rejects"}}, min: at(0)},
			{kind: lines, title: "One database transaction", about: "Time to copy a batch and its offsets.", unit: seconds, width: 8, queries: []query{{quantile("0.5", "mlmonitor_audit_append_duration_seconds"), "p50"}, {quantile("0.99", "mlmonitor_audit_append_duration_seconds"), "p99"}}, min: at(0)},
			{kind: lines, title: "What failed", about: "Failed and fenced batches are written again, once.", unit: short, width: 8, queries: []query{{`sum(increase(mlmonitor_audit_append_errors_total[5m]))`, "errors"}, {`sum(increase(mlmonitor_audit_fenced_total[5m]))`, "fenced"}, {`sum(increase(mlmonitor_audit_restarts_total[5m]))`, "restarts"}}, min: at(0)},
		}},
	}}
}

package alerts

// look is how many alerts fire at a time, with labels that they have.
type look struct {
	at     string
	fires  float64
	labels string // "" or name="value", …
}

// scenario is one course of events. Values are promtool's: a+bxn is a and n steps of b, one a minute.
type scenario struct {
	alert  string
	name   string
	series map[string]string
	looks  []look
}

func fires(at string, labels ...string) []look {
	l := ""
	if len(labels) > 0 {
		l = labels[0]
	}
	return []look{{at, 1, l}}
}

func silent(at string) []look { return []look{{at, 0, ""}} }

const (
	apiOK    = `http_requests_total{code="200",path="/v1/score"}`
	apiBad   = `http_requests_total{code="503",path="/v1/score"}`
	readyBad = `http_requests_total{code="503",path="/ready"}`
	fast     = `mlmonitor_verdict_latency_seconds_bucket{le="0.1"}`
	verdicts = `mlmonitor_verdict_latency_seconds_count`
	up       = `up{job="mlmonitor-score",instance="a"}`
	scored   = `fraud_predictions_total{decision="approve",model_version="1"}`
	letters  = `mlmonitor_dead_letters_total{class="wrong_type"}`
	commits  = `mlmonitor_kafka_transactions_total{outcome="commit"}`
	aborts   = `mlmonitor_kafka_transactions_total{outcome="abort"}`
	unknown  = `mlmonitor_kafka_transactions_total{outcome="unknown"}`

	of    = `{feature="amount",model_version="1",bundle="b"}`
	psi   = `fraud:drift_psi:1h` + of
	crit  = `fraud:drift_psi_critical:1h` + of
	obs   = `fraud:drift_window_observations:1h` + of
	bins  = `fraud:drift_bins:1h` + of
	named = `feature="amount",model_version="1",bundle="b"`

	typeChecks  = `fraud_quality_checks_total{rule="type",severity="dead-letter",model_version="1",bundle="b"}`
	typeFails   = `fraud_quality_failures_total{rule="type",severity="dead-letter",model_version="1",bundle="b"}`
	knownChecks = `fraud_quality_checks_total{rule="known",severity="count",model_version="1",bundle="b"}`
	knownFails  = `fraud_quality_failures_total{rule="known",severity="count",model_version="1",bundle="b"}`
	knownLimit  = `fraud_quality_limit_ratio{rule="known",model_version="1",bundle="b"}`
	atLeast     = `fraud_quality_volume_limit{bound="min",model_version="1",bundle="b"}`
	atMost      = `fraud_quality_volume_limit{bound="max",model_version="1",bundle="b"}`
	onTime      = `fraud_drift_events_total{placement="on_time",model_version="1",bundle="b"}`
	tooLate     = `fraud_drift_events_total{placement="too_late",model_version="1",bundle="b"}`
)

func drifted(psiValue, critical, observations, occupied string) map[string]string {
	return map[string]string{psi: psiValue, crit: critical, obs: observations, bins: occupied}
}

// driftScenarios are those of the three alerts about PSI: the threshold from both sides, and what else must hold.
func driftScenarios(alert, below, above, during, after string) []scenario {
	return []scenario{
		{alert, "just above", drifted(above+"x200", "0.01x200", "5000x200", "13x200"), []look{{during, 0, ""}, {after, 1, named}}},
		{alert, "just below", drifted(below+"x200", "0.01x200", "5000x200", "13x200"), silent(after)},
		{alert, "large, and no more than chance", drifted("0.9x200", "0.91x200", "5000x200", "13x200"), silent(after)},
		{alert, "not tested", map[string]string{psi: "0.9x200", obs: "5000x200", bins: "13x200"}, silent(after)},
		{alert, "a window just wide enough", drifted("0.9x200", "0.01x200", "1000x200", "13x200"), fires(after)},
		{alert, "a window too narrow", drifted("0.9x200", "0.01x200", "999x200", "13x200"), silent(after)},
		{alert, "just wide enough for its bins", drifted("0.9x200", "0.01x200", "1210x200", "60x200"), fires(after)},
		{alert, "too narrow for its bins", drifted("0.9x200", "0.01x200", "1190x200", "60x200"), silent(after)},
		{alert, "it has passed", drifted("0.9x100 0x100", "0.01x200", "5000x200", "13x200"), []look{{"99m", 1, ""}, {"102m", 0, ""}}},
	}
}

func burnScenarios(alert, ratio, long, short, below, above, during, after string) []scenario {
	l, s := "fraud:"+ratio+"_ratio:"+long, "fraud:"+ratio+"_ratio:"+short
	return []scenario{
		{alert, "just above in both windows", map[string]string{l: above + "x200", s: above + "x200"}, []look{{during, 0, ""}, {after, 1, ""}}},
		{alert, "just below in the long window", map[string]string{l: below + "x200", s: "0.9x200"}, silent(after)},
		{alert, "just below in the short window: it has passed", map[string]string{l: "0.9x200", s: below + "x200"}, silent(after)},
	}
}

func scenarios() []scenario {
	all := []scenario{
		{"HighErrorRate", "just above", map[string]string{apiOK: "0+99890x60", apiBad: "0+110x60"}, []look{{"4m", 0, ""}, {"30m", 1, `severity="ticket"`}}},
		{"HighErrorRate", "just below", map[string]string{apiOK: "0+99910x60", apiBad: "0+90x60"}, silent("30m")},
		{"HighErrorRate", "enough errors", map[string]string{apiOK: "0+1x60", apiBad: "0+1.1x60"}, fires("30m")},
		{"HighErrorRate", "too few errors to judge", map[string]string{apiOK: "0+1x60", apiBad: "0+0.9x60"}, silent("30m")},
		{"HighErrorRate", "no series of errors", map[string]string{apiOK: "0+99x60"}, silent("30m")},
		{"HighErrorRate", "a restart of the server is no burst of errors", map[string]string{apiOK: "0+999x30 0+999x30", apiBad: "500x30 0x30"}, silent("40m")},
		{"HighErrorRate", "not ready is no failed request", map[string]string{apiOK: "0+10x60", readyBad: "0+60x60"}, silent("30m")},

		{"HighErrorRate", "just below, and often not ready", map[string]string{apiOK: "0+99910x60", apiBad: "0+90x60", readyBad: "0+1000x60"}, silent("30m")},
		{"HighErrorRate", "the operations pages are no requests either", map[string]string{apiOK: "0+99890x60", apiBad: "0+110x60", `http_requests_total{code="200",path="/metrics"}`: "0+1000000x60"}, fires("30m")},

		{"HighLatency", "just above", map[string]string{fast: "0+989x60", verdicts: "0+1000x60"}, []look{{"4m", 0, ""}, {"30m", 1, ""}}},
		{"HighLatency", "just below", map[string]string{fast: "0+991x60", verdicts: "0+1000x60"}, silent("30m")},
		{"HighLatency", "enough verdicts", map[string]string{fast: "0x60", verdicts: "0+11x60"}, fires("30m")},
		{"HighLatency", "too few to judge", map[string]string{fast: "0x60", verdicts: "0+9x60"}, silent("30m")},
		{"LatencyBucketMissing", "it is", map[string]string{`mlmonitor_verdict_latency_seconds_bucket{le="0.25"}`: "0+1x60", verdicts: "0+1x60"}, fires("30m")},
		{"LatencyBucketMissing", "it is there", map[string]string{fast: "0+1x60", verdicts: "0+1x60"}, silent("30m")},
		{"LatencyBucketMissing", "nothing is scraped", map[string]string{`up{job="other"}`: "1x60"}, silent("30m")},

		{"ScorerDown", "one", map[string]string{up: "1x10 0x30", `up{job="mlmonitor-score",instance="b"}`: "1x60"}, []look{{"11m", 0, ""}, {"14m", 1, `instance="a"`}}},
		{"ScorerDown", "no target at all", map[string]string{`up{job="other"}`: "1x60"}, fires("5m")},
		{"ScorerDown", "all up", map[string]string{up: "1x60"}, silent("30m")},
		{"AuditDown", "it is", map[string]string{`up{job="mlmonitor-audit",instance="a"}`: "0x60"}, []look{{"5m", 0, ""}, {"15m", 1, ""}}},
		{"AuditDown", "it is up", map[string]string{`up{job="mlmonitor-audit",instance="a"}`: "1x60"}, silent("30m")},
		{"ScorerNotReady", "it is not", map[string]string{`mlmonitor_ready{job="mlmonitor-score",instance="a"}`: "0x60"}, []look{{"1m", 0, ""}, {"5m", 1, `instance="a"`}}},
		{"ScorerNotReady", "it is", map[string]string{`mlmonitor_ready{job="mlmonitor-score",instance="a"}`: "1x60"}, silent("30m")},
		{"ScoringHalted", "one member", map[string]string{`mlmonitor_consumer_halted{instance="a",member="1"}`: "1x60", `mlmonitor_consumer_halted{instance="a",member="2"}`: "0x60"}, fires("5m", `instance="a"`)},
		{"ScoringHalted", "none", map[string]string{`mlmonitor_consumer_halted{instance="a",member="1"}`: "0x60"}, silent("5m")},

		{"NoTraffic", "the counter stands still", map[string]string{up: "1x60", scored: "0+60x10 600x50"}, []look{{"15m", 0, ""}, {"40m", 1, `severity="page"`}}},
		{"NoTraffic", "no series yet", map[string]string{up: "1x60"}, fires("15m")},
		{"NoTraffic", "traffic", map[string]string{up: "1x60", scored: "0+1x60"}, silent("40m")},
		{"NoTraffic", "a scorer that is down has its own alert", map[string]string{up: "0x60", scored: "0+60x10 600x50"}, silent("40m")},

		{"StreamLag", "the worst partition counts", map[string]string{`mlmonitor_consumer_lag_seconds{partition="0"}`: "0x60", `mlmonitor_consumer_lag_seconds{partition="1"}`: "31x60"}, []look{{"1m", 0, ""}, {"5m", 1, ""}}},
		{"StreamLag", "just below", map[string]string{`mlmonitor_consumer_lag_seconds{partition="1"}`: "29x60"}, silent("30m")},
		{"AuditLag", "just above", map[string]string{`mlmonitor_audit_lag_seconds{partition="1"}`: "301x60"}, []look{{"3m", 0, ""}, {"10m", 1, ""}}},
		{"AuditLag", "just below", map[string]string{`mlmonitor_audit_lag_seconds{partition="1"}`: "299x60"}, silent("30m")},
		{"AuditErrors", "five in ten minutes", map[string]string{`mlmonitor_audit_append_errors_total`: "0+0.55x60"}, fires("30m")},
		{"AuditErrors", "four", map[string]string{`mlmonitor_audit_append_errors_total`: "0+0.45x60"}, silent("30m")},
		{"AuditRejects", "one", map[string]string{`mlmonitor_audit_rejected_total`: "0x10 1x50"}, fires("15m")},
		{"AuditRejects", "none", map[string]string{`mlmonitor_audit_rejected_total`: "7x60"}, silent("15m")},
		{"VerdictsLost", "in one partition", map[string]string{`mlmonitor_audit_lost_partitions`: "1x60"}, fires("5m", `severity="page"`)},
		{"VerdictsLost", "none", map[string]string{`mlmonitor_audit_lost_partitions`: "0x60"}, silent("5m")},

		{"DeadLetters", "just above", map[string]string{letters: "0+110x60", scored: "0+99890x60"}, []look{{"4m", 0, ""}, {"30m", 1, ""}}},
		{"DeadLetters", "just below", map[string]string{letters: "0+90x60", scored: "0+99910x60"}, silent("30m")},
		{"DeadLetters", "nothing but dead letters, enough", map[string]string{letters: "0+1.1x60"}, fires("30m")},
		{"DeadLetters", "nothing but dead letters, too few to judge", map[string]string{letters: "0+0.9x60"}, silent("30m")},
		{"TransactionAborts", "just above", map[string]string{commits: "0+945x60", aborts: "0+30x60", unknown: "0+25x60"}, []look{{"5m", 0, ""}, {"30m", 1, ""}}},
		{"TransactionAborts", "just below", map[string]string{commits: "0+955x60", aborts: "0+45x60"}, silent("30m")},
		{"TransactionAborts", "enough", map[string]string{commits: "0+1x60", aborts: "0+0.55x60"}, fires("30m")},
		{"TransactionAborts", "too few to judge", map[string]string{commits: "0+1x60", aborts: "0+0.45x60"}, silent("30m")},
		{"ScorerRestarts", "six in a quarter of an hour", map[string]string{`mlmonitor_consumer_restarts_total{instance="a"}`: "0+0.37x60"}, fires("40m", `instance="a"`)},
		{"ScorerRestarts", "four", map[string]string{`mlmonitor_consumer_restarts_total{instance="a"}`: "0+0.3x60"}, silent("40m")},
		{"OldBroker", "one of them", map[string]string{`mlmonitor_kafka_transaction_version{instance="a"}`: "1x60", `mlmonitor_kafka_transaction_version{instance="b"}`: "2x60"}, fires("10m")},
		{"OldBroker", "none", map[string]string{`mlmonitor_kafka_transaction_version{instance="a"}`: "2x60"}, silent("10m")},

		{"DriftBlind", "windows too narrow", map[string]string{scored: "0+10x500", obs: "999x500"}, []look{{"5h", 0, ""}, {"8h", 1, `model_version="1"`}}},
		{"DriftBlind", "wide enough", map[string]string{scored: "0+10x500", obs: "1000x500"}, silent("8h")},
		{"DriftBlind", "no profile", map[string]string{scored: "0+10x500"}, fires("8h")},
		{"DriftBlind", "nothing is scored", map[string]string{scored: "100x500"}, silent("8h")},

		{"DataQuality", "just below the objective", map[string]string{typeChecks: "0+10000x60", typeFails: "0+110x60"}, []look{{"5m", 0, ""}, {"30m", 1, ""}}},
		{"DataQuality", "just above it", map[string]string{typeChecks: "0+10000x60", typeFails: "0+90x60"}, silent("30m")},
		{"DataQuality", "enough checks", map[string]string{typeChecks: "0+70x60", typeFails: "0+70x60"}, fires("30m")},
		{"DataQuality", "too few to judge", map[string]string{typeChecks: "0+60x60", typeFails: "0+60x60"}, silent("30m")},
		{"DataQuality", "a rule with a limit of its own is another alert's", map[string]string{typeChecks: "0+1000x60", typeFails: "0x60", knownChecks: "0+1000x60", knownFails: "0+400x60", knownLimit: "0.5x60"}, silent("30m")},
		{"QualityRule", "just above its limit", map[string]string{knownChecks: "0+1000x100", knownFails: "0+260x100", knownLimit: "0.25x100"}, []look{{"10m", 0, ""}, {"90m", 1, `rule="known"`}}},
		{"QualityRule", "just below", map[string]string{knownChecks: "0+1000x100", knownFails: "0+240x100", knownLimit: "0.25x100"}, silent("90m")},
		{"QualityRule", "without a limit, just above one in a hundred", map[string]string{knownChecks: "0+1000x100", knownFails: "0+11x100"}, fires("90m", `rule="known"`)},
		{"QualityRule", "without a limit, just below", map[string]string{knownChecks: "0+1000x100", knownFails: "0+9x100"}, silent("90m")},
		{"QualityRule", "enough checks", map[string]string{knownChecks: "0+18x100", knownFails: "0+18x100"}, fires("90m")},
		{"QualityRule", "too few to judge", map[string]string{knownChecks: "0+15x100", knownFails: "0+15x100"}, silent("90m")},
		{"TransactionVolume", "just too few", map[string]string{typeChecks: "0+594x60", atLeast: "10x60"}, []look{{"10m", 0, ""}, {"40m", 1, ""}}},
		{"TransactionVolume", "just too many, over two replicas", map[string]string{typeChecks: "0+303x60", `fraud_quality_checks_total{rule="type",severity="dead-letter",model_version="1",bundle="b",instance="b"}`: "0+303x60", atMost: "10x60"}, fires("40m")},
		{"TransactionVolume", "enough, over two replicas", map[string]string{typeChecks: "0+303x60", `fraud_quality_checks_total{rule="type",severity="dead-letter",model_version="1",bundle="b",instance="b"}`: "0+303x60", atLeast: "10x60"}, silent("40m")},
		{"TransactionVolume", "within", map[string]string{typeChecks: "0+600x60", atLeast: "9.9x60", atMost: "10.1x60"}, silent("40m")},
		{"TransactionVolume", "no bounds are stated", map[string]string{typeChecks: "0+600x60"}, silent("40m")},
		{"EventTimes", "just above", map[string]string{onTime: "0+945x60", tooLate: "0+55x60"}, []look{{"10m", 0, ""}, {"40m", 1, ""}}},
		{"EventTimes", "just below", map[string]string{onTime: "0+955x60", tooLate: "0+45x60"}, silent("40m")},
		{"EventTimes", "enough", map[string]string{tooLate: "0+70x60", onTime: "0x60"}, fires("40m")},
		{"EventTimes", "too few to judge", map[string]string{tooLate: "0+60x60", onTime: "0x60"}, silent("40m")},
		{"RegistryStale", "just over a quarter of an hour", map[string]string{`mlmonitor_registry_last_success_timestamp_seconds{instance="a"}`: "0x60"}, []look{{"14m", 0, ""}, {"25m", 1, `instance="a"`}}},
		{"RegistryStale", "just under", map[string]string{`mlmonitor_registry_last_success_timestamp_seconds{instance="a"}`: "0+60x60"}, silent("50m")},
		{"RegistryStale", "minutes", map[string]string{`mlmonitor_registry_last_success_timestamp_seconds{instance="a"}`: "6300x180"}, silent("119m")},
		{"ModelRefused", "one", map[string]string{`mlmonitor_registry_refused_total{instance="a"}`: "0x10 1x50"}, fires("15m", `instance="a"`)},
		{"ModelRefused", "none lately", map[string]string{`mlmonitor_registry_refused_total{instance="a"}`: "3x60"}, silent("15m")},
		{"ModelsDiffer", "two", map[string]string{`mlmonitor_bundle_info{digest="x",instance="a"}`: "1x60", `mlmonitor_bundle_info{digest="y",instance="b"}`: "1x60"}, []look{{"5m", 0, ""}, {"20m", 1, ""}}},
		{"ModelsDiffer", "one on both", map[string]string{`mlmonitor_bundle_info{digest="x",instance="a"}`: "1x60", `mlmonitor_bundle_info{digest="x",instance="b"}`: "1x60"}, silent("20m")},
		{"TracesLost", "a collector that is away", map[string]string{`mlmonitor_trace_spans_total{instance="a",result="failed"}`: "0+1x60"}, []look{{"10m", 0, ""}, {"30m", 1, `instance="a"`}}},
		{"TracesLost", "everything is sampled", map[string]string{`mlmonitor_trace_spans_total{instance="a",result="limited"}`: "0+1000x60"}, fires("30m", `instance="a"`)},
		{"TracesLost", "all are sent", map[string]string{`mlmonitor_trace_spans_total{instance="a",result="exported"}`: "0+1000x60", `mlmonitor_trace_spans_total{instance="a",result="failed"}`: "7x60"}, silent("30m")},
		{"APIErrors", "just above", map[string]string{`mlmonitor_api_requests_total{code="200"}`: "0+989x60", `mlmonitor_api_requests_total{code="503"}`: "0+11x60"}, []look{{"4m", 0, ""}, {"20m", 1, ""}}},
		{"APIErrors", "just below", map[string]string{`mlmonitor_api_requests_total{code="200"}`: "0+991x60", `mlmonitor_api_requests_total{code="504"}`: "0+9x60"}, silent("20m")},
		{"APIErrors", "too few to judge", map[string]string{`mlmonitor_api_requests_total{code="200"}`: "0+1x60", `mlmonitor_api_requests_total{code="500"}`: "0+0.9x60"}, silent("20m")},
		{"APIErrors", "enough of few", map[string]string{`mlmonitor_api_requests_total{code="200"}`: "0+1x60", `mlmonitor_api_requests_total{code="500"}`: "0+1.1x60"}, fires("20m")},
		{"APIErrors", "what callers do wrong", map[string]string{`mlmonitor_api_requests_total{code="200"}`: "0+1x60", `mlmonitor_api_requests_total{code="422"}`: "0+100x60"}, silent("20m")},
		{"APILatency", "just above", map[string]string{`mlmonitor_api_request_duration_seconds_bucket{operation="predict",le="0.1"}`: "0+989x60", `mlmonitor_api_request_duration_seconds_count{operation="predict"}`: "0+1000x60"}, []look{{"4m", 0, ""}, {"30m", 1, ""}}},
		{"APILatency", "just below", map[string]string{`mlmonitor_api_request_duration_seconds_bucket{operation="predict",le="0.1"}`: "0+991x60", `mlmonitor_api_request_duration_seconds_count{operation="predict"}`: "0+1000x60"}, silent("30m")},
		{"APILatency", "enough requests", map[string]string{`mlmonitor_api_request_duration_seconds_bucket{operation="predict",le="0.1"}`: "0x60", `mlmonitor_api_request_duration_seconds_count{operation="predict"}`: "0+11x60"}, fires("30m")},
		{"APILatency", "too few to judge", map[string]string{`mlmonitor_api_request_duration_seconds_bucket{operation="predict",le="0.1"}`: "0x60", `mlmonitor_api_request_duration_seconds_count{operation="predict"}`: "0+9x60"}, silent("30m")},
		{"APILatency", "another operation", map[string]string{`mlmonitor_api_request_duration_seconds_bucket{operation="drift-report",le="0.1"}`: "0x60", `mlmonitor_api_request_duration_seconds_count{operation="drift-report"}`: "0+100x60"}, silent("30m")},
		{"RepliesLost", "six in ten minutes", map[string]string{`mlmonitor_replies_total{instance="a",outcome="lost"}`: "0+0.6x60"}, fires("30m", `instance="a"`)},
		{"RepliesLost", "four in ten minutes", map[string]string{`mlmonitor_replies_total{instance="a",outcome="lost"}`: "0+0.4x60"}, silent("30m")},
		{"RepliesLost", "sent", map[string]string{`mlmonitor_replies_total{instance="a",outcome="sent"}`: "0+100x60"}, silent("30m")},
		{"CanaryDiffers", "one has none", map[string]string{`mlmonitor_bundle_info{digest="x",instance="a"}`: "1x60", `mlmonitor_bundle_info{digest="x",instance="b"}`: "1x60", `mlmonitor_canary_share{digest="y",instance="a"}`: "0.1x60"}, []look{{"5m", 0, ""}, {"20m", 1, ""}}},
		{"CanaryDiffers", "two", map[string]string{`mlmonitor_bundle_info{digest="x",instance="a"}`: "1x60", `mlmonitor_bundle_info{digest="x",instance="b"}`: "1x60", `mlmonitor_canary_share{digest="y",instance="a"}`: "0.1x60", `mlmonitor_canary_share{digest="z",instance="b"}`: "0.1x60"}, []look{{"5m", 0, ""}, {"20m", 1, ""}}},
		{"CanaryDiffers", "two shares", map[string]string{`mlmonitor_bundle_info{digest="x",instance="a"}`: "1x60", `mlmonitor_bundle_info{digest="x",instance="b"}`: "1x60", `mlmonitor_canary_share{digest="y",instance="a"}`: "0.1x60", `mlmonitor_canary_share{digest="y",instance="b"}`: "0.2x60"}, []look{{"5m", 0, ""}, {"20m", 1, ""}}},
		{"CanaryDiffers", "the same on both", map[string]string{`mlmonitor_bundle_info{digest="x",instance="a"}`: "1x60", `mlmonitor_bundle_info{digest="x",instance="b"}`: "1x60", `mlmonitor_canary_share{digest="y",instance="a"}`: "0.1x60", `mlmonitor_canary_share{digest="y",instance="b"}`: "0.1x60"}, silent("20m")},
		{"CanaryDiffers", "none", map[string]string{`mlmonitor_bundle_info{digest="x",instance="a"}`: "1x60", `mlmonitor_bundle_info{digest="x",instance="b"}`: "1x60"}, silent("20m")},
		{"ModelStale", "just over thirty days", map[string]string{`fraud_model_trained_timestamp_seconds{model_version="1",bundle="b"}`: "-2590000x200"}, []look{{"30m", 0, ""}, {"130m", 1, `model_version="1"`}}},
		{"ModelStale", "just under", map[string]string{`fraud_model_trained_timestamp_seconds{model_version="1",bundle="b"}`: "-2580000x200"}, silent("130m")},
	}
	all = append(all, driftScenarios("ModelDrift", "0.0999", "0.1001", "10m", "20m")...)
	all = append(all, driftScenarios("ModelDriftSevere", "0.2499", "0.2501", "10m", "20m")...)
	all = append(all, driftScenarios("ModelDriftSmall", "0.0199", "0.0201", "50m", "65m")...)
	for _, slo := range []struct{ name, ratio, below, above string }{{"Availability", "error", "0.0009", "0.0011"}, {"Latency", "slow", "0.009", "0.011"}} {
		scale := func(factor, value string) string { return product(factor, value) }
		all = append(all, burnScenarios(slo.name+"BudgetBurnFast", slo.ratio, "1h", "5m", scale("14.4", slo.below), scale("14.4", slo.above), "1m", "5m")...)
		all = append(all, burnScenarios(slo.name+"BudgetBurnQuick", slo.ratio, "6h", "30m", scale("6", slo.below), scale("6", slo.above), "4m", "10m")...)
		all = append(all, burnScenarios(slo.name+"BudgetBurnSlow", slo.ratio, "1d", "2h", scale("3", slo.below), scale("3", slo.above), "14m", "20m")...)
		all = append(all, burnScenarios(slo.name+"BudgetBurnSteady", slo.ratio, "3d", "6h", slo.below, slo.above, "50m", "70m")...)
	}
	return all
}

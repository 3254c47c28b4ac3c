#!/usr/bin/env bash
# Runs both schedules with Airflow's own `dags test`, on a real Kafka and MLflow: a poor champion and drifted transactions must end in a challenger that passed the
# gates; gates that nobody passes must leave the challenger as it was. Run by `make test-airflow`.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
dir=$(mktemp -d)
finish() {
  test/stack/mlflow.sh stop "$dir/mlflow" || true
  test/stack/kafka.sh stop "$dir/kafka" || true
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

free() { "${PYTHON:-python3}" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
export OWNER_PID=$$ KAFKA_PORTS MLFLOW_PORT
KAFKA_PORTS=$(free) MLFLOW_PORT=$(free)
KAFKA_CONTROLLER_PORTS=$(free) test/stack/kafka.sh start "$dir/kafka"
test/stack/mlflow.sh start "$dir/mlflow"

mkdir -p "$dir/bin" "$dir/work"
go build -o "$dir/bin/mlmonitor" ./cmd/mlmonitor
export PATH=$dir/bin:$PATH KAFKA_BROKERS=127.0.0.1:$KAFKA_PORTS MLFLOW_TRACKING_URI=http://127.0.0.1:$MLFLOW_PORT MODEL_CACHE_DIR=$dir/cache
export MLMONITOR_TRAINING=$root/training MLMONITOR_PYTHON=$root/.cache/venv/bin/python MLMONITOR_WORK=$dir/work MLMONITOR_LABELS=$dir/labels.csv

echo "== a poor champion, and eight weeks of transactions"
mlmonitor topics >/dev/null
mlmonitor produce --count 118000 --customers 1000 --terminals 200 --malformed 0.001 >/dev/null
mlmonitor produce --count 118000 --customers 1000 --terminals 200 --out "$dir/events.jsonl" --labels "$dir/all.csv" >/dev/null
awk -F, 'NR == 1 || $2 != ""' "$dir/all.csv" >"$dir/labels.csv" # a fraud team knows the frauds
# Amounts of the profile's time were a tenth: today's are severe drift.
sed -E 's/"amount":([0-9]+)(\.[0-9]+)?/"amount":0.\1/' "$dir/events.jsonl" >"$dir/cheap.jsonl"
"$MLMONITOR_PYTHON" training/train.py --events "$dir/cheap.jsonl" --labels "$dir/all.csv" --contract training/contract.yaml --trees 3 --leaves 4 \
  --name poor --out "$dir/poor" >/dev/null
mlmonitor model push "$dir/poor"
mlmonitor model promote 1 --force --by test --why "the first"

export AIRFLOW_HOME=$dir/airflow AIRFLOW__CORE__DAGS_FOLDER=$root/deploy/airflow/dags AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__UNIT_TEST_MODE=False
airflow=$root/.cache/venv-airflow/bin/airflow
"$airflow" db migrate >"$dir/migrate.log" 2>&1 || { tail -n 20 "$dir/migrate.log" >&2; exit 1; }

run() {
  echo "== airflow dags test $1"
  "$airflow" dags test "$1" >"$dir/$1.log" 2>&1
}
challenger() { mlmonitor model list --json | "$MLMONITOR_PYTHON" -c 'import json, sys; print(next((v["version"] for v in json.load(sys.stdin) if "challenger" in v["aliases"]), ""))'; }

# What the drift schedule would trigger is told by the log: `dags test` has no scheduler that would run it.
run mlmonitor_drift || true
grep -q '"level": "severe"' "$dir"/work/mlmonitor_drift-*/drift.json || { tail -n 40 "$dir/mlmonitor_drift.log" >&2; echo "drift is not severe" >&2; exit 1; }
grep -Eiq 'mlmonitor_retrain' "$dir/mlmonitor_drift.log" || { tail -n 40 "$dir/mlmonitor_drift.log" >&2; echo "severe drift triggers no training" >&2; exit 1; }

export MLMONITOR_GATES="--min-auc 0.8"
run mlmonitor_retrain || { tail -n 60 "$dir/mlmonitor_retrain.log" >&2; exit 1; }
[ "$(challenger)" = 2 ] || { tail -n 60 "$dir/mlmonitor_retrain.log" >&2; mlmonitor model list >&2; echo "there is no challenger" >&2; exit 1; }
cat "$dir"/work/mlmonitor_retrain-*/gates.json

rm -rf "$dir"/work/*
export MLMONITOR_GATES="--min-auc 1"
run mlmonitor_retrain && { echo "the gates let pass what they must not" >&2; exit 1; }
[ "$(challenger)" = 2 ] || { mlmonitor model list >&2; echo "a model that did not pass is challenger" >&2; exit 1; }
mlmonitor model list
echo "passed"

"""Two schedules around the models: look at drift every hour, and train every week, or when drift is severe.

They call mlmonitor and training/, which decide; what is here says when, and in which order. Settings come from the workers' environment: that of mlmonitor
(KAFKA_BROKERS, MLFLOW_TRACKING_URI, …), and

  MLMONITOR_TRAINING  folder of training/
  MLMONITOR_PYTHON    a Python with training/requirements.txt
  MLMONITOR_WORK      folder that all workers share; a run's files are in a folder of its name
  MLMONITOR_LABELS    CSV of the known frauds, which the fraud team's system writes
  MLMONITOR_SPAN      how far training looks back, such as 1344h (the default, eight weeks)
  MLMONITOR_GATES     further arguments of gate.py, such as --min-auc 0.9
"""

from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG

# A task that exits with it is skipped, and with it what depends on it.
SKIP = 99

# Each task works in its run's folder. The run's name has characters that some file systems refuse.
ENTER = 'set -euo pipefail; umask 027; d="$MLMONITOR_WORK/{{ dag.dag_id }}-{{ run_id | replace(":", "") | replace("+", "_") }}"; mkdir -p "$d"; cd "$d"\n'


def task(name, command, **more):
    return BashOperator(task_id=name, bash_command=ENTER + command, append_env=True, **more)


common = {
    "start_date": datetime(2026, 1, 1, tzinfo=timezone.utc),
    "catchup": False,
    "max_active_runs": 1,
    "tags": ["mlmonitor"],
    "default_args": {"retries": 2, "retry_delay": timedelta(minutes=2), "execution_timeout": timedelta(hours=4)},
}

with DAG("mlmonitor_drift", schedule="@hourly", doc_md="Compares the last hour with the champion's profile; severe drift starts a training, once a day at most.", **common):
    champion = task("champion", "rm -rf champion; mlmonitor model fetch --out champion")
    report = task("report", "mlmonitor drift report --bundle champion --from 1h --out drift.html --json > drift.json")
    severe = task("severe", f"""
"$MLMONITOR_PYTHON" -c 'import json; raise SystemExit(0 if json.load(open("drift.json"))["level"] == "severe" else {SKIP})'""", skip_on_exit_code=SKIP)
    retrain = TriggerDagRunOperator(
        task_id="retrain",
        trigger_dag_id="mlmonitor_retrain",
        trigger_run_id="drift-{{ macros.datetime.now().strftime('%Y-%m-%d') }}",
        skip_when_already_exists=True,
    )
    champion >> report >> severe >> retrain

with DAG("mlmonitor_retrain", schedule="0 3 * * 1", doc_md="Trains on the last weeks, holds the model to the gates, and makes it the challenger.", **common):
    export = task("export", 'mlmonitor topics export --from "${MLMONITOR_SPAN:-1344h}" --out events.jsonl')
    labels = task("labels", 'cp "$MLMONITOR_LABELS" labels.csv')
    champion = task("champion", "rm -rf champion; mlmonitor model fetch --out champion")
    train = task("train", """
"$MLMONITOR_PYTHON" "$MLMONITOR_TRAINING/train.py" --events events.jsonl --labels labels.csv --unlabelled honest --malformed skip \\
  --contract champion/contract.yaml --data "topic export" --name fraud --bundle-version '{{ run_id }}' --costs "$MLMONITOR_TRAINING/costs.yaml" \\
  --out candidate > candidate.json""")
    gates = task("gates", """
"$MLMONITOR_PYTHON" "$MLMONITOR_TRAINING/gate.py" --candidate candidate --champion champion --events events.jsonl --labels labels.csv \\
  --unlabelled honest --malformed skip ${MLMONITOR_GATES:-} > gates.json""", retries=0)
    challenger = task("challenger", """
"$MLMONITOR_PYTHON" "$MLMONITOR_TRAINING/track.py" candidate --model "${MLFLOW_MODEL:-fraud-detector}" --by airflow --why 'passed the gates in {{ run_id }}'""", retries=0)
    [export, labels, champion] >> train >> gates >> challenger

"""Airflow reads the schedules, and each command that they give is one that the programs know. Run with: python -m pytest deploy/airflow"""

import os
import re
import subprocess
from pathlib import Path

import pytest
from airflow.models.dagbag import DagBag

HERE = Path(__file__).parent
MLMONITOR = os.environ.get("MLMONITOR", "mlmonitor")
TRAINING = HERE.parent.parent / "training"
TRAINING_PYTHON = os.environ.get("MLMONITOR_PYTHON", "python3")


@pytest.fixture(scope="module")
def bag():
    found = DagBag(HERE / "dags", include_examples=False)
    assert not found.import_errors
    return found


def test_the_schedules_are_those_of_the_docs(bag):
    assert set(bag.dags) == {"mlmonitor_drift", "mlmonitor_retrain"}
    order = {dag.dag_id: [task.task_id for task in dag.topological_sort()] for dag in bag.dags.values()}
    assert order["mlmonitor_drift"] == ["champion", "report", "severe", "retrain"]
    assert order["mlmonitor_retrain"][-3:] == ["train", "gates", "challenger"] and set(order["mlmonitor_retrain"][:3]) == {"export", "labels", "champion"}
    for dag in bag.dags.values():
        assert dag.max_active_runs == 1 and not dag.catchup


def commands(bag):
    for dag in bag.dags.values():
        for task in dag.tasks:
            if hasattr(task, "bash_command"):
                yield f"{dag.dag_id}.{task.task_id}", task.bash_command


def test_every_command_and_flag_is_one_that_the_programs_have(bag):
    seen = set()
    for name, text in commands(bag):
        subprocess.run(["bash", "-n"], input=re.sub(r"\{\{.*?\}\}", "x", text), text=True, check=True)
        for line in text.replace("\\\n", " ").split("\n"):
            for found in re.finditer(r'(?:^|; )(mlmonitor(?: [a-z]+)+|"\$MLMONITOR_PYTHON" "\$MLMONITOR_TRAINING/\w+\.py")([^>;]*)', line):
                what, rest = found.groups()
                if what.startswith("mlmonitor"):
                    help_text = subprocess.run([MLMONITOR, *what.split()[1:], "--help"], check=True, capture_output=True, text=True).stdout
                else:
                    script = re.search(r"\w+\.py", what).group()
                    help_text = subprocess.run([TRAINING_PYTHON, TRAINING / script, "--help"], check=True, capture_output=True, text=True).stdout
                for flag in re.findall(r"(?<!\S)--[a-z-]+", rest):
                    assert re.search(rf"{flag}\b", help_text), f"{name}: {what} has no {flag}"
                seen.add(what.split("/")[-1].strip('"'))
    assert seen == {"mlmonitor model fetch", "mlmonitor drift report", "mlmonitor topics export", "train.py", "gate.py", "track.py"}

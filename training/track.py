"""Logs a bundle to MLflow, registers it as a new version, and makes it the challenger.

Parameters and metrics are what bundle.json records of the training; the bundle's files are the run's artifacts in bundle/. The alias is moved by
mlmonitor, which downloads the version and proves it first. The server is MLFLOW_TRACKING_URI; MLFLOW_TRACKING_PASSWORD_FILE works as with mlmonitor.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException


def flat(value, prefix=""):
    """Yields the leaves of nested objects with their path's names joined by dots."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from flat(inner, f"{prefix}.{name}" if prefix else name)
    else:
        yield prefix, value


def log(folder, experiment, model):
    """Logs and registers the bundle in a folder; returns the version."""
    manifest = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    training = manifest.get("training", {})
    measured = {name: training.pop(name) for name in ("metrics", "policy", "caught", "cost") if name in training}
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name=f"{manifest['name']} {manifest['version']}") as run:
        mlflow.log_params(dict(flat(training)))
        mlflow.log_metrics({name.removeprefix("metrics.").removesuffix(".value"): value for name, value in flat(measured)})
        mlflow.log_artifacts(str(folder), "bundle")
        client = mlflow.MlflowClient()
        try:
            client.create_registered_model(model)
        except MlflowException as failed:
            if failed.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return client.create_model_version(model, f"{run.info.artifact_uri}/bundle", run.info.run_id,
                                           tags={"mlmonitor.bundle": f"{manifest['name']} {manifest['version']}"}).version


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument("--experiment", default="mlmonitor")
    parser.add_argument("--model", default="fraud-detector", help="registered model, MLFLOW_MODEL of the scorers")
    parser.add_argument("--alias", default="challenger", help="alias that the version gets; empty: none")
    parser.add_argument("--by", default="training", help="who decides this")
    parser.add_argument("--why", default="newly trained", help="and why")
    parser.add_argument("--mlmonitor", default="mlmonitor", help="the program that moves the alias")
    args = parser.parse_args(arguments)
    environment = dict(os.environ)  # mlmonitor reads the file by itself, and takes no two passwords
    if file := os.environ.get("MLFLOW_TRACKING_PASSWORD_FILE"):
        os.environ["MLFLOW_TRACKING_PASSWORD"] = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    version = log(args.bundle, args.experiment, args.model)
    if args.alias:
        moved = subprocess.run([args.mlmonitor, "model", "promote", version, "--alias", args.alias, "--by", args.by, "--why", args.why],
                               check=False, stdout=subprocess.DEVNULL, env=environment)
        if moved.returncode:
            raise SystemExit(f"version {version} is registered, and did not become {args.alias}: mlmonitor ended with {moved.returncode}")
    json.dump({"model": args.model, "version": version, "alias": args.alias}, sys.stdout)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])

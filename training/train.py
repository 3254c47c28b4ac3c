"""Trains the sample model on simulated transactions and writes its bundle.

Reads events, one JSON object a line in the order of time, and their labels; learns from the earlier weeks; measures on the last ones,
which it has not seen; and writes a bundle that is the same bytes every time on the same machine with the same packages.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from decimal import ROUND_CEILING, Context
from pathlib import Path

import lightgbm
import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from bundle import decision, example_line, policy_text, write_manifest
from contract import Contract, parse_event

SEED = 20260105
HELD_OUT = timedelta(weeks=2)
DECLINED_SHARE = 0.005  # of transactions: what the business loses honest customers over
REVIEWED_SHARE = 0.02  # of transactions, after those: what a review team can look at
EXAMPLES_EACH = 4  # of every decision, beside those that show a case of their own

PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.05,
    "min_data_in_leaf": 60,
    "max_bin": 255,
    "lambda_l2": 5.0,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.7,
    "seed": SEED,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


def read_labels(path):
    """Returns the kind of fraud, "" for none, by transaction id."""
    with open(path, newline="", encoding="utf-8") as file:
        return {line["transaction_id"]: line["fraud_kind"] for line in csv.DictReader(file)}


class Data:
    """Events with their rows and labels, in the order of time."""

    def __init__(self, contract, events, labels):
        self.lines, self.times, self.kinds, rows = [], [], [], []
        with open(events, encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                try:
                    transaction, time, row = contract.row(parse_event(line))
                except ValueError as reason:
                    raise SystemExit(f"{events} line {number}: {reason}; train on events without malformed ones")
                if transaction not in labels:
                    raise SystemExit(f"{events} line {number}: no label for {transaction}; events and labels must come from one run")
                if self.times and time < self.times[-1]:
                    raise SystemExit(f"{events} line {number}: earlier than the line before; sort the events by time")
                self.lines.append(line.strip())
                self.times.append(time)
                self.kinds.append(labels[transaction])
                rows.append(row)
        self.rows = np.array(rows, dtype=np.float64)
        self.frauds = np.array([kind != "" for kind in self.kinds], dtype=np.int8)

    def split(self):
        """Returns the index of the first held-out event."""
        first = self.times[-1] - HELD_OUT
        index = next(i for i, time in enumerate(self.times) if time >= first)
        for what, part in (("before", self.frauds[:index]), ("in", self.frauds[index:])):
            if part.sum() == 0 or part.sum() == len(part):
                raise SystemExit(f"{what} the last {HELD_OUT.days} days there are not both frauds and honest transactions: make more events")
        return index


def train(data, names, split, trees, leaves):
    rows = lightgbm.Dataset(data.rows[:split], label=data.frauds[:split], feature_name=names, params={"max_bin": PARAMETERS["max_bin"]})
    return lightgbm.train(PARAMETERS | {"num_leaves": leaves}, rows, num_boost_round=trees)


def thresholds(probabilities):
    """Returns the review and the decline threshold, to four digits, that at most the wanted shares of transactions reach.

    They are set by volume, not by looking at labels: how many customers may be turned away, and how many transactions people can look at, are
    the limits that a fraud team has.
    """
    ranked = np.sort(probabilities)[::-1]

    def above(share):
        first_below = float(ranked[int(len(ranked) * share)])
        # Rounded up, and from the next float on: nothing that ties with first_below is let in.
        return float(Context(prec=4, rounding=ROUND_CEILING).create_decimal_from_float(float(np.nextafter(first_below, 1))))

    return above(DECLINED_SHARE + REVIEWED_SHARE), above(DECLINED_SHARE)


def outcome(decisions, frauds, which):
    """Returns the share of transactions with a decision, how many of those are fraud, and how many of the frauds they are."""
    chosen = np.array([d == which for d in decisions])
    if not chosen.any():
        raise SystemExit(f"no held-out transaction gets the decision {which}: the probabilities are too few or too alike, make more events")
    return {
        "share": round(float(chosen.mean()), 6),
        "precision": round(float(frauds[chosen].mean()), 6),
        "recall": round(float(frauds[chosen].sum() / frauds.sum()), 6),
    }


def pick_examples(kinds, decisions, rows):
    """Returns the indices of the examples: the first of every decision, kind of fraud and set of missing values, and some of every decision."""
    chosen, counts = set(), {}
    for i, (decided, kind, row) in enumerate(zip(decisions, kinds, rows)):
        case = (decided, kind, np.isnan(row).tobytes())
        for key, most in ((case, 1), (decided, EXAMPLES_EACH)):
            counts[key] = counts.get(key, 0) + 1
            if counts[key] <= most:
                chosen.add(i)
    return sorted(chosen)


def utc(time):
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def add_profile(mlmonitor, out, lines):
    """Adds the profile of the events in lines to the bundle in out: the scorer makes it, so that its bins are those that it counts in."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as events:
        events.writelines(line + "\n" for line in lines)
        events.flush()
        try:
            subprocess.run([mlmonitor, "model", "profile", str(out), "--events", events.name, "--write"], check=True, stdout=subprocess.DEVNULL)
        except FileNotFoundError:
            raise SystemExit(f"there is no program {mlmonitor}: build it with make build, and name it with --mlmonitor") from None
        except subprocess.CalledProcessError as failed:
            raise SystemExit(f"the profile could not be made: mlmonitor ended with {failed.returncode}") from None


def build(events, labels, contract_path, out, trees, leaves, name, mlmonitor):
    contract = Contract(Path(contract_path).read_text(encoding="utf-8"))
    data = Data(contract, events, read_labels(labels))
    split = data.split()
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    train(data, contract.names, split, trees, leaves).save_model(out / "model.txt")

    # From here on the model is what a scorer loads: the file.
    model = lightgbm.Booster(model_file=out / "model.txt")
    held, frauds = data.rows[split:], data.frauds[split:]
    margins = model.predict(held, raw_score=True, num_threads=1)
    probabilities = model.predict(held, num_threads=1)
    review, decline = thresholds(probabilities)
    decisions = [decision(p, review, decline) for p in probabilities]

    shutil.copyfile(contract_path, out / "contract.yaml")
    shares = {which: outcome(decisions, frauds, which) for which in ("decline", "review", "approve")}
    (out / "policy.yaml").write_text(policy_text(review, decline, [
        f"Set by volume on the held-out weeks: the {DECLINED_SHARE:.1%} of transactions with the highest probability are declined, the next",
        f"{REVIEWED_SHARE:.0%} are reviewed. Of the declined {shares['decline']['precision']:.0%} were fraud, of the reviewed "
        f"{shares['review']['precision']:.0%}; together they hold {shares['decline']['recall'] + shares['review']['recall']:.0%} of the frauds.",
    ]), encoding="utf-8")
    kinds = data.kinds[split:]
    (out / "examples.jsonl").write_text("".join(
        example_line(data.lines[split + i], float(margins[i]), float(probabilities[i]), decisions[i])
        for i in pick_examples(kinds, decisions, held)), encoding="utf-8")
    training = {
        "library": "lightgbm",
        "library_version": lightgbm.__version__,
        "data": "simulated transactions",
        "seed": SEED,
        "trees": model.num_trees(),
        "features": len(contract.names),
        "train": {"from": utc(data.times[0]), "to": utc(data.times[split - 1]), "rows": split, "frauds": int(data.frauds[:split].sum())},
        "held_out": {"from": utc(data.times[split]), "to": utc(data.times[-1]), "rows": len(held), "frauds": int(frauds.sum())},
        "auc": round(float(roc_auc_score(frauds, probabilities)), 6),
        "average_precision": round(float(average_precision_score(frauds, probabilities)), 6),
        "policy": shares,
        "caught": {kind: caught(kinds, decisions, kind) for kind in sorted(set(kinds) - {""})},
    }
    (out / "profile.json").unlink(missing_ok=True)  # of a model before this one
    write_manifest(out, name, ["model.txt", "contract.yaml", "policy.yaml", "examples.jsonl"], training)
    add_profile(mlmonitor, out, data.lines[split:])
    return training


def caught(kinds, decisions, kind):
    """Returns the share of a kind of fraud that was not approved."""
    of_kind = [d for k, d in zip(kinds, decisions) if k == kind]
    return round(sum(d != "approve" for d in of_kind) / len(of_kind), 6)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", required=True, help="JSON lines, by time")
    parser.add_argument("--labels", required=True, help="CSV: transaction_id,fraud_kind")
    parser.add_argument("--contract", required=True, help="contract.yaml")
    parser.add_argument("--out", required=True, help="folder of the bundle")
    parser.add_argument("--name", default="sample", help="name of the bundle")
    parser.add_argument("--trees", type=int, default=240)
    parser.add_argument("--leaves", type=int, default=31, help="leaves of a tree at most")
    parser.add_argument("--mlmonitor", default="mlmonitor", help="the program that makes the profile")
    args = parser.parse_args(arguments)
    training = build(args.events, args.labels, args.contract, args.out, args.trees, args.leaves, args.name, args.mlmonitor)
    json.dump(training, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])

"""Says whether a candidate may become the challenger: compares it with the champion on the last events, and holds it to limits.

Both are scored by the program that will score them. Each gate is printed with its figures; the exit code is 1 when one does not let it pass:

  better   the candidate's average precision exceeds the champion's, with 95 % confidence (--margin allows that much less)
  auc      the area under its ROC curve is at least --min-auc
  latency  an event takes it at most --max-slower times as long as the champion, both measured here and now
  size     its files have at most --max-bytes
"""

import argparse
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np

from contract import Contract
from data import Data
from measure import difference, measure
from models import SEED


def run(*command):
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: ended with {done.returncode}")
    return done.stdout


def probabilities(mlmonitor, bundle, events):
    """Yields what the scorer makes of each event; None where it refuses it."""
    for line in run(mlmonitor, "model", "predict", bundle, "--events", events).splitlines():
        yield json.loads(line).get("probability")


def checked(mlmonitor, bundle):
    return json.loads(run(mlmonitor, "model", "check", bundle, "--speed", "--json"))


def judge(args):
    contract = Contract((args.candidate / "contract.yaml").read_text(encoding="utf-8"))
    data = Data(contract, args.events, args.labels, args.unlabelled, args.malformed)
    part = slice(data.since(data.times[-1] - timedelta(days=args.days)), len(data))
    frauds, customers, days = data.frauds[part], data.customers[part], [t.date() for t in data.times[part]]
    if not 0 < frauds.sum() < len(frauds):
        raise SystemExit(f"in the last {args.days} days there are not both frauds and honest transactions: take more events")
    last = args.work / "last.jsonl"
    last.write_text("".join(line + "\n" for line in data.lines[part]), encoding="utf-8")
    scores = {}
    for name in ("candidate", "champion"):
        found = list(probabilities(args.mlmonitor, getattr(args, name), last))
        # What a bundle refuses counts as the worst answer.
        scores[name] = np.array([(1.0 - y if p is None else p) for p, y in zip(found, frauds, strict=True)])
    figures = {name: measure(p, frauds, customers, days, args.k, SEED) for name, p in scores.items()}
    gain = difference(scores["candidate"], scores["champion"], frauds, customers, days, args.k, SEED)["average_precision"]
    candidate, champion = (checked(args.mlmonitor, getattr(args, name)) for name in ("candidate", "champion"))
    slower = candidate["microseconds_per_event"] / champion["microseconds_per_event"]
    gates = {
        "better": {"passes": gain["low"] > -args.margin, "average_precision_gain": gain, "margin": args.margin},
        "auc": {"passes": figures["candidate"]["auc"]["value"] >= args.min_auc, "auc": figures["candidate"]["auc"], "min": args.min_auc},
        "latency": {"passes": slower <= args.max_slower, "times_the_champion": round(slower, 2), "max": args.max_slower},
        "size": {"passes": candidate["bytes"] <= args.max_bytes, "bytes": candidate["bytes"], "max": args.max_bytes},
    }
    # A champion that has learnt from these days looks better than it is.
    seen = champion.get("training", {}).get("train", {}).get("to", "")
    return {
        "passes": all(gate["passes"] for gate in gates.values()),
        "gates": gates,
        "period": {"from": str(data.times[part][0]), "to": str(data.times[-1]), "rows": len(frauds), "frauds": int(frauds.sum())},
        "champion_has_seen_the_period": seen > data.times[part][0].strftime("%Y-%m-%dT%H:%M:%S"),
        "candidate": {"digest": candidate["digest"]} | figures["candidate"],
        "champion": {"digest": champion["digest"]} | figures["champion"],
    }


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidate", required=True, type=Path, help="folder of its bundle")
    parser.add_argument("--champion", required=True, type=Path, help="folder of the champion's, as mlmonitor model fetch writes it")
    parser.add_argument("--events", required=True, help="JSON lines")
    parser.add_argument("--labels", required=True, help="CSV, as of train.py")
    parser.add_argument("--unlabelled", choices=["refuse", "honest"], default="refuse")
    parser.add_argument("--days", type=float, default=14, help="how many of the last: those that the candidate has not seen")
    parser.add_argument("--malformed", choices=["refuse", "skip"], default="refuse", help="what becomes of an event that the contract refuses")
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--min-auc", type=float, default=0.95)
    parser.add_argument("--margin", type=float, default=0.0)
    parser.add_argument("--max-slower", type=float, default=3.0)
    parser.add_argument("--max-bytes", type=int, default=50_000_000)
    parser.add_argument("--work", type=Path, default=Path("."), help="folder for the last events")
    parser.add_argument("--mlmonitor", default="mlmonitor")
    return parser.parse_args(arguments)


def main(arguments):
    found = judge(parse(arguments))
    json.dump(found, sys.stdout, indent=2)
    print()
    if not found["passes"]:
        raise SystemExit("not passed: " + ", ".join(name for name, gate in found["gates"].items() if not gate["passes"]))


if __name__ == "__main__":
    main(sys.argv[1:])

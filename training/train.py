"""Trains a model on events and their labels, and writes its bundle.

Learns from the earlier weeks; measures on the last ones, which it has not seen, after an embargo of which nothing is learnt; and writes a bundle that
is the same bytes every time on the same machine with the same packages.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import bundle
from contract import Contract
from data import Data
from models import LIBRARIES, SEED
from policy import Costs


def build(args):
    contract = Contract(Path(args.contract).read_text(encoding="utf-8"))
    data = Data(contract, args.events, args.labels, args.unlabelled, args.malformed)
    early, held = data.split(args.held_out_days, args.embargo_days)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    library = LIBRARIES[args.library]
    for other in LIBRARIES.values():
        (out / other.file).unlink(missing_ok=True)
    library.train(data.rows[early], data.frauds[early], contract.names, args.trees, args.leaves, out / library.file)
    shutil.copyfile(args.contract, out / "contract.yaml")
    costs = Costs.read(args.costs) if args.costs else None
    about = {"data": args.data, "digests": data.digests, "seed": SEED, "train": bundle.span(data, early), "embargo_days": args.embargo_days}
    # From here on the model is what a scorer loads: the file.
    return bundle.write(out, library(out / library.file), data, held, bundle.choose_by_cost(costs) if costs else bundle.choose_by_volume,
                        args.name, args.bundle_version, args.mlmonitor, about, costs, args.k)


def add_common(parser):
    """Adds the arguments that train.py and pack.py share."""
    parser.add_argument("--events", required=True, help="JSON lines, as mlmonitor produce --out or mlmonitor topics export writes them")
    parser.add_argument("--contract", required=True, help="contract.yaml")
    parser.add_argument("--out", required=True, help="folder of the bundle")
    parser.add_argument("--name", default="sample", help="name of the bundle")
    parser.add_argument("--bundle-version", default="1", help="its version, for people: the digest tells bundles apart")
    parser.add_argument("--costs", help="costs.yaml: choose the thresholds by cost; default by volume")
    parser.add_argument("--unlabelled", choices=["refuse", "honest"], default="refuse", help="what an event without a label is")
    parser.add_argument("--malformed", choices=["refuse", "skip"], default="refuse", help="what becomes of an event that the contract refuses")
    parser.add_argument("--k", type=int, default=100, help="of precision at k: transactions that are looked at in a day")
    parser.add_argument("--mlmonitor", default="mlmonitor", help="the program that makes the profile")


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common(parser)
    parser.add_argument("--labels", required=True, help="CSV: transaction_id,fraud_kind (empty: honest), or transaction_id,label (0, 1)")
    parser.add_argument("--library", choices=list(LIBRARIES), default="lightgbm")
    parser.add_argument("--held-out-days", type=int, default=14, help="the last days, which the model does not see")
    parser.add_argument("--embargo-days", type=int, default=7, help="days before those of which nothing is learnt either")
    parser.add_argument("--trees", type=int, default=240)
    parser.add_argument("--leaves", type=int, default=31, help="leaves of a tree at most")
    parser.add_argument("--data", default="simulated transactions", help="what the events are, for people")
    return parser.parse_args(arguments)


def main(arguments):
    json.dump(build(parse(arguments)), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])

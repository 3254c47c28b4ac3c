"""Makes a bundle of a model that you have: a LightGBM text or an XGBoost UBJSON or JSON file, its contract, and events that it has not seen.

The contract says how an event becomes the model's row, in the model's order: docs/contract.md. Thresholds are those you give, or by volume, or by cost. With
labels the bundle records how good the model is. The program mlmonitor proves that it scores the events as the library does.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import bundle
import models
from contract import Contract
from data import Data
from policy import Costs
from train import add_common


def build(args):
    contract = Contract(Path(args.contract).read_text(encoding="utf-8"))
    source = Path(args.model)
    library = models.of_file(source)
    data = Data(contract, args.events, args.labels, args.unlabelled, args.malformed)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("model.txt", "model.json", "model.ubj"):
        (out / name).unlink(missing_ok=True)
    shutil.copyfile(source, out / library.file)
    shutil.copyfile(args.contract, out / "contract.yaml")
    model = library(out / library.file)
    if model.names and list(model.names) != contract.names:
        raise SystemExit(f"the model's features are {', '.join(model.names)}; the contract's {', '.join(contract.names)}: names and order must be the same")
    costs = Costs.read(args.costs) if args.costs else None
    if (args.review is None) != (args.decline is None):
        raise SystemExit("--review and --decline belong together")
    if args.review is not None:
        choose = bundle.choose_as_given(args.review, args.decline)
    elif costs:
        if not args.labels:
            raise SystemExit("--costs needs --labels: without them nobody knows what a decision cost")
        choose = bundle.choose_by_cost(costs)
    else:
        choose = bundle.choose_by_volume
    return bundle.write(out, model, data, slice(0, len(data)), choose, args.name, args.bundle_version, args.mlmonitor, {"digests": data.digests}, costs, args.k)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common(parser)
    parser.add_argument("--model", required=True, help=".txt of LightGBM, .ubj or .json of XGBoost")
    parser.add_argument("--labels", help="CSV: transaction_id,fraud_kind (empty: honest), or transaction_id,label (0, 1)")
    parser.add_argument("--review", type=float, help="threshold from which a transaction is reviewed")
    parser.add_argument("--decline", type=float, help="threshold from which it is declined")
    return parser.parse_args(arguments)


def main(arguments):
    json.dump(build(parse(arguments)), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])

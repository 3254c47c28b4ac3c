"""Reads events and their labels, and splits them by time."""

import csv
import hashlib
import sys
from datetime import timedelta

import numpy as np

from contract import parse_event

MOST_MALFORMED = 0.05  # of the events; with more the contract is another's


class Data:
    """Events with their rows and labels, in the order of time.

    lines: the events' own text; times: UTC; rows: float64, (events, features); frauds: int8, 1 is fraud; kinds: of fraud, "" for none; customers: an
    integer for each key; amounts: float64.
    """

    def __init__(self, contract, events, labels, unlabelled="refuse", malformed="refuse"):
        known = read_labels(labels) if labels else None
        found, rows, skipped, number = [], [], 0, 0
        with open(events, "rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    line = raw.decode("utf-8")
                    event = parse_event(line)
                    transaction, time, row = contract.row(event)
                except (ValueError, RecursionError) as reason:
                    if malformed == "skip":
                        skipped += 1
                        continue
                    raise SystemExit(f"{events} line {number}: {reason}; the scorer would dead-letter it: --malformed skip leaves such events out") from None
                kind = "" if known is None else known.get(transaction)
                if kind is None:
                    if unlabelled == "refuse":
                        raise SystemExit(f"{events} line {number}: no label for {transaction}; label all of them, or say --unlabelled honest")
                    kind = ""
                found.append((time, len(found), line.strip(), kind, contract.key(event), contract.amount(event)))
                rows.append(row)
        if not found or skipped > MOST_MALFORMED * number:
            raise SystemExit(f"{events}: of {number} events {skipped} are malformed: that is more than some bad ones")
        if skipped:
            print(f"{events}: {skipped} of {number} events are malformed, and left out", file=sys.stderr)
        found.sort(key=lambda one: one[:2])  # an export of a topic is in order within a partition only
        self.times = [one[0] for one in found]
        self.lines = [one[2] for one in found]
        self.kinds = [one[3] for one in found]
        names = {}
        self.customers = np.array([names.setdefault(one[4], len(names)) for one in found])
        self.amounts = np.array([one[5] for one in found])
        self.rows = np.array(rows, dtype=np.float64)[[one[1] for one in found]]
        self.frauds = np.array([kind != "" for kind in self.kinds], dtype=np.int8)
        self.digests = {"events": sha256(events)} | ({"labels": sha256(labels)} if labels else {})

    def __len__(self):
        return len(self.times)

    def split(self, held_out, embargo):
        """Returns the slices of training and of the held-out time, the last held_out days.

        Of the embargo days between them nothing is learnt: labels come late, and what is known of a transaction when a model is made is what
        is known of those that old. Without the gap a model is measured on days whose bursts of fraud it has seen begin.
        """
        first = self.times[-1] - timedelta(days=held_out)
        begin, end = self.since(first), self.since(first - timedelta(days=embargo))
        parts = {f"before the last {held_out + embargo} days": slice(0, end), f"in the last {held_out} days": slice(begin, len(self))}
        for what, part in parts.items():
            if not 0 < self.frauds[part].sum() < len(self.frauds[part]):
                raise SystemExit(f"{what} there are not both frauds and honest transactions: take more events")
        return slice(0, end), slice(begin, len(self))

    def since(self, time):
        """Returns the index of the first event at a time or later."""
        return next((i for i, one in enumerate(self.times) if one >= time), len(self))


def read_labels(path):
    """Returns the kind of fraud, "" for none, by transaction id: of the column fraud_kind, or of label, which is 0 or 1."""
    found = {}
    with open(path, newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        columns = table.fieldnames or []
        if "transaction_id" not in columns or not {"fraud_kind", "label"} & set(columns):
            raise SystemExit(f"{path}: the header is {','.join(columns)}; transaction_id,fraud_kind or transaction_id,label is needed")
        for line in table:
            if "fraud_kind" in columns:
                kind = line["fraud_kind"]
            elif line["label"] in ("0", "1"):
                kind = "fraud" if line["label"] == "1" else ""
            else:
                raise SystemExit(f"{path} line {table.line_num}: label is {line['label']!r}, 0 or 1 is needed")
            if found.setdefault(line["transaction_id"], kind) != kind:
                raise SystemExit(f"{path} line {table.line_num}: {line['transaction_id']} has another label above")
    return found


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

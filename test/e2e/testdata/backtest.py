"""What mlmonitor replay must find, computed independently: by csv, numpy and scikit-learn, from the events, the labels and what model predict says of each event.

backtest.py EVENTS LABELS BASE CANDIDATE COSTS AS_OF MATURITY_DAYS K
"""

import csv
import json
import sys
from collections import defaultdict
from datetime import datetime, timedelta

import numpy as np
import yaml
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

events, labels, base, candidate, costs, as_of, maturity, k = sys.argv[1:]
cost = yaml.safe_load(open(costs, encoding="utf-8"))
k = int(k)
final = datetime.fromisoformat(as_of) - timedelta(days=float(maturity))

said = defaultdict(list)  # by transaction: (when, label)
counts = {"read": 0, "malformed": 0}
with open(labels, newline="", encoding="utf-8") as file:
    for line in csv.DictReader(file):
        counts["read"] += 1
        try:
            if line["label"] not in ("0", "1") or not line["transaction_id"]:
                raise ValueError
            said[line["transaction_id"]].append((datetime.fromisoformat(line["labelled_at"]), int(line["label"])))
        except ValueError:
            counts["malformed"] += 1
label, contradictory = {}, set()
for one, all_said in said.items():
    last = max(when for when, _ in all_said)
    latest = {is_fraud for when, is_fraud in all_said if when == last}
    if len(latest) == 1:
        label[one] = latest.pop()
    else:
        contradictory.add(one)

rows = []
for line, was, would in zip(open(events, encoding="utf-8"), open(base, encoding="utf-8"), open(candidate, encoding="utf-8"), strict=True):
    event, was, would = json.loads(line), json.loads(was), json.loads(would)
    rows.append((event["transaction_id"], datetime.fromisoformat(event["event_time"]), event["customer"]["id"], event["amount"], event["channel"], was, would))

ids = {r[0] for r in rows}
counts["unknown"] = sum(one not in ids for one in said)
counts["conflicting"] = len(contradictory)
counts["immature"] = sum(r[1] > final for r in rows)
mature = [r for r in rows if r[1] <= final]
known = [r for r in mature if r[0] in label]
counts["labelled"], counts["unlabelled"] = len(known), len(mature) - len(known)

order = ["approve", "review", "decline"]
decided = np.zeros((3, 3), int)
for r in rows:
    decided[order.index(r[5]["decision"]), order.index(r[6]["decision"])] += 1

y = np.array([label[r[0]] for r in known])
amount = np.array([r[3] for r in known])
days = np.array([r[1].date().isoformat() for r in known])
customers = np.array([r[2] for r in known])


def side(which):
    p = np.array([r[which]["probability"] for r in known])
    d = np.array([order.index(r[which]["decision"]) for r in known])
    lost = np.where(y == 1, amount * cost["fraud_share"] + cost["fraud_fixed"], 0)
    each = np.array([lost, cost["review_fixed"] + lost * (1 - cost["review_catches"]), np.where(y == 1, 0, amount * cost["declined_share"] + cost["declined_fixed"])])
    share, mean = calibration_curve(y, p, n_bins=10, strategy="quantile")
    top, cards = [], []
    for day in sorted(set(days)):
        of = days == day
        rank = np.argsort(-p[of], kind="stable")[:k]
        top.append(y[of][rank].mean())
        highest, fraud = defaultdict(float), defaultdict(int)
        for customer, chance, is_fraud in zip(customers[of], p[of], y[of]):
            highest[customer] = max(highest[customer], chance)
            fraud[customer] |= int(is_fraud)
        cards.append(np.mean([fraud[c] for c in sorted(highest, key=lambda c: -highest[c])[:k]]))
    return {
        "roc_auc": roc_auc_score(y, p),
        "average_precision": average_precision_score(y, p),
        "brier": brier_score_loss(y, p),
        "reliability": [{"mean_probability": m, "share_of_fraud": s} for m, s in zip(mean, share)],
        "frauds_not_approved": (d[y == 1] > 0).mean(),
        "honest_declined": (d[y == 0] == 2).mean(),
        "precision_of_declined": y[d == 2].mean(),
        "cost": sum(each[which_decision][d == which_decision].sum() for which_decision in range(3)),
        "precision_at_k": np.mean(top),
        "card_precision_at_k": np.mean(cards),
        "decided": [[int(((d == i) & (y == c)).sum()) for c in (0, 1)] for i in range(3)],
    }


segments = defaultdict(lambda: {"count": 0, "newly_declined": 0, "frauds": 0})
for r in rows:
    s = segments[r[4]]
    s["count"] += 1
    s["newly_declined"] += r[5]["decision"] != "decline" and r[6]["decision"] == "decline"
    s["frauds"] += r[1] <= final and label.get(r[0]) == 1

json.dump({"labels": counts, "decided": decided.tolist(), "sides": [side(5), side(6)], "segments": segments}, sys.stdout)

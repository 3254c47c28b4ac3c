"""Chooses the thresholds of a policy: by volume alone, or by what mistakes cost."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Context

import numpy as np
import yaml

DECLINED_SHARE = 0.005  # of transactions: what the business loses honest customers over
REVIEWED_SHARE = 0.02  # of transactions, after those: what a review team can look at


def decision(probability, review, decline):
    """What the scorer decides on a probability."""
    if probability >= decline:
        return "decline"
    return "review" if probability >= review else "approve"


def by_volume(probabilities, declined=DECLINED_SHARE, reviewed=REVIEWED_SHARE):
    """Returns the review and the decline threshold, to four digits, that at most the wanted shares of transactions reach.

    They are set by volume, not by looking at labels: how many customers may be turned away, and how many transactions people can look at, are
    the limits that a fraud team has.
    """
    ranked = np.sort(probabilities)[::-1]
    return tuple(_above(float(ranked[int(len(ranked) * share)])) for share in (declined + reviewed, declined))


def _above(probability):
    """Returns the first threshold of four digits that a probability does not reach, so that nothing that ties with it is let in."""
    return float(Context(prec=4, rounding=ROUND_CEILING).create_decimal_from_float(float(np.nextafter(probability, 1))))


@dataclass(frozen=True)
class Costs:
    """What decisions cost, in the currency of the amounts, and how many of them there may be.

    A fraud that is approved costs its amount × fraud_share + fraud_fixed; an honest customer who is declined amount × declined_share +
    declined_fixed; a review review_fixed, and of the frauds in review the share 1 − review_catches is approved all the same.
    """

    fraud_share: float
    fraud_fixed: float
    declined_share: float
    declined_fixed: float
    review_fixed: float
    review_catches: float
    reviews_per_day: float
    max_declined_share: float

    @classmethod
    def read(cls, path):
        with open(path, encoding="utf-8") as file:
            raw = yaml.safe_load(file)
        names = set(cls.__dataclass_fields__)
        if not isinstance(raw, dict) or set(raw) != names:
            raise SystemExit(f"{path}: exactly these names are needed: {', '.join(sorted(names))}")
        for name, value in raw.items():
            share = name in ("fraud_share", "declined_share", "review_catches", "max_declined_share")
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= (1 if share else 1e12):
                raise SystemExit(f"{path}: {name} is {value!r}, a number from 0 {'to 1' if share else 'up'} is needed")
        return cls(**{name: float(value) for name, value in raw.items()})

    def of(self, frauds, amounts):
        """Returns what approving, reviewing and declining each transaction would cost, three arrays."""
        lost = np.where(frauds == 1, amounts * self.fraud_share + self.fraud_fixed, 0.0)
        return lost, self.review_fixed + lost * (1 - self.review_catches), np.where(frauds == 1, 0.0, amounts * self.declined_share + self.declined_fixed)

    def total(self, frauds, amounts, decisions):
        """Returns what decisions cost."""
        each = dict(zip(("approve", "review", "decline"), self.of(frauds, amounts)))
        decisions = np.asarray(decisions)
        return float(sum(cost[decisions == which].sum() for which, cost in each.items()))


def by_cost(probabilities, frauds, amounts, days, costs, candidates=2000):
    """Returns the review and the decline threshold that cost least on labelled transactions of so many days, within the capacity.

    All pairs of some thousand candidates are looked at. With the transactions ranked, the first d declined, the next up to r reviewed and the others
    approved, the cost is a sum of three cumulated sums, so a pair costs nothing to look at.
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    approve, review, decline = (np.concatenate([[0.0], np.cumsum(cost[order])]) for cost in costs.of(frauds, amounts))
    # Where a threshold may lie: behind the last of equal probabilities.
    ends = np.flatnonzero(np.diff(ranked, append=-1.0) != 0) + 1
    most = int(min(len(ranked), costs.max_declined_share * len(ranked) + costs.reviews_per_day * days))
    ends = np.concatenate([[0], ends[ends <= most]])
    if len(ends) > candidates:
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, candidates).astype(int))]
    declined = ends[ends <= costs.max_declined_share * len(ranked)]
    d, r = declined[:, None], ends[None, :]
    total = (decline - review)[d] + (review - approve)[r] + approve[-1]
    total[(r < d) | (r - d > costs.reviews_per_day * days)] = np.inf
    best_d, best_r = np.unravel_index(np.argmin(total), total.shape)
    return tuple(_behind(ranked, int(n)) for n in (ends[best_r], declined[best_d]))


def _behind(ranked, n):
    """Returns the threshold that the first n reach, and the next does not."""
    if n == len(ranked):
        return 0.0
    return min(_above(float(ranked[n])), float(ranked[n - 1])) if n else _above(float(ranked[0]))

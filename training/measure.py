"""Measures how well probabilities tell fraud from honest transactions, with confidence intervals.

Customers, not transactions, are drawn anew for the intervals: one customer's transactions resemble each other, so that intervals over
transactions would be too narrow (the cluster bootstrap: Cameron, Gelbach and Miller 2008; percentile intervals: Efron 1979).
"""

import numpy as np

RESAMPLES = 200
BINS = 10  # of the reliability, each with as many transactions


class Ranked:
    """Transactions by falling probability, so that every resample is a few cumulated sums."""

    def __init__(self, probabilities, frauds, days, k):
        self.order = np.argsort(-probabilities, kind="stable")
        self.p, self.y = probabilities[self.order], frauds[self.order].astype(float)
        self.last = np.flatnonzero(np.diff(self.p, append=-1.0) != 0)  # of equal probabilities
        self.bin = np.minimum((np.arange(len(self.p)) * BINS) // len(self.p), BINS - 1)
        day = np.unique(np.asarray(days)[self.order], return_inverse=True)[1]
        self.by_day = np.argsort(day, kind="stable")
        self.day_starts = np.flatnonzero(np.diff(day[self.by_day], prepend=-1))
        self.day_of = day[self.by_day]
        self.k = k

    def measure(self, weights):
        """Returns the figures; weights, in the transactions' first order, say how often each counts."""
        w = weights[self.order]
        fraud, honest = np.cumsum(w * self.y), np.cumsum(w * (1 - self.y))
        tp, fp = fraud[self.last], honest[self.last]
        frauds, honests = tp[-1], fp[-1]
        gained = np.diff(tp, prepend=0.0)
        auc = float((gained * (honests - fp + np.diff(fp, prepend=0.0) / 2)).sum() / (frauds * honests))
        flagged = tp + fp
        precision = np.divide(tp, flagged, out=np.zeros_like(tp), where=flagged > 0)
        total = np.bincount(self.bin, w, BINS)
        gap = np.abs(np.bincount(self.bin, w * self.p, BINS) - np.bincount(self.bin, w * self.y, BINS))
        return {
            "auc": auc,
            "average_precision": float((gained * precision).sum() / frauds),
            "precision_at_k": self._daily(w),
            "brier": float((w * (self.p - self.y) ** 2).sum() / w.sum()),
            "ece": float(gap.sum() / total.sum()),
        }

    def _daily(self, w):
        """Returns the mean over days of the share of fraud among the k highest of the day."""
        w, y = w[self.by_day], self.y[self.by_day]
        before = np.cumsum(w) - w
        rank = before - before[self.day_starts][self.day_of]
        taken = np.clip(self.k - rank, 0, w)
        counted = np.bincount(self.day_of, taken)
        hits = np.bincount(self.day_of, taken * y)
        return float((hits[counted > 0] / counted[counted > 0]).mean())


def measure(probabilities, frauds, customers, days, k, seed, resamples=RESAMPLES):
    """Returns each figure with the interval that holds it with 95 % confidence: {"auc": {"value": …, "low": …, "high": …}, …}.

    auc: area under the ROC curve; average_precision: as scikit-learn defines it; precision_at_k: share of fraud among a day's k highest, mean over days;
    brier: mean squared difference; ece: expected calibration error over 10 bins of equal size.
    """
    ranked = Ranked(probabilities, frauds, days, k)
    ids, of = np.unique(customers, return_inverse=True)
    values = ranked.measure(np.ones(len(frauds)))
    draw = np.random.default_rng(seed)
    drawn = []
    while len(drawn) < resamples:
        weights = np.bincount(draw.integers(len(ids), size=len(ids)), minlength=len(ids))[of].astype(float)
        if 0 < (weights * frauds).sum() < weights.sum():
            drawn.append(ranked.measure(weights))
    return {name: {"value": round(value, 6)} | _interval([one[name] for one in drawn]) for name, value in values.items()}


def difference(one, other, frauds, customers, days, k, seed, resamples=RESAMPLES):
    """Returns by how much the figures of one model exceed those of another on the same transactions, with intervals: both are measured on each resample."""
    a, b = (Ranked(p, frauds, days, k) for p in (one, other))
    ids, of = np.unique(customers, return_inverse=True)
    ones = np.ones(len(frauds))
    first, second = a.measure(ones), b.measure(ones)
    draw = np.random.default_rng(seed)
    drawn = []
    while len(drawn) < resamples:
        weights = np.bincount(draw.integers(len(ids), size=len(ids)), minlength=len(ids))[of].astype(float)
        if 0 < (weights * frauds).sum() < weights.sum():
            x, y = a.measure(weights), b.measure(weights)
            drawn.append({name: x[name] - y[name] for name in x})
    return {name: {"value": round(first[name] - second[name], 6)} | _interval([one[name] for one in drawn]) for name in first}


def _interval(drawn):
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"low": round(float(low), 6), "high": round(float(high), 6)}

"""Makes sklearn.json, the vectors of metrics_test.go: what scikit-learn says of drawn probabilities and labels. Run with the Python of training/."""

import json
from pathlib import Path

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, precision_score, recall_score, roc_auc_score


def case(name, p, y):
    share, mean = calibration_curve(y, p, n_bins=10, strategy="quantile")
    return {
        "name": name,
        "p": p.tolist(),
        "y": y.tolist(),
        "auc": roc_auc_score(y, p),
        "average_precision": average_precision_score(y, p),
        "brier": brier_score_loss(y, p),
        "reliability_share": share.tolist(),
        "reliability_mean": mean.tolist(),
        "at": [
            {
                "threshold": t,
                "precision": precision_score(y, p >= t, zero_division=0),
                "recall": recall_score(y, p >= t, zero_division=0),
                "f1": f1_score(y, p >= t, zero_division=0),
            }
            for t in (0.0, 0.01, 0.1, 0.35, float(p[3]), 0.999, 1.0)
        ],
    }


draw = np.random.default_rng(20260105)
cases = []
for n, rate, digits in ((50, 0.3, None), (400, 0.05, None), (400, 0.5, 1), (1000, 0.01, 3), (2000, 0.02, None)):
    y = (draw.random(n) < rate).astype(int)
    y[:2] = [0, 1]
    p = 1 / (1 + np.exp(-draw.normal(2.5 * y - 3, 1.3)))
    if digits:
        p = p.round(digits)
    cases.append(case(f"{n} of which {y.sum()} fraud, {'ties' if digits else 'no ties'}", p, y))
same = np.full(20, 0.25)
cases.append(case("all alike", same, np.arange(20) % 2))
Path(__file__).with_name("sklearn.json").write_text(json.dumps(cases) + "\n", encoding="utf-8")

"""Makes what all engines score: held-out rows, LightGBM models trained on rows of the same kind, and LightGBM's raw scores of the former.

    models.py DIR

rows.f64 is 4000 × 30 float64, row-major, little-endian, and so is all else that ends in .f64. train.npz has the training rows X and labels y.
Each of SHAPES gets SHAPE.txt, a model, and SHAPE.f64, its raw scores of the rows.
"""

import sys
from pathlib import Path

import lightgbm
import numpy as np

SHAPES = {"100x31": (100, 31), "500x63": (500, 63), "1000x255": (1000, 255)}  # trees × leaves
TRAINING, HELD_OUT = 100_000, 4_000


def transactions(n):
    """Features of n invented transactions, n × 30, and whether each is fraud, in about one of fifty.

    Amounts are skewed and in cents, counts and codes are integers that repeat, flags are rare, and four columns are partly missing: what makes
    thresholds, ties and branches of a fraud model what they are.
    """
    r = np.random.default_rng(20_240_817)

    def missing(share, values):
        return np.where(r.random(n) < share, np.nan, values)

    usual = np.exp(r.normal(3.4, 0.9, n)).round(2)
    amount = (usual * np.exp(r.normal(0, 1.1, n))).round(2) + 0.01
    hour, weekday = r.integers(0, 24, n), r.integers(0, 7, n)
    merchant_kind, country = r.zipf(1.6, n) % 60, r.zipf(2.0, n) % 40
    last_hour = r.poisson(0.4, n)
    last_day, last_week = last_hour + r.poisson(3, n), last_hour + r.poisson(19, n)
    declined = r.poisson(0.15, n)
    kilometres = missing(0.15, r.exponential(40, n).round(1))
    account_days, card_days = r.exponential(900, n).round(), r.exponential(300, n).round()
    new_device, new_country, by_phone, no_card = (1.0 * (r.random(n) < share) for share in (0.08, 0.04, 0.02, 0.35))
    since_last = missing(0.05, r.exponential(20_000, n).round())
    merchant_risk = missing(0.1, r.beta(1.2, 30, n).round(4))
    mail_risk = missing(0.3, r.beta(1, 12, n))
    balance = (np.exp(r.normal(7, 1.4, n)) * np.where(r.random(n) < 0.1, -0.2, 1)).round(2)
    limit = r.choice([500, 1000, 2500, 5000, 10_000, 25_000], n)
    spread = r.gamma(1.5, 20, n)
    behaviour = r.normal(size=(n, 6))
    behaviour[:, 2] = behaviour[:, 2].round(1)
    columns = [amount, usual, amount / usual, hour, weekday, merchant_kind, country, last_hour, last_day, last_week, declined, kilometres, account_days,
               card_days, new_device, new_country, by_phone, no_card, since_last, merchant_risk, mail_risk, balance, limit, amount / limit, *behaviour.T]
    risk = (
        -6.6 + 0.9 * np.log(amount / usual) + 1.2 * new_device + 1.4 * new_country * no_card + 0.6 * declined + 0.5 * last_hour
        + 0.012 * np.nan_to_num(kilometres, nan=60) - 0.0006 * account_days + 0.7 * ((hour < 5) | (hour > 22)) + 14 * np.nan_to_num(merchant_risk)
        + 5 * np.nan_to_num(mail_risk, nan=0.2) + 0.6 * np.isin(merchant_kind, [3, 7, 21]) + 0.3 * behaviour[:, 0] * behaviour[:, 1]
        + 0.25 * np.abs(behaviour[:, 2]) + 0.4 * (amount / limit > 0.8) - 0.004 * spread
    )  # spread is known to nobody: the label has noise
    return np.column_stack(columns).astype("<f8"), r.random(n) < 1 / (1 + np.exp(-risk))


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    X, y = transactions(TRAINING + HELD_OUT)
    rows = X[TRAINING:]
    X, y = X[:TRAINING], y[:TRAINING].astype(np.float32)
    rows.tofile(folder / "rows.f64")
    np.savez(folder / "train.npz", X=X, y=y)
    for shape, (trees, leaves) in SHAPES.items():
        print(f"training {shape}: {100 * y.mean():.1f} % of {len(y)} rows are fraud", file=sys.stderr, flush=True)
        parameters = dict(objective="binary", num_leaves=leaves, learning_rate=0.05, min_data_in_leaf=20, seed=1, deterministic=True,
                          force_row_wise=True, num_threads=2, verbose=-1)
        booster = lightgbm.train(parameters, lightgbm.Dataset(X, y), trees)
        booster.save_model(folder / f"{shape}.txt")
        booster.predict(rows, raw_score=True, num_threads=1).astype("<f8").tofile(folder / f"{shape}.f64")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

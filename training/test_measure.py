"""The figures and the policy against independent implementations: scikit-learn, and all pairs of thresholds looked at one by one."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

import measure
import policy

COSTS = policy.Costs(1.0, 15.0, 0.03, 5.0, 3.0, 0.85, 20.0, 0.1)


def drawn(seed, n=2000, ties=False):
    """Probabilities, frauds, customers, days and amounts of made-up transactions."""
    draw = np.random.default_rng(seed)
    frauds = (draw.random(n) < 0.1).astype(np.int8)
    p = 1 / (1 + np.exp(-draw.normal(2.0 * frauds - 2)))
    if ties:
        p = np.round(p, 1)
    return p, frauds, draw.integers(150, size=n), draw.integers(7, size=n), draw.lognormal(4, 1, n).round(2)


@pytest.mark.parametrize("ties", [False, True])
def test_figures_equal_scikit_learn_also_where_customers_count_several_times(ties):
    p, y, _, days, _ = drawn(1, ties=ties)
    ranked = measure.Ranked(p, y, days, 20)
    for weights in (np.ones(len(p)), np.random.default_rng(2).integers(0, 4, len(p)).astype(float)):
        got = ranked.measure(weights)
        assert got["auc"] == pytest.approx(roc_auc_score(y, p, sample_weight=weights), abs=1e-12)
        assert got["average_precision"] == pytest.approx(average_precision_score(y, p, sample_weight=weights), abs=1e-12)
        assert got["brier"] == pytest.approx(brier_score_loss(y, p, sample_weight=weights), abs=1e-12)


def test_precision_at_k_is_the_mean_over_days_of_the_share_of_fraud_among_the_k_highest():
    p, y, _, days, _ = drawn(3)
    want = np.mean([y[days == day][np.argsort(-p[days == day], kind="stable")[:20]].mean() for day in range(7)])
    assert measure.Ranked(p, y, days, 20).measure(np.ones(len(p)))["precision_at_k"] == pytest.approx(want, abs=1e-12)
    twice = measure.Ranked(np.repeat(p, 2), np.repeat(y, 2), np.repeat(days, 2), 20).measure(np.ones(2 * len(p)))
    assert measure.Ranked(p, y, days, 20).measure(np.full(len(p), 2.0))["precision_at_k"] == pytest.approx(twice["precision_at_k"], abs=1e-12)


def test_calibration_is_the_mean_gap_of_bins_of_equal_size():
    p, y, _, days, _ = drawn(4)
    order = np.argsort(-p, kind="stable")
    want = sum(abs(p[part].mean() - y[part].mean()) * len(part) for part in np.array_split(order, 10)) / len(p)
    assert measure.Ranked(p, y, days, 20).measure(np.ones(len(p)))["ece"] == pytest.approx(want, abs=1e-12)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Customers differ: each has an own rate of fraud and an own score, so that transactions are not independent."""
    draw = np.random.default_rng(5)

    def world(customers):
        own = np.repeat(draw.normal(0, 1, customers), 10)
        y = (draw.random(len(own)) < 1 / (1 + np.exp(2 - own))).astype(np.int8)
        return 1 / (1 + np.exp(-(own + y + draw.normal(0, 1, len(own))))), y, np.repeat(np.arange(customers), 10)

    p, y, _ = world(200_000)
    truth = roc_auc_score(y, p)
    held = 0
    for trial in range(100):
        p, y, who = world(150)
        auc = measure.measure(p, y, who, np.zeros(len(p), int), 10, trial, resamples=100)["auc"]
        held += auc["low"] <= truth <= auc["high"]
    assert 86 <= held <= 100  # 95 is meant; fewer than 86 of 100 would be chance once in a thousand


def test_two_models_are_compared_on_the_same_customers():
    p, y, who, days, _ = drawn(6)
    same = measure.difference(p, p, y, who, days, 20, 1)
    assert all(one == {"value": 0.0, "low": 0.0, "high": 0.0} for one in same.values())
    worse = np.random.default_rng(7).permutation(p)
    gain = measure.difference(p, worse, y, who, days, 20, 1)["auc"]
    assert 0.2 < gain["low"] < gain["value"] < gain["high"]


@pytest.mark.parametrize("seed, ties", [(8, False), (9, True), (10, False)])
def test_the_policy_by_cost_is_the_cheapest_of_all_within_the_capacity(seed, ties):
    p, y, _, _, amounts = drawn(seed, n=250, ties=ties)
    days = 2.0
    review, decline = policy.by_cost(p, y, amounts, days, COSTS)

    def cost(review, decline):
        decisions = np.array([policy.decision(one, review, decline) for one in p])
        if (decisions == "decline").mean() > COSTS.max_declined_share or (decisions == "review").sum() > COSTS.reviews_per_day * days:
            return np.inf
        return COSTS.total(y, amounts, decisions)

    candidates = np.append(np.unique(p), 1.1)
    assert cost(review, decline) == pytest.approx(min(cost(r, d) for d in candidates for r in candidates[candidates <= d]), abs=1e-9)


def test_a_capacity_of_none_reviews_none():
    p, y, _, _, amounts = drawn(11)
    review, decline = policy.by_cost(p, y, amounts, 7, policy.Costs(1, 15, 0.03, 5, 3, 0.85, 0, 0))
    assert (p >= review).sum() == 0 and (p >= decline).sum() == 0


@pytest.mark.parametrize("text", ["[]", "fraud_share: 1", "a: 1"])
def test_a_cost_table_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "costs.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match="exactly these names"):
        policy.Costs.read(tmp_path / "costs.yaml")


@pytest.mark.parametrize("name, value", [("review_catches", "1.2"), ("fraud_fixed", "-1"), ("fraud_share", "true"), ("reviews_per_day", ".nan")])
def test_a_cost_beyond_measure_is_refused(tmp_path, name, value):
    lines = {n: "0.5" for n in policy.Costs.__dataclass_fields__} | {name: value}
    (tmp_path / "costs.yaml").write_text("".join(f"{n}: {v}\n" for n, v in lines.items()), encoding="utf-8")
    with pytest.raises(SystemExit, match=name):
        policy.Costs.read(tmp_path / "costs.yaml")

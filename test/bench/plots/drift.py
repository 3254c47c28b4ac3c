"""Draws the pictures of docs/drift.md.

    drift.py docs/drift bundles/sample/profile.json

reads falsealarms.json in the first, which make bench-drift prints with -json, and the sample's profile, and writes SVGs beside it.
"""

import json
import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np
from matplotlib import pyplot as plt

from plot import BLUE, GREEN, GREY, ORANGE, save


def false_alarms(results, out):
    """How many windows without drift raise an alarm, by the size of the window."""
    figure, axes = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
    x = np.arange(len(results))
    rate = lambda key: [100 * r[key] / r["windows"] for r in results]
    axes.bar(x - 0.27, rate("independent"), 0.25, color=GREY, label="significant, taken for independent")
    ours = rate("alarms")
    error = [[o - 100 * r["low"] for o, r in zip(ours, results)], [100 * r["high"] - o for o, r in zip(ours, results)]]
    axes.bar(x, ours, 0.25, color=BLUE, yerr=error, capsize=3, label="significant, by the profile's law (95 % interval)")
    axes.bar(x + 0.27, rate("named"), 0.25, color=GREEN, label="and PSI above 0.02: what alerts look at")
    axes.axhline(1, color=ORANGE, linewidth=1, linestyle="--")
    axes.text(-0.55, 1.1, "stated: 1 %", color=ORANGE, ha="left", va="bottom")
    axes.set_yscale("log")
    axes.set_xlim(-0.6, len(results) - 0.5)
    axes.set_ylim(0.1, 150)
    axes.set_yticks([0.1, 1, 10, 100], ["0.1 %", "1 %", "10 %", "100 %"])
    axes.set_xticks(x, [f"{r['window']:,} transactions\n({r['windows']:,} windows)" for r in results])
    axes.set_ylabel("windows without drift that alarm")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.25), ncols=2, fontsize=9)
    save(figure, out)


def chi2_quantile(p, df):
    """Wilson and Hilferty."""
    z = NormalDist().inv_cdf(p)
    return df * (1 - 2 / (9 * df) + z * np.sqrt(2 / (9 * df))) ** 3


def critical(law, df, size, tests):
    horizon = min(1, law["horizon"] / size) if law["horizon"] else 1
    scale = law["design_effect"] / size + law["reference_variance"] + law["window_variance"] * horizon
    own = law["tail_ratio"] * df
    return scale * (df + (chi2_quantile(1 - 0.01 / tests, own) - own) / np.sqrt(law["spread_ratio"] * law["tail_ratio"]))


def sensitivity(profile, out):
    """The least PSI that is more than chance, by the size of the window."""
    figure, axes = plt.subplots(figsize=(7.5, 4), layout="constrained")
    sizes = np.logspace(3, 6, 60)
    tests = sum(not f.get("untested") for f in profile["features"])
    independent = {"design_effect": 1, "reference_variance": 1 / profile["observations"], "window_variance": 0, "horizon": 0, "spread_ratio": 1, "tail_ratio": 1}
    features = {f["name"]: f for f in profile["features"]}
    curves = [("independent transactions", independent, 12, GREY, "--")]
    for name, colour in (("amount", BLUE), ("customer_age_days", GREEN), ("count_24h", ORANGE), ("verdict.probability", "black")):
        f = features[name]
        curves.append((name, f, sum(c > 0 for c in f["counts"]) - 1, colour, "-"))
    for label, law, df, colour, style in curves:
        axes.plot(sizes, [critical(law, df, s, tests) for s in sizes], color=colour, linestyle=style, label=label)
    for level, name in ((0.02, "ModelDriftSmall"), (0.1, "ModelDrift"), (0.25, "ModelDriftSevere")):
        axes.axhline(level, color="#bbbbbb", linewidth=0.8)
        axes.text(1e6, level * 1.05, name, ha="right", va="bottom", fontsize=8, color="#777777")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("transactions in the window")
    axes.set_ylabel("PSI that chance alone stays below")
    axes.legend(fontsize=9)
    save(figure, out)


def main(folder, profile):
    folder = Path(folder)
    false_alarms(json.loads((folder / "falsealarms.json").read_text(encoding="utf-8")), folder / "falsealarms.svg")
    sensitivity(json.loads(Path(profile).read_text(encoding="utf-8")), folder / "sensitivity.svg")


if __name__ == "__main__":
    main(*sys.argv[1:])

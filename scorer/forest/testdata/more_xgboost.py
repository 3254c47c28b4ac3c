"""Writes fixtures with the XGBoost that is installed: `python more_xgboost.py`, in this folder, gives the same files again. 2.1.4 writes xgb21_vector_leaf,
3.2.0 xgb_gblinear_multi, 3.4.1 xgb34_vector_leaf_dart, xgb34_quantiles and xgb34_expectile."""
import json
import os

import numpy as np
import xgboost

rng = np.random.default_rng(21)
X = rng.normal(size=(400, 5))
X[:, 3] = rng.integers(0, 9, 400)
X[rng.random(X.shape) < 0.1] = np.nan
Y = np.stack([np.nan_to_num(X[:, 0]) + rng.normal(size=400) * 0.3, np.nan_to_num(X[:, 1]) ** 2, np.nan_to_num(X[:, 3]) * 0.2 + rng.normal(size=400) * 0.2], 1)
rows = np.vstack([X[:40], [[0.0] * 5, [-0.0] * 5, [np.nan] * 5, [1e30] * 5, [-1e30] * 5, [1e-40] * 5, [2.0**24 + 1] * 5]])


def text(v):
    return str(np.float32(v)).removesuffix(".0")


def save(name, note, rounds, label=Y, ranges=(), **params):
    booster = xgboost.train(dict(params, nthread=1, seed=3), xgboost.DMatrix(X, label), rounds)
    os.makedirs(name, exist_ok=True)
    for file in ("model.json", "model.ubj"):
        booster.save_model(f"{name}/{file}")
    booster = xgboost.Booster(model_file=f"{name}/model.json")
    with open(f"{name}/model.json") as f:
        model = json.load(f)["learner"]["gradient_booster"]["model"]
    trees = model.get("trees", [])
    thresholds = sorted({c for t in trees for c, left in zip(t["split_conditions"], t["left_children"]) if left >= 0})
    at = np.stack([np.roll(np.resize(np.array([0.0, *thresholds], dtype=np.float32), 30), 7 * i) for i in range(5)], 1)
    every = np.vstack([rows, at, np.nextafter(at, np.float32(-np.inf)), np.nextafter(at, np.float32(np.inf))])
    with open(f"{name}/rows.csv", "w") as f:
        f.writelines(",".join(repr(float(v)).removesuffix(".0") for v in row) + "\n" for row in every)
    data = xgboost.DMatrix(every)
    meta = {
        "name": name, "library": "xgboost", "version": xgboost.__version__, "files": ["model.json", "model.ubj"], "features": 5,
        "outputs": booster.predict(data, output_margin=True).reshape(len(every), -1).shape[1], "trees": len(trees), "rows": len(every), "expect": "score", "width": 32,
        "note": note, "categorical": [], "ranges": [],
    }
    for begin, end in ((0, 0), *ranges):
        suffix = f"_{begin}_{end}" if end else ""
        for kind, margin in (("raw", True), ("prob", False)):
            out = booster.predict(data, output_margin=margin, iteration_range=(begin, end)).reshape(len(every), -1)
            with open(f"{name}/{kind}{suffix}.csv", "w") as f:
                f.writelines(",".join(map(text, row)) + "\n" for row in out)
        if end:
            meta["ranges"].append({"begin": begin, "end": end, "raw": f"raw{suffix}.csv", "prob": f"prob{suffix}.csv"})
    with open(f"{name}/meta.json", "w") as f:
        json.dump(meta, f, indent=1)
        f.write("\n")


VECTORS = {"multi_strategy": "multi_output_tree", "tree_method": "hist", "max_depth": 3}
if xgboost.__version__ == "2.1.4":
    save("xgb21_vector_leaf", "vector leaves in base_weights, two trees a round", 4, ranges=((0, 2), (1, 3)), num_parallel_tree=2, subsample=0.7, **VECTORS)
if xgboost.__version__ == "3.2.0":
    save("xgb_gblinear_multi", "gblinear begins all outputs with the first base score", 5, booster="gblinear")
if xgboost.__version__ == "3.4.1":
    save("xgb34_vector_leaf_dart", "vector leaves with dart, which 3.4 trains", 6, ranges=((0, 3), (2, 5)), booster="dart", rate_drop=0.5, **VECTORS)
    save("xgb34_quantiles", "3.4 puts quantiles that cross into order", 8, label=Y[:, 0], objective="reg:quantileerror", quantile_alpha=[0.3, 0.5, 0.7], max_depth=3, eta=1.0)
    save("xgb34_expectile", "an objective of 3.3 and later", 3, label=Y[:, 0], objective="reg:expectileerror", expectile_alpha=[0.8], max_depth=3)

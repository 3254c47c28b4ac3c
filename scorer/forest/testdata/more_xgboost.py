"""Writes fixtures with the XGBoost that is installed: `python more_xgboost.py`, in this folder, gives the same files again. 1.2.1 writes
xgb12_logitraw, 1.3.3 xgb13_dart, 1.6.2 xgb16_cat, 2.1.4 xgb21_vector_leaf, 3.2.0 xgb_gblinear_multi, 3.4.1 xgb34_vector_leaf_dart, xgb34_quantiles, xgb34_expectile
and xgb34_expectiles."""
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
    word = str(v)
    return word[:-2] if word.endswith(".0") else word


def save(name, note, rounds, label=Y, ranges=(), files=("model.json", "model.ubj"), **params):
    booster = xgboost.train(dict(params, nthread=1, seed=3), xgboost.DMatrix(X, label), rounds)
    os.makedirs(name, exist_ok=True)
    for file in files:
        booster.save_model(f"{name}/{file}")
    booster = xgboost.Booster(model_file=f"{name}/model.json")
    with open(f"{name}/model.json") as f:
        model = json.load(f)["learner"]["gradient_booster"]
    model = model.get("gbtree", model)["model"]
    trees = model.get("trees", [])
    thresholds = sorted({c for t in trees for c, left in zip(t["split_conditions"], t["left_children"]) if left >= 0})
    at = np.stack([np.roll(np.resize(np.array([0.0, *thresholds], dtype=np.float32), 30), 7 * i) for i in range(5)], 1)
    every = np.vstack([rows, at, np.nextafter(at, np.float32(-np.inf)), np.nextafter(at, np.float32(np.inf))])
    with open(f"{name}/rows.csv", "w") as f:
        f.writelines(",".join(text(float(v)) for v in row) + "\n" for row in every)
    data = xgboost.DMatrix(every)
    predict(name, note, booster, every, len(trees), ranges, files, lambda **args: booster.predict(data, **args))


def predict(name, note, booster, every, trees, ranges, files, predicted, categorical=()):
    meta = {
        "name": name, "library": "xgboost", "version": xgboost.__version__, "files": list(files), "features": 5,
        "outputs": predicted(output_margin=True).reshape(len(every), -1).shape[1], "trees": trees, "rows": len(every), "expect": "score", "width": 32,
        "note": note, "categorical": list(categorical), "ranges": [],
    }
    for begin, end in ((0, 0), *ranges):
        suffix = f"_{begin}_{end}" if end else ""
        for kind, margin in (("raw", True), ("prob", False)):
            out = predicted(output_margin=margin, **({"iteration_range": (begin, end)} if end else {})).reshape(len(every), -1)
            with open(f"{name}/{kind}{suffix}.csv", "w") as f:
                f.writelines(",".join(map(text, np.float32(row))) + "\n" for row in out)
        if end:
            meta["ranges"].append({"begin": begin, "end": end, "raw": f"raw{suffix}.csv", "prob": f"prob{suffix}.csv"})
    with open(f"{name}/meta.json", "w") as f:
        json.dump(meta, f, indent=1)
        f.write("\n")


def save_categories():
    data = X.copy()
    data[:, 3] = np.where(np.isnan(X[:, 3]), np.nan, rng.integers(0, 120, 400))
    label = (np.nan_to_num(data[:, 3]) * 7919 % 13 > 6).astype(float)
    booster = xgboost.train(
        {"objective": "binary:logistic", "tree_method": "hist", "max_depth": 4, "max_cat_to_onehot": 1, "nthread": 1},
        xgboost.DMatrix(data, label, feature_types=["q", "q", "q", "c", "q"], enable_categorical=True), 5)
    os.makedirs("xgb16_cat", exist_ok=True)
    files = ("model.json", "model.ubj")
    for file in files:
        booster.save_model(f"xgb16_cat/{file}")
    booster = xgboost.Booster(model_file="xgb16_cat/model.json")
    hard = [-1, -0.5, -0.0, 0.5, 31, 32, 63, 64, 95.9, 96, 127, 128, 129, 1e6, 2.0**24 - 1, 2.0**24, 1e30, np.inf, -np.inf, np.nan]
    every = data[:100].copy()
    every[60:80, 3] = every[80:100, 3] = hard
    with open("xgb16_cat/rows.csv", "w") as f:
        f.writelines(",".join(text(float(v)) for v in row) + "\n" for row in every)
    with open("xgb16_cat/model.json") as f:
        trees = len(json.load(f)["learner"]["gradient_booster"]["model"]["trees"])
    predict("xgb16_cat", "1.6 sends a category beyond a set's words the way of missing values", booster, every, trees, (), files,
            lambda output_margin: booster.inplace_predict(every, predict_type="margin" if output_margin else "value"), [3])


VECTORS = {"multi_strategy": "multi_output_tree", "tree_method": "hist", "max_depth": 3}
if xgboost.__version__ == "1.2.1":
    save("xgb12_logitraw", "up to 1.2 the base comes last, and is a probability", 6, label=(Y[:, 0] > 0).astype(float), files=("model.json",),
         objective="binary:logitraw", base_score=0.2, max_depth=3, eta=0.7)
if xgboost.__version__ == "1.3.3":
    save("xgb13_dart", "up to 1.3 dart's base comes last", 4, label=np.digitize(Y[:, 0], [-0.5, 0.5]), files=("model.json",), objective="multi:softprob", num_class=3,
         booster="dart", rate_drop=0.5, max_depth=3)
if xgboost.__version__ == "1.6.2":
    save_categories()
if xgboost.__version__ == "2.1.4":
    save("xgb21_vector_leaf", "vector leaves in base_weights, two trees a round", 4, ranges=((0, 2), (1, 3)), num_parallel_tree=2, subsample=0.7, **VECTORS)
if xgboost.__version__ == "3.2.0":
    save("xgb_gblinear_multi", "gblinear begins all outputs with the first base score", 5, booster="gblinear")
if xgboost.__version__ == "3.4.1":
    save("xgb34_vector_leaf_dart", "vector leaves with dart, which 3.4 trains", 6, ranges=((0, 3), (2, 5)), booster="dart", rate_drop=0.5, **VECTORS)
    save("xgb34_quantiles", "3.4 puts quantiles that cross into order", 8, label=Y[:, 0], objective="reg:quantileerror", quantile_alpha=[0.3, 0.5, 0.7], max_depth=3, eta=1.0)
    save("xgb34_expectile", "an objective of 3.3 and later", 3, label=Y[:, 0], objective="reg:expectileerror", expectile_alpha=[0.8], max_depth=3)
    save("xgb34_expectiles", "each but the first is a step above the one before", 6, label=Y[:, 0], objective="reg:expectileerror", expectile_alpha=[0.2, 0.5, 0.9], max_depth=3, eta=0.8)

"""Writes the fixtures lgb_sqrt_*, lgb_sigmoid_digits and lgb_names_space with LightGBM 4.6.0: `python more.py`, in this folder, gives the same files again."""
import json
import os

import lightgbm
import numpy as np

rng = np.random.default_rng(20)
X = rng.normal(size=(400, 5))
X[rng.random(X.shape) < 0.1] = np.nan
y = np.abs(np.nan_to_num(X[:, 0]) * 2 + np.nan_to_num(X[:, 1]) ** 2 + rng.normal(size=400) * 0.3) * rng.choice([-1, 1], 400, p=[0.3, 0.7])
rows = np.vstack([X[:40], [[0.0] * 5, [-0.0] * 5, [np.nan] * 5, [np.inf] * 5, [-np.inf] * 5, [1e300] * 5, [-1e-35] * 5, [5e-324] * 5]])


def text(v):
    return repr(float(v)).removesuffix(".0")


def save(name, note, label, names="auto", **params):
    data = lightgbm.Dataset(X, label, feature_name=names)
    params = dict(params, verbose=-1, num_threads=1, seed=3, deterministic=True, num_leaves=6, min_data_in_leaf=5)
    os.makedirs(name, exist_ok=True)
    lightgbm.train(params, data, 6).save_model(f"{name}/model.txt")
    model = lightgbm.Booster(model_file=f"{name}/model.txt")
    tables = {
        "rows.csv": rows,
        "raw.csv": model.predict(rows, raw_score=True, num_threads=1).reshape(len(rows), 1),
        "prob.csv": model.predict(rows, num_threads=1).reshape(len(rows), 1),
    }
    for file, table in tables.items():
        with open(f"{name}/{file}", "w") as f:
            f.writelines(",".join(map(text, row)) + "\n" for row in table)
    meta = {
        "name": name, "library": "lightgbm", "version": lightgbm.__version__, "files": ["model.txt"], "features": 5, "outputs": 1,
        "trees": model.num_trees(), "rows": len(rows), "expect": "score", "width": 64, "note": note, "feature_names": model.feature_name(),
        "categorical": [],
    }
    with open(f"{name}/meta.json", "w") as f:
        json.dump(meta, f, indent=1, ensure_ascii=False)
        f.write("\n")


for objective in ("regression_l1", "fair", "quantile", "mape"):
    save(f"lgb_sqrt_{objective}", "reg_sqrt=True: sign(x)*x*x", y, objective=objective, reg_sqrt=True)
save("lgb_sigmoid_digits", "LightGBM does not read 1.6647 as the nearest number", (y > 1).astype(float), objective="binary", sigmoid=1.6647)
save("lgb_names_space", "white space that is not a space stays in a name", (y > 1).astype(float), objective="binary",
     names=["a\u00a0b", "c\u3000d", "e\tf", "g h", "\u0085i\u2003j"])

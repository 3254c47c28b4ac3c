"""The two libraries that train, each behind the same few words: train, save, load, predict."""

import lightgbm
import numpy as np
import xgboost

SEED = 20260105

LIGHTGBM = {
    "objective": "binary",
    "learning_rate": 0.05,
    "min_data_in_leaf": 60,
    "max_bin": 255,
    "lambda_l2": 5.0,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.7,
    "seed": SEED,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}

XGBOOST = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "grow_policy": "lossguide",
    "max_depth": 0,
    "learning_rate": 0.05,
    "min_child_weight": 3.0,
    "max_bin": 256,
    "lambda": 5.0,
    "subsample": 0.8,
    "colsample_bytree": 0.7,
    "seed": SEED,
    "nthread": 1,
    "verbosity": 0,
}


class LightGBM:
    file = "model.txt"
    library = "lightgbm"
    version = lightgbm.__version__

    def __init__(self, path):
        self.booster = lightgbm.Booster(model_file=path)

    @staticmethod
    def train(rows, frauds, names, trees, leaves, path):
        data = lightgbm.Dataset(rows, label=frauds, feature_name=names, params={"max_bin": LIGHTGBM["max_bin"]})
        lightgbm.train(LIGHTGBM | {"num_leaves": leaves}, data, num_boost_round=trees).save_model(path)

    @property
    def names(self):
        return self.booster.feature_name()

    @property
    def trees(self):
        return self.booster.num_trees()

    def predict(self, rows):
        """Returns margins and probabilities, float64."""
        return self.booster.predict(rows, raw_score=True, num_threads=1), self.booster.predict(rows, num_threads=1)


class XGBoost:
    file = "model.ubj"
    library = "xgboost"
    version = xgboost.__version__

    def __init__(self, path):
        self.booster = xgboost.Booster({"nthread": 1}, model_file=path)

    @staticmethod
    def train(rows, frauds, names, trees, leaves, path):
        data = xgboost.DMatrix(rows, label=frauds, feature_names=names, nthread=1)
        xgboost.train(XGBOOST | {"max_leaves": leaves}, data, num_boost_round=trees).save_model(path)

    @property
    def names(self):
        return self.booster.feature_names

    @property
    def trees(self):
        return self.booster.num_boosted_rounds()

    def predict(self, rows):
        """Returns margins and probabilities: the library's float32, as float64 of the same value."""
        data = xgboost.DMatrix(rows, feature_names=self.names, nthread=1)
        return tuple(self.booster.predict(data, output_margin=raw).astype(np.float64) for raw in (True, False))


LIBRARIES = {"lightgbm": LightGBM, "xgboost": XGBoost}


def of_file(path):
    """Returns the library that reads a model file, by its name."""
    for library in LIBRARIES.values():
        if path.suffix == library.file[library.file.index("."):]:
            return library
    if path.suffix == ".json":
        return type("XGBoostJSON", (XGBoost,), {"file": "model.json"})
    raise SystemExit(
        f"{path}: save the booster as .txt (LightGBM), .ubj or .json (XGBoost); a pickle runs code when it is read, and is not taken: "
        "log the booster, model.booster_.save_model('model.txt') or model.get_booster().save_model('model.ubj')"
    )

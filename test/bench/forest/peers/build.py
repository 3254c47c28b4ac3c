"""Makes what a peer needs to score a model, once, and says how to run it.

    build.py PEER SHAPE DIR

DIR is what models.py made. The last line of standard output is JSON: command, the argument list of a program that times the peer (native.cpp says
what it is asked and answers); version; ours, whether it scores the LightGBM model, or else one of the same shape trained by its own library.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

from models import SHAPES

HERE = Path(__file__).parent
FEATURES = 30
MEMORY = 8 << 30  # bytes that a build may take: a compiler that wants more of a large model must not take the machine's


def once(target, make):
    """Calls make with another name and moves what it made to target: what is there is whole."""
    if not target.exists():
        started = target.with_name("half-made-" + target.name)
        if started.is_dir():
            shutil.rmtree(started)
        started.unlink(missing_ok=True)
        make(started)
        started.rename(target)
    return target


def compiled(name, target, *options):
    """Compiles one of our own sources, again when it has changed."""
    source = HERE / name
    if target.exists() and target.stat().st_mtime < source.stat().st_mtime:
        target.unlink()
    return once(target, lambda path: subprocess.run(["g++", "-std=c++17", "-O2", *options, "-o", path, source, "-ldl"], check=True, stdout=sys.stderr))


def native(kind, library, folder, model="-"):
    """The command that times a library in C."""
    program = compiled("native.cpp", folder / "native")
    return [str(part) for part in (program, kind, library, model, folder / "rows.f64", FEATURES)]


def served(kind, model, folder):
    """The command that times a library in Python."""
    return [sys.executable, str(HERE / "serve.py"), kind, str(model), str(folder / "rows.f64")]


def training(folder):
    with np.load(folder / "train.npz") as data:
        return data["X"], data["y"]


def lightgbm(shape, folder):
    import lightgbm

    library = next(Path(lightgbm.__file__).parent.rglob("lib_lightgbm.so"))
    return native("lightgbm", library, folder, folder / f"{shape}.txt"), version("lightgbm"), True


def xgboost(shape, folder):
    import xgboost

    trees, leaves = SHAPES[shape]

    def train(path):
        X, y = training(folder)
        parameters = dict(objective="binary:logistic", tree_method="hist", grow_policy="lossguide", max_leaves=leaves, max_depth=0, eta=0.05,
                          min_child_weight=1e-3, nthread=2)
        xgboost.train(parameters, xgboost.DMatrix(X, y), trees).save_model(path)

    model = once(folder / f"{shape}.xgboost.ubj", train)
    library = next(Path(xgboost.__file__).parent.rglob("libxgboost.so"))
    return native("xgboost", library, folder, model), xgboost.__version__, False


def lleaves(shape, folder, inline=True):
    """inline is what makes its code fast, and its compiler slow: many minutes for the largest model."""
    import lleaves

    def compile(path):
        object_file = path.with_suffix(".o")
        object_file.unlink(missing_ok=True)
        lleaves.Model(str(folder / f"{shape}.txt")).compile(cache=str(object_file), raw_score=True, finline=inline)
        subprocess.run(["g++", "-shared", "-o", path, object_file, "-lm"], check=True, stdout=sys.stderr)
        object_file.unlink()

    library = once(folder / f"{shape}.lleaves{int(inline)}.so", compile)
    return native("lleaves", library, folder), version("lleaves"), True


def lleaves_outlined(shape, folder):
    return lleaves(shape, folder, inline=False)


def tl2cgen(shape, folder, quantize=0):
    """quantize replaces thresholds by their ranks, which is the faster of the two for some models."""
    import tl2cgen
    import treelite

    trees, leaves = SHAPES[shape]

    def compile(path):
        model = treelite.frontend.load_lightgbm_model(folder / f"{shape}.txt")
        files = 1 + trees * leaves // 5_000  # gcc takes more than linear time for a file
        tl2cgen.export_lib(model, toolchain="gcc", libpath=path, params={"quantize": quantize, "parallel_comp": files}, nthread=2, options=["-O3"])

    library = once(folder / f"{shape}.tl2cgen{quantize}.so", compile)
    return native("tl2cgen", library, folder), version("tl2cgen"), True


def tl2cgen_quantized(shape, folder):
    return tl2cgen(shape, folder, quantize=1)


def onnxruntime(shape, folder):
    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    def convert(path):
        # As a regression the graph ends with the margin: no probability, no map of classes.
        text = (folder / f"{shape}.txt").read_text().replace("objective=binary sigmoid:1", "objective=regression")
        graph = convert_lightgbm(lightgbm.Booster(model_str=text), initial_types=[("rows", FloatTensorType([None, FEATURES]))], target_opset=15)
        path.write_bytes(graph.SerializeToString())

    return served("onnxruntime", once(folder / f"{shape}.onnx", convert), folder), version("onnxruntime"), True


def ydf(shape, folder):
    import ydf

    trees, leaves = SHAPES[shape]

    def train(path):
        X, y = training(folder)
        columns = {f"f{i}": X[:, i] for i in range(FEATURES)} | {"label": y.astype(int)}
        learner = ydf.GradientBoostedTreesLearner(
            label="label", features=[ydf.Feature(f"f{i}", ydf.Semantic.NUMERICAL) for i in range(FEATURES)], num_trees=trees,
            growing_strategy="BEST_FIRST_GLOBAL", max_num_nodes=leaves, max_depth=-1, min_examples=20, shrinkage=0.05, validation_ratio=0.0,
            early_stopping="NONE", sampling_method="RANDOM", subsample=0.2, num_threads=2)  # else an hour
        learner.train(columns, verbose=0).save(str(path))

    clock = compiled("cpu_clock.cpp", folder / "cpu_clock.so", "-shared", "-fPIC")
    command = ["env", f"LD_PRELOAD={clock}", *served("ydf", once(folder / f"{shape}.ydf", train), folder)]
    return command, ydf.__version__, False


PEERS = {"lightgbm": lightgbm, "xgboost": xgboost, "lleaves": lleaves, "lleaves-outlined": lleaves_outlined,
         "tl2cgen": tl2cgen, "tl2cgen-quantized": tl2cgen_quantized, "onnxruntime": onnxruntime, "ydf": ydf}


if __name__ == "__main__":
    peer, shape, folder = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    stdout = os.dup(1)
    os.dup2(2, 1)  # libraries print to standard output
    command, release, ours = PEERS[peer](shape, Path(folder).resolve())
    os.write(stdout, json.dumps({"command": command, "version": release, "ours": ours}).encode() + b"\n")

"""Times engines that only Python can call, one thread. It is asked and answers as native.cpp does.

    serve.py onnxruntime MODEL.onnx ROWS
    serve.py ydf         MODEL.ydf  ROWS

The call from Python is part of ONNX Runtime's time. YDF's own benchmark runs inside its library, and copies each batch into the form that its
engine wants, as a caller must.
"""

import sys
import time

import numpy as np

FEATURES = 30


class ONNXRuntime:
    """Scores float32 rows, which is what the converter makes of a model."""

    def __init__(self, path, rows):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.rows, self.first = rows.astype(np.float32), 0

    def margins(self, rows):
        return self.session.run(None, {"rows": rows})[0]

    def nanoseconds(self, batch, seconds):
        """One span of a number of calls that grows until they take long enough."""
        calls = 1
        while True:
            begin = time.thread_time()
            for _ in range(calls):
                if self.first + batch > len(self.rows):
                    self.first = 0
                self.margins(self.rows[self.first : self.first + batch])
                self.first += batch
            took = time.thread_time() - begin
            if took >= seconds:
                return 1e9 * took / (calls * batch)
            calls = int(calls * min(16, 1.1 * seconds / max(took, 1e-9))) + 1

    def score(self, path):
        self.margins(self.rows).astype("<f8").tofile(path)


class YDF:
    """The fastest engine that YDF has for the model."""

    def __init__(self, path, rows):
        import ydf

        self.model = ydf.load_model(path)
        self.rows = {f"f{i}": rows[:, i] for i in range(FEATURES)} | {"label": np.zeros(len(rows), int)}

    def nanoseconds(self, batch, seconds):
        """What YDF's own benchmark finds on cpu_clock's clock. It takes the warm-up to tell how often all rows make up the time asked for."""
        result = self.model.benchmark(self.rows, benchmark_duration=seconds, warmup_duration=seconds, batch_size=batch, num_threads=1)
        return 1e9 * result.duration_per_example


def main(kind, path, rows):
    engine = {"onnxruntime": ONNXRuntime, "ydf": YDF}[kind](path, np.fromfile(rows, "<f8").reshape(-1, FEATURES))
    for line in sys.stdin:
        match line.split():
            case ["time", batch, seconds]:
                print("=", engine.nanoseconds(int(batch), float(seconds)), flush=True)
            case ["score", target]:
                engine.score(target)
                print("= ok", flush=True)
            case _:
                sys.exit(f"no such command: {line}")


if __name__ == "__main__":
    main(*sys.argv[1:])

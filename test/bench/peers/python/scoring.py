"""The bundle: its model, policy and name, and the verdict on a row."""

from hashlib import sha256
from math import exp
from pathlib import Path

import lightgbm
import numpy as np
import yaml
from msgspec import Raw, Struct
from msgspec.json import Encoder, decode

import event


class Source(Struct, gc=False):
    topic: str
    partition: int
    offset: int


class Verdict(Struct, gc=False):
    transaction_id: str
    decision: str
    probability: float
    margin: float
    bundle: Raw
    findings: list[str]
    event_time: str
    source: Source


write = Encoder().encode


class Bundle:
    def __init__(self, folder, threads):
        folder = Path(folder)
        self.threads = threads
        self.model = lightgbm.Booster(model_file=folder / "model.txt")
        policy = yaml.safe_load((folder / "policy.yaml").read_text(encoding="utf-8"))
        self.review, self.decline = policy["review"], policy["decline"]
        manifest = (folder / "bundle.json").read_bytes()
        named = decode(manifest)
        digest = "sha256:" + sha256(manifest).hexdigest()
        self.headers = [("mlmonitor.bundle", digest)]
        self.identity = Raw(write({"name": named["name"], "version": named["version"], "digest": digest}))
        self.check((folder / "examples.jsonl").read_bytes())

    def check(self, examples):
        """Scores the bundle's recorded examples: event.row is written for one contract, and must not score by another."""
        examples = [decode(line) for line in examples.splitlines()]
        margins = self.margins([event.row(event.read(write(e["event"])))[0] for e in examples])
        for number, (e, margin) in enumerate(zip(examples, margins), 1):
            if self.model.feature_name() != list(event.FEATURES) or (margin, *self.decide(margin)) != (e["margin"], e["probability"], e["decision"]):
                raise SystemExit(f"example {number} of the bundle gets another score than its recorded one: change event.py when the contract has changed")

    def margins(self, rows):
        """Returns the raw score of each row."""
        if not rows:
            return []
        return self.model.predict(np.array(rows, dtype=np.float64), raw_score=True, num_threads=self.threads).tolist()

    def decide(self, margin):
        """Returns probability and decision. The exponential is the C library's, as LightGBM's is; numpy has one of its own."""
        probability = 1 / (1 + exp(-margin))
        return probability, "decline" if probability >= self.decline else "review" if probability >= self.review else "approve"

    def verdict(self, transaction_id, margin, findings, time, source):
        probability, decision = self.decide(margin)
        return write(Verdict(transaction_id, decision, probability, margin, self.identity, findings, time, source))

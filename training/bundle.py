"""Writes a bundle: the model, contract.yaml, policy.yaml, examples.jsonl and bundle.json, which holds the digest of each of the others."""

import hashlib
import json
from pathlib import Path

BUNDLE_VERSION = "1"


def decision(probability, review, decline):
    """What the scorer decides on a probability."""
    if probability >= decline:
        return "decline"
    return "review" if probability >= review else "approve"


def policy_text(review, decline, reasons):
    comment = "".join(f"# {line}\n" for line in reasons)
    return f"{comment}version: 1\nreview: {review!r}\ndecline: {decline!r}\n"


def example_line(event, margin, probability, decided):
    """One recorded example. event is the event's own text, so that its numbers stay as they were written."""
    return f'{{"event": {event}, "margin": {margin!r}, "probability": {probability!r}, "decision": "{decided}"}}\n'


def write_manifest(out, name, files, training):
    """Writes bundle.json for the named files, which are in out already."""
    manifest = {
        "name": name,
        "version": BUNDLE_VERSION,
        "files": {f: hashlib.sha256((Path(out) / f).read_bytes()).hexdigest() for f in sorted(files)},
        "training": training,
    }
    (Path(out) / "bundle.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")

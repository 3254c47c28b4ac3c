"""Makes a bundle around a model file: policy.yaml, examples.jsonl, profile.json, and bundle.json, which holds the digest of each of the others."""

import hashlib
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import policy
from measure import measure
from models import SEED

EXAMPLES_EACH = 4  # of every decision, beside those that show a case of their own


@dataclass
class Chosen:
    """Thresholds, why they are those, and of which held-out transactions figures are taken: not of those that the thresholds were fitted to."""

    review: float
    decline: float
    reasons: list
    measured: slice


def choose_by_volume(probabilities, data, held):
    review, decline = policy.by_volume(probabilities)
    return Chosen(review, decline, [
        f"Set by volume on the held-out weeks: the {policy.DECLINED_SHARE:.1%} of transactions with the highest probability are declined, the next",
        f"{policy.REVIEWED_SHARE:.0%} are reviewed."], slice(None))


def choose_by_cost(costs):
    def choose(probabilities, data, held):
        """Fits the thresholds to the first half of the held-out time; the other half says what they cost."""
        times = data.times[held]
        middle = data.since(times[0] + (times[-1] - times[0]) / 2) - held.start
        fitted = slice(0, middle)
        days = (times[middle - 1] - times[0]).total_seconds() / 86_400
        frauds = data.frauds[held]
        for part in (frauds[:middle], frauds[middle:]):
            if not 0 < part.sum() < len(part):
                raise SystemExit("in one half of the held-out time there are not both frauds and honest transactions: take more events")
        review, decline = policy.by_cost(probabilities[fitted], frauds[fitted], data.amounts[held][fitted], days, costs)
        return Chosen(review, decline, [
            "Set by cost on the first half of the held-out weeks: of all thresholds within the capacity, these cost least there."], slice(middle, None))
    return choose


def choose_as_given(review, decline):
    return lambda probabilities, data, held: Chosen(review, decline, ["As given."], slice(None))


def write(out, model, data, held, choose, name, version, mlmonitor, about=None, costs=None, k=100):
    """Writes the bundle in out, where the model file and contract.yaml are already; held is the slice of the events that the model has not seen.

    Returns what bundle.json records of the training: figures with intervals where there are labels.
    """
    out = Path(out)
    margins, probabilities = model.predict(data.rows[held])
    chosen = choose(probabilities, data, held)
    decisions = np.array([policy.decision(p, chosen.review, chosen.decline) for p in probabilities])
    kinds, frauds = np.array(data.kinds[held]), data.frauds[held]
    training = {
        "library": model.library,
        "library_version": model.version,
        "trees": model.trees,
        "features": len(model.names),
        **(about or {}),
        "held_out": span(data, held),
    }
    reasons = list(chosen.reasons)
    if frauds.any():
        part = chosen.measured
        days = [t.date() for t in data.times[held][part]]
        training["measured"] = span(data, slice(held.start + (part.start or 0), held.stop))
        training["metrics"] = measure(probabilities[part], frauds[part], data.customers[held][part], days, k, SEED)
        training["precision_at_k"] = k
        training["policy"] = {which: outcome(decisions[part], frauds[part], which) for which in ("decline", "review", "approve")}
        training["caught"] = {kind: caught(kinds[part], decisions[part], kind) for kind in sorted(set(kinds[part]) - {""})}
        decline, review = training["policy"]["decline"], training["policy"]["review"]
        reasons.append(f"Of the declined {decline['precision']:.0%} were fraud, of the reviewed {review['precision']:.0%}; "
                       f"together they hold {decline['recall'] + review['recall']:.0%} of the frauds.")
        if costs:
            amounts = data.amounts[held][part]
            training["cost"] = {
                "policy": round(costs.total(frauds[part], amounts, decisions[part]), 2),
                "approve_all": round(costs.total(frauds[part], amounts, np.full(len(amounts), "approve")), 2),
            }
    (out / "policy.yaml").write_text(policy_text(chosen.review, chosen.decline, reasons), encoding="utf-8")
    (out / "examples.jsonl").write_text("".join(
        example_line(data.lines[held][i], float(margins[i]), float(probabilities[i]), decisions[i])
        for i in pick_examples(kinds, decisions, data.rows[held])), encoding="utf-8")
    (out / "profile.json").unlink(missing_ok=True)  # of a model before this one
    write_manifest(out, name, version, [model.file, "contract.yaml", "policy.yaml", "examples.jsonl"], training)
    add_profile(mlmonitor, out, data.lines[held])
    return training


def span(data, part):
    """Says which events a slice has."""
    times, frauds = data.times[part], data.frauds[part]
    return {"from": utc(times[0]), "to": utc(times[-1]), "rows": len(times), "frauds": int(frauds.sum())}


def utc(time):
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def outcome(decisions, frauds, which):
    """Returns the share of transactions with a decision, how many of those are fraud, and how many of the frauds they are."""
    chosen = decisions == which
    return {
        "share": round(float(chosen.mean()), 6),
        "precision": round(float(frauds[chosen].mean()), 6) if chosen.any() else 0.0,
        "recall": round(float(frauds[chosen].sum() / frauds.sum()), 6),
    }


def caught(kinds, decisions, kind):
    """Returns the share of a kind of fraud that was not approved."""
    return round(float((decisions[kinds == kind] != "approve").mean()), 6)


def pick_examples(kinds, decisions, rows):
    """Returns the indices of the examples: the first of every decision, kind of fraud and set of missing values, and some of every decision."""
    picked, counts = set(), {}
    for i, (decided, kind, row) in enumerate(zip(decisions, kinds, rows)):
        case = (decided, kind, np.isnan(row).tobytes())
        for key, most in ((case, 1), (decided, EXAMPLES_EACH)):
            counts[key] = counts.get(key, 0) + 1
            if counts[key] <= most:
                picked.add(i)
    return sorted(picked)


def policy_text(review, decline, reasons):
    comment = "".join(f"# {line}\n" for line in reasons)
    return f"{comment}version: 1\nreview: {review!r}\ndecline: {decline!r}\n"


def example_line(event, margin, probability, decided):
    """One recorded example. event is the event's own text, so that its numbers stay as they were written."""
    return f'{{"event": {event}, "margin": {margin!r}, "probability": {probability!r}, "decision": "{decided}"}}\n'


def write_manifest(out, name, version, files, training):
    """Writes bundle.json for the named files, which are in out already."""
    manifest = {
        "name": name,
        "version": version,
        "files": {f: hashlib.sha256((out / f).read_bytes()).hexdigest() for f in sorted(files)},
        "training": training,
    }
    (out / "bundle.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def add_profile(mlmonitor, out, lines):
    """Adds the profile of the events in lines to the bundle in out: the scorer makes it, so that its bins are those that it counts in.

    It proves the bundle first: a model that it scores otherwise than the library, or refuses, ends here.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as events:
        events.writelines(line + "\n" for line in lines)
        events.flush()
        try:
            subprocess.run([mlmonitor, "model", "profile", str(out), "--events", events.name, "--write"], check=True, stdout=subprocess.DEVNULL)
        except FileNotFoundError:
            raise SystemExit(f"there is no program {mlmonitor}: build it with make build, and name it with --mlmonitor") from None
        except subprocess.CalledProcessError as failed:
            raise SystemExit(f"the bundle does not hold, or has no profile: mlmonitor ended with {failed.returncode}") from None

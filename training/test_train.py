"""Run with: python -m pytest training"""

import csv
import hashlib
import json
import math
import os
import subprocess
from pathlib import Path

import lightgbm
import numpy as np
import pytest

import gate
import models
import pack
import policy
import train
from contract import Contract, Refused, parse_event
from data import Data, read_labels
from policy import Costs, decision

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "bundles" / "sample"

EVENT = """{"transaction_id":"tx-000000000042","customer":{"id":"c-00017","age_days":812},"terminal":{"id":"t-0042","mcc":5411},
"card":{"present":true},"amount":12.5,"currency":"EUR","channel":"pos","country":"DE","distance_km":3.2,"event_time":"2026-01-05T10:11:12.345Z",
"velocity":{"count_1h":1,"count_24h":3,"count_7d":9,"amount_24h":55.1,"amount_7d":201,"avg_amount_30d":31.2,"seconds_since_last":5321,
"terminal_fraud_7d":0.01,"new_terminal":false}}"""
ROW = {
    "amount": 12.5, "hour": 11.0, "weekday": 0.0, "channel": 0.0, "card_present": 1.0, "mcc": 2.0, "country": 0.0, "distance_km": 3.2,
    "customer_age_days": 812.0, "count_1h": 1.0, "count_24h": 3.0, "count_7d": 9.0, "amount_24h": 55.1, "amount_7d": 201.0,
    "avg_amount_30d": 31.2, "seconds_since_last": 5321.0, "terminal_fraud_7d": 0.01, "new_terminal": 0.0,
}


def sample_contract():
    return Contract((HERE / "contract.yaml").read_text(encoding="utf-8"))


def put(event, path, value):
    """Puts value at a path of names joined by dots; ... takes the last name away."""
    *way, last = path.split(".")
    for name in way:
        event = event[name]
    if value is ...:
        del event[last]
    else:
        event[last] = value


def row_with(*changes):
    event = json.loads(EVENT)
    for path, value in changes:
        put(event, path, value)
    contract = sample_contract()
    return dict(zip(contract.names, contract.row(event)[2]))


def test_sample_contract_turns_the_event_of_the_design_into_its_row():
    contract = sample_contract()
    transaction, time, row = contract.row(parse_event(EVENT))
    assert dict(zip(contract.names, row)) == ROW
    assert transaction == "tx-000000000042"
    assert time.isoformat() == "2026-01-05T10:11:12.345000+00:00"


@pytest.mark.parametrize("path, value, feature, want", [
    ("distance_km", None, "distance_km", math.nan),
    ("distance_km", ..., "distance_km", math.nan),
    ("card", None, "card_present", math.nan),
    ("distance_km", 30000, "distance_km", 30000.0),  # flagged, not refused
    ("velocity.seconds_since_last", None, "seconds_since_last", math.nan),
    ("velocity.count_1h", 2.0, "count_1h", 2.0),
    ("terminal.mcc", 1234, "mcc", 13.0),
    ("terminal.mcc", 5812.0, "mcc", 6.0),
    ("terminal.mcc", None, "mcc", 13.0),
    ("country", "NO", "country", 9.0),
    ("channel", "atm", "channel", 3.0),
    ("velocity.new_terminal", True, "new_terminal", 1.0),
    ("event_time", "2026-07-05T22:30:00Z", "hour", 0.0),  # summer time: two hours ahead of UTC
    ("event_time", "2026-07-05T22:30:00Z", "weekday", 0.0),  # already Monday in Berlin
    ("event_time", "2026-01-04T23:59:59.999999999+01:00", "hour", 23.0),
    ("event_time", "2026-01-04T23:59:59.999999999+01:00", "weekday", 6.0),
    ("event_time", "2026-03-29T01:00:00Z", "hour", 3.0),  # the clocks have just gone forward
])
def test_value_becomes_what_the_scorer_makes_of_it(path, value, feature, want):
    got = row_with((path, value))[feature]
    assert got == want or math.isnan(got) and math.isnan(want)


@pytest.mark.parametrize("path, value, says", [
    ("amount", None, "amount is absent or null"),
    ("amount", "12.5", "amount: not a number"),
    ("amount", True, "amount: not a number"),
    ("amount", -1, "amount: -1.0 is outside"),
    ("amount", 10**400, "amount: a number beyond float64"),
    ("velocity.count_7d", 1.5, "velocity.count_7d: not a whole number"),
    ("velocity.count_7d", 2**53 + 2, "velocity.count_7d: not a whole number"),
    ("velocity", ..., "velocity.count_1h is absent or null"),
    ("velocity", 3, "goes through a value that is no object"),
    ("channel", "fax", "channel: no code"),
    ("channel", 1, "channel: of another type"),
    ("country", 49, "country: of another type"),
    ("card.present", 1, "card.present: neither true nor false"),
    ("event_time", 1767607872, "event_time: not a time"),
    ("event_time", "2026-01-05 10:11:12Z", "event_time: not a time"),
    ("event_time", "2026-02-30T10:11:12Z", "event_time: no time"),
    ("transaction_id", ..., "transaction_id is absent"),
    ("customer.id", ["c"], "customer.id is neither"),
])
def test_what_the_scorer_refuses_is_refused(path, value, says):
    with pytest.raises(Refused, match=says):
        row_with((path, value))


@pytest.mark.parametrize("text", ['{"amount":NaN}', '{"a":{"b":1,"b":2}}', '{"amount":1', '{"amount":1} 2'])
def test_text_that_is_no_json_is_refused(text):
    with pytest.raises(ValueError):
        parse_event(text)


def test_contract_reads_every_type_part_and_policy():
    contract = Contract("""
version: 1
event: {transaction_id: id, key: k, event_time: {path: at, format: unix_ms}, amount: a}
features:
  - {name: dotted, path: [x, "y.z"], type: number, missing: {default: -1}}
  - {name: minute, path: at, type: time, format: unix_ms, part: minute, zone: Asia/Kolkata}
  - {name: day, path: at, type: time, format: unix_ms, part: day, zone: UTC}
  - {name: month, path: at, type: time, format: unix_ms, part: month, zone: UTC}
  - {name: yearday, path: at, type: time, format: unix_ms, part: yearday, zone: UTC}
  - {name: hour_of_week, path: at, type: time, format: unix_ms, part: hour_of_week, zone: UTC}
  - {name: second, path: sec, type: time, format: unix_s, part: hour, zone: UTC, missing: nan}
  - {name: land, path: land, type: category, codes: {NO: 1, "1": 2, 1: 3}, unknown: nan, missing: {default: 0}}
""")
    event = {"id": 7, "k": "k", "a": 1, "at": 1772366400000 - 1, "x": {"y.z": 1e300}, "land": "NO"}  # a millisecond before 2026-03-01T12:00Z
    _, _, row = contract.row(event)
    assert row[:6] == [1e300, 29.0, 1.0, 3.0, 60.0, 6 * 24 + 11.0]
    assert math.isnan(row[6]) and row[7] == 1.0
    for land, want in (("1", 2.0), (1, 3.0), (None, 0.0)):
        assert contract.row({**event, "land": land, "x": None})[2][7] == want
    assert math.isnan(contract.row({**event, "land": "SE"})[2][7])
    assert contract.row({**event, "x": {}, "sec": 3600 * 5})[2][6] == 5.0


def test_thresholds_let_no_more_in_than_wanted_however_many_tie():
    draw = np.random.default_rng(1)
    for distinct in (3, 50, 100_000):
        p = draw.integers(1, distinct, 5000) / (2 * distinct)
        review, decline = policy.by_volume(p)
        assert review <= decline <= 1
        assert (p >= decline).mean() <= policy.DECLINED_SHARE
        assert (p >= review).mean() <= policy.DECLINED_SHARE + policy.REVIEWED_SHARE
    assert (p >= decline).mean() > 0.9 * policy.DECLINED_SHARE  # nothing ties: the wanted share is reached


MLMONITOR = os.environ.get("MLMONITOR", "mlmonitor")


def write_small_set(folder, count=6000):
    """Eight weeks of made-up events of 300 customers in which high amounts far away tend to be fraud."""
    draw = np.random.default_rng(3)
    start = np.datetime64("2026-01-05T00:00:00.000")
    step = 8 * 7 * 86_400_000 // count
    with open(folder / "events.jsonl", "w", encoding="utf-8") as events, open(folder / "labels.csv", "w", encoding="utf-8", newline="") as labels:
        table = csv.writer(labels)
        table.writerow(["transaction_id", "fraud_kind"])
        for i in range(count):
            event = json.loads(EVENT)
            far = draw.random() < 0.1
            event["transaction_id"] = f"tx-{i:012d}"
            event["event_time"] = f"{start + np.timedelta64(i * step, 'ms')}Z"
            event["customer"]["id"] = f"c-{draw.integers(300):05d}"
            event["amount"] = round(float(draw.lognormal(5 if far else 3)), 2)
            event["velocity"]["amount_7d"] = round(float(draw.lognormal(6)), 2)
            event["distance_km"] = None if draw.random() < 0.2 else round(float(draw.exponential(900 if far else 20)), 1)
            events.write(json.dumps(event, separators=(",", ":")) + "\n")
            table.writerow([event["transaction_id"], "far" if far and draw.random() < 0.5 else ""])


def build(folder, out, *more):
    return train.build(train.parse(["--events", f"{folder}/events.jsonl", "--labels", f"{folder}/labels.csv", "--contract", str(HERE / "contract.yaml"),
                                    "--out", f"{folder}/{out}", "--trees", "40", "--name", "small", "--mlmonitor", MLMONITOR, *more]))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    write_small_set(folder)
    return folder, build(folder, "bundle")


@pytest.fixture(scope="module")
def boosted(small):
    """The same by XGBoost, with thresholds by cost."""
    return build(small[0], "boosted", "--library", "xgboost", "--costs", str(HERE / "costs.yaml"))


def test_retraining_gives_the_same_bytes(small):
    folder, _ = small
    build(folder, "again")
    assert contents(folder / "again") == contents(folder / "bundle")


def test_held_out_weeks_are_later_than_all_of_training_and_unseen(small):
    folder, training = small
    assert training["held_out"]["from"] == "2026-02-15T23:46:33.600Z"  # two weeks before the last event
    assert "2026-02-08T23:30" < training["train"]["to"] < "2026-02-08T23:46:33.600Z"  # and a week of embargo
    assert training["train"]["rows"] + 750 + training["held_out"]["rows"] == 6000
    auc = training["metrics"]["auc"]
    assert 0.8 < auc["low"] < auc["value"] < auc["high"] < 1
    # Labels of the held-out weeks change what is measured, never the model.
    other = folder / "other"
    other.mkdir()
    (other / "events.jsonl").write_bytes((folder / "events.jsonl").read_bytes())
    lines = (folder / "labels.csv").read_text(encoding="utf-8").splitlines()
    lines[-100:] = [line.split(",")[0] + ",far" for line in lines[-100:]]
    (other / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    build(other, "bundle")
    assert (other / "bundle" / "model.txt").read_bytes() == (folder / "bundle" / "model.txt").read_bytes()


def test_policy_declines_and_reviews_the_wanted_shares(small):
    _, training = small
    declined, reviewed = training["policy"]["decline"]["share"], training["policy"]["review"]["share"]
    assert 0 < declined <= policy.DECLINED_SHARE
    assert 0.8 * policy.REVIEWED_SHARE < declined + reviewed <= policy.DECLINED_SHARE + policy.REVIEWED_SHARE
    assert sum(p["recall"] for p in training["policy"].values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("break_it, says", [
    (lambda events, labels: (events[:10] + ['{"amount":'] + events[10:], labels), "line 11: .*--malformed skip"),
    (lambda events, labels: (events, labels[:-1]), "line 6000: no label"),
    (lambda events, labels: (events, labels + [labels[0] + "far"]), "another label above"),
    (lambda events, labels: (events, [line.split(",")[0] + "," for line in labels]), "not both frauds and honest"),
])
def test_training_stops_at_data_that_does_not_fit(small, tmp_path, break_it, says):
    folder, _ = small
    header, *labels = (folder / "labels.csv").read_text(encoding="utf-8").splitlines()
    events, labels = break_it((folder / "events.jsonl").read_text(encoding="utf-8").splitlines(), labels)
    (tmp_path / "events.jsonl").write_text("\n".join(events) + "\n", encoding="utf-8")
    (tmp_path / "labels.csv").write_text("\n".join([header, *labels]) + "\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=says):
        build(tmp_path, "bundle")
    assert not (tmp_path / "bundle" / "bundle.json").exists()


def test_events_of_several_partitions_train_the_same_model(small, tmp_path):
    folder, _ = small
    events = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "events.jsonl").write_text("\n".join(events[1::2] + events[::2]) + "\n", encoding="utf-8")
    (tmp_path / "labels.csv").write_bytes((folder / "labels.csv").read_bytes())
    build(tmp_path, "bundle")
    assert (tmp_path / "bundle" / "model.txt").read_bytes() == (folder / "bundle" / "model.txt").read_bytes()


def test_malformed_events_are_left_out_where_that_is_said(small, tmp_path, capsys):
    folder, _ = small
    lines = (folder / "events.jsonl").read_bytes().splitlines()[:300]
    bad = [b"", b"\xff", b"{", b"[" * 100_000, lines[0].replace(b'"amount":', b'"amount":-')]
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines[:100] + bad + lines[100:]) + b"\n")
    data = Data(sample_contract(), tmp_path / "events.jsonl", folder / "labels.csv", malformed="skip")
    assert len(data) == 300 and "5 of 305" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="line 101: "):
        Data(sample_contract(), tmp_path / "events.jsonl", folder / "labels.csv")
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines[:20] + bad))
    with pytest.raises(SystemExit, match="more than some"):
        Data(sample_contract(), tmp_path / "events.jsonl", folder / "labels.csv", malformed="skip")


def test_labels_are_read_in_both_forms_and_missing_ones_may_be_honest(small, tmp_path):
    folder, _ = small
    kinds = read_labels(folder / "labels.csv")
    text = "transaction_id,label\n" + "".join(f"{one},{int(kind != '')}\n" for one, kind in kinds.items())
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    assert {one: kind != "" for one, kind in kinds.items()} == {one: kind != "" for one, kind in read_labels(tmp_path / "labels.csv").items()}
    (tmp_path / "labels.csv").write_text(text.replace(",1\n", ",yes\n", 1), encoding="utf-8")
    with pytest.raises(SystemExit, match="0 or 1 is needed"):
        read_labels(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text("id,y\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="the header is id,y"):
        read_labels(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text("transaction_id,label\ntx-000000000007,1\n", encoding="utf-8")
    assert Data(sample_contract(), folder / "events.jsonl", tmp_path / "labels.csv", "honest").frauds.sum() == 1


def test_the_scorer_gives_every_event_what_the_library_gives(small, boosted):
    """Train/serve parity: the raw events through the scorer, against the frame through Python."""
    folder, _ = small
    for out, library in (("bundle", models.LightGBM), ("boosted", models.XGBoost)):
        data = Data(sample_contract(), folder / "events.jsonl", folder / "labels.csv")
        margins, probabilities = library(folder / out / library.file).predict(data.rows)
        said = subprocess.run([MLMONITOR, "model", "predict", str(folder / out), "--events", str(folder / "events.jsonl")], check=True, capture_output=True).stdout
        verdicts = [json.loads(line) for line in said.splitlines()]
        assert len(verdicts) == 6000
        assert [v["margin"] for v in verdicts] == margins.tolist()
        assert [v["probability"] for v in verdicts] == probabilities.tolist()
        review, decline = thresholds(folder / out)
        assert [v["decision"] for v in verdicts] == [decision(p, review, decline) for p in probabilities]


def test_a_policy_by_cost_is_fitted_to_the_first_half_and_measured_on_the_other(boosted):
    assert boosted["library"] == "xgboost"
    assert boosted["held_out"]["from"] < boosted["measured"]["from"] < boosted["measured"]["to"] == boosted["held_out"]["to"]
    assert 0 < boosted["cost"]["policy"] < boosted["cost"]["approve_all"]


def packed(small, tmp_path, *more):
    folder, _ = small
    return pack.build(pack.parse(["--events", f"{folder}/events.jsonl", "--contract", str(HERE / "contract.yaml"), "--out", str(tmp_path / "packed"),
                                  "--mlmonitor", MLMONITOR, *more]))


def test_a_model_that_is_there_becomes_a_bundle(small, boosted, tmp_path):
    folder, _ = small
    training = packed(small, tmp_path, "--model", f"{folder}/boosted/model.ubj", "--review", "0.2", "--decline", "0.6")
    assert "metrics" not in training and thresholds(tmp_path / "packed") == (0.2, 0.6)
    training = packed(small, tmp_path, "--model", f"{folder}/bundle/model.txt", "--labels", f"{folder}/labels.csv")
    assert training["metrics"]["auc"]["value"] > 0.8
    assert {path.name for path in (tmp_path / "packed").iterdir()} == {"model.txt", "contract.yaml", "policy.yaml", "examples.jsonl", "profile.json", "bundle.json"}
    models.XGBoost(folder / "boosted" / "model.ubj").booster.save_model(tmp_path / "model.json")
    assert packed(small, tmp_path, "--model", f"{tmp_path}/model.json")["library"] == "xgboost"


@pytest.mark.parametrize("more, says", [
    (["--model", "model.pkl"], "a pickle runs code"),
    (["--model", "{folder}/bundle/model.txt", "--review", "0.2"], "belong together"),
    (["--model", "{folder}/bundle/model.txt", "--costs", str(HERE / "costs.yaml")], "--costs needs --labels"),
    (["--model", "{folder}/renamed.txt"], "names and order must be the same"),
])
def test_what_cannot_be_a_bundle_is_refused(small, tmp_path, more, says):
    folder, _ = small
    (folder / "renamed.txt").write_text((folder / "bundle" / "model.txt").read_text(encoding="utf-8").replace("amount_24h", "amount_25h"), encoding="utf-8")
    (folder / "model.pkl").write_bytes(b"")
    with pytest.raises(SystemExit, match=says):
        packed(small, tmp_path, *(one.replace("{folder}", str(folder)) for one in more))
    assert not (tmp_path / "packed" / "bundle.json").exists()


def gated(small, tmp_path, candidate, champion, *more):
    folder, _ = small
    args = gate.parse(["--candidate", f"{folder}/{candidate}", "--champion", f"{folder}/{champion}", "--events", f"{folder}/events.jsonl",
                       "--labels", f"{folder}/labels.csv", "--work", str(tmp_path), "--mlmonitor", MLMONITOR, *more])
    return gate.judge(args)


def test_a_better_candidate_passes_the_gates_and_a_worse_does_not(small, tmp_path):
    folder, training = small
    build(folder, "poor", "--trees", "1", "--leaves", "2")
    found = gated(small, tmp_path, "bundle", "poor", "--min-auc", "0.8", "--max-slower", "1000")
    assert found["passes"], found
    assert found["candidate"]["auc"] == training["metrics"]["auc"]  # by the scorer what the library gave
    assert not found["champion_has_seen_the_period"] and found["period"]["rows"] == training["held_out"]["rows"]
    worse = gated(small, tmp_path, "poor", "bundle", "--min-auc", "0.8")
    assert not worse["passes"] and not worse["gates"]["better"]["passes"]
    assert worse["gates"]["better"]["average_precision_gain"]["value"] == -found["gates"]["better"]["average_precision_gain"]["value"]


@pytest.mark.parametrize("more, stops", [
    (["--min-auc", "1"], "auc"),
    (["--max-slower", "0"], "latency"),
    (["--max-bytes", "1000"], "size"),
    (["--margin", "0"], "better"),
])
def test_each_gate_can_stop_a_candidate(small, tmp_path, more, stops):
    easy = ["--min-auc", "0.5", "--max-slower", "1000", "--margin", "0.01"]
    assert gated(small, tmp_path, "bundle", "bundle", *easy)["passes"]
    found = gated(small, tmp_path, "bundle", "bundle", *easy, *more)
    assert [name for name, one in found["gates"].items() if not one["passes"]] == [stops] and not found["passes"]


def test_a_champion_that_has_seen_the_days_is_told(small, tmp_path):
    assert gated(small, tmp_path, "bundle", "bundle", "--days", "30")["champion_has_seen_the_period"]


def test_what_a_bundle_refuses_counts_against_it(small, tmp_path, monkeypatch):
    monkeypatch.setattr(gate, "probabilities", lambda mlmonitor, bundle, events: [None if bundle.name == "bundle" else 0.5 for _ in open(events, encoding="utf-8")])
    found = gated(small, tmp_path, "bundle", "poor")
    assert found["candidate"]["auc"]["value"] == 0.0


def thresholds(folder):
    text = dict(line.split(": ") for line in (folder / "policy.yaml").read_text(encoding="utf-8").splitlines() if line[0] != "#")
    return float(text["review"]), float(text["decline"])


def bundles(small):
    return [SAMPLE, small[0] / "bundle"]


def test_digests_match_the_files(small):
    for folder in bundles(small):
        manifest = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        files = contents(folder)
        assert set(manifest["files"]) == set(files) - {"bundle.json"}
        for name, digest in manifest["files"].items():
            assert hashlib.sha256(files[name]).hexdigest() == digest, f"{folder.name}/{name}"


def test_recorded_examples_are_what_the_model_says(small):
    for folder in bundles(small):
        contract = Contract((folder / "contract.yaml").read_text(encoding="utf-8"))
        review, decline = thresholds(folder)
        model = lightgbm.Booster(model_file=folder / "model.txt")
        assert model.feature_name() == contract.names
        examples = [json.loads(line) for line in (folder / "examples.jsonl").read_text(encoding="utf-8").splitlines()]
        rows = np.array([contract.row(example["event"])[2] for example in examples])
        assert model.predict(rows, raw_score=True).tolist() == [example["margin"] for example in examples]
        assert model.predict(rows).tolist() == [example["probability"] for example in examples]
        assert [decision(e["probability"], review, decline) for e in examples] == [e["decision"] for e in examples]
        assert {e["decision"] for e in examples} == {"approve", "review", "decline"}
        assert np.isnan(rows).any()


def test_sample_is_small_honest_and_of_the_committed_contract():
    assert sum(len(data) for data in contents(SAMPLE).values()) <= 1_500_000
    assert (SAMPLE / "contract.yaml").read_bytes() == (HERE / "contract.yaml").read_bytes()
    training = json.loads((SAMPLE / "bundle.json").read_text(encoding="utf-8"))["training"]
    assert 0.93 <= training["metrics"]["auc"]["value"] <= 0.98
    assert training["embargo_days"] == 7
    assert training["held_out"]["frauds"] > 500
    assert 20 <= len((SAMPLE / "examples.jsonl").read_text(encoding="utf-8").splitlines()) <= 40

"""What `mlmonitor score` does, as a Python team writes it that knows its libraries: confluent-kafka's transactions, orjson, LightGBM.

The features are those of training/contract.yaml, by hand: reading the contract for each event would cost far more. An event that cannot be scored goes to the
dead-letter topic. It runs until SIGTERM.
"""

import hashlib
import os
import signal
from datetime import datetime
from math import nan
from pathlib import Path
from zoneinfo import ZoneInfo

import lightgbm
import numpy as np
import orjson
import yaml
from confluent_kafka import Consumer, Producer

AT_ONCE = 10_000  # records of a transaction at most
WAIT = 0.1  # seconds for so many
THREADS = int(os.environ.get("THREADS", "2"))  # of LightGBM; faster than 1 on two cores

CHANNEL = {"pos": 0.0, "web": 1.0, "app": 2.0, "atm": 3.0}
MCC = {code: float(i) for i, code in enumerate([4111, 5311, 5411, 5541, 5651, 5732, 5812, 5816, 5912, 5944, 5999, 6011, 7011])}
COUNTRY = {code: float(i) for i, code in enumerate(["DE", "AT", "NL", "FR", "PL", "IT", "ES", "GB", "US"])}
BERLIN = ZoneInfo("Europe/Berlin")
OPTIONAL = [("distance_km", 20040), ("customer_age_days", 40000), ("avg_amount_30d", 1000000), ("seconds_since_last", 604800), ("terminal_fraud_7d", 1)]

hours = {}  # hour and weekday in Berlin by the text of the hour: no zone of ours has an offset of half an hour


def time_parts(text):
    hour = text[:13]
    parts = hours.get(hour)
    if parts is None:
        local = datetime.fromisoformat(text).astimezone(BERLIN)
        if len(hours) > 100_000:
            hours.clear()
        parts = hours[hour] = (float(local.hour), float(local.weekday()))
    return parts


def within(value, low, high):
    if not low <= value <= high:
        raise ValueError(f"{value} is outside of {low} to {high}")
    return value


def features(event, findings):
    """Returns the row of an event; raises for what the contract refuses."""
    velocity, terminal, card, customer = event["velocity"], event.get("terminal") or {}, event.get("card") or {}, event["customer"]
    hour, weekday = time_parts(event["event_time"])
    present, new = card.get("present"), velocity.get("new_terminal")
    optional = (event.get("distance_km"), customer.get("age_days"), velocity.get("avg_amount_30d"), velocity.get("seconds_since_last"), velocity.get("terminal_fraud_7d"))
    values = []
    for value, (name, high) in zip(optional, OPTIONAL):
        if value is None:
            findings.append("missing:" + name)
            value = nan
        elif not 0 <= value <= high:
            findings.append("outside:" + name)
        values.append(value)
    if present is None:
        findings.append("missing:card_present")
    if new is None:
        findings.append("missing:new_terminal")
    return (
        within(event["amount"], 0, 1000000), hour, weekday, CHANNEL[event["channel"]], nan if present is None else float(present),
        MCC.get(terminal.get("mcc"), 13.0), COUNTRY.get(event.get("country"), 9.0), values[0], values[1],
        within(velocity["count_1h"], 0, 100000), within(velocity["count_24h"], 0, 100000), within(velocity["count_7d"], 0, 100000),
        within(velocity["amount_24h"], 0, 100000000), within(velocity["amount_7d"], 0, 100000000), values[2], values[3], values[4],
        nan if new is None else float(new),
    )


class Pipeline:
    def __init__(self, env):
        folder = Path(env["BUNDLE_DIR"])
        self.model = lightgbm.Booster(model_file=folder / "model.txt")
        policy = yaml.safe_load((folder / "policy.yaml").read_text(encoding="utf-8"))
        self.review, self.decline = policy["review"], policy["decline"]
        manifest = (folder / "bundle.json").read_bytes()
        named = orjson.loads(manifest)
        digest = hashlib.sha256(manifest).hexdigest()
        self.bundle = {"name": named["name"], "version": named["version"], "digest": "sha256:" + digest}
        self.headers = [("mlmonitor.bundle", self.bundle["digest"])]
        self.verdicts, self.dead_letters = env["KAFKA_TOPIC_VERDICTS"], env["KAFKA_TOPIC_DEAD_LETTERS"]
        group = env["CONSUMER_GROUP"]
        self.consumer = Consumer({
            "bootstrap.servers": env["KAFKA_BROKERS"], "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest",
            "isolation.level": "read_committed", "partition.assignment.strategy": "cooperative-sticky", "fetch.wait.max.ms": 100})
        self.producer = Producer({
            "bootstrap.servers": env["KAFKA_BROKERS"], "transactional.id": group, "transaction.timeout.ms": 10_000, "linger.ms": 5,
            "compression.type": env.get("KAFKA_COMPRESSION", "snappy"), "queue.buffering.max.messages": 1_000_000})
        self.producer.init_transactions()
        self.consumer.subscribe([env["KAFKA_TOPIC_TRANSACTIONS"]])

    def run(self, going):
        while going():
            records = [r for r in self.consumer.consume(AT_ONCE, WAIT) if r.error() is None]
            if not records:
                continue
            self.producer.begin_transaction()
            self.answer(records)
            self.producer.send_offsets_to_transaction(self.consumer.position(self.consumer.assignment()), self.consumer.consumer_group_metadata())
            self.producer.commit_transaction()
        self.consumer.close()

    def answer(self, records):
        accepted, rows = [], []
        for record in records:
            findings = []
            try:
                event = orjson.loads(record.value())
                rows.append(features(event, findings))
                accepted.append((record, event, findings))
            except (ValueError, KeyError, TypeError, AttributeError) as reason:
                self.producer.produce(self.dead_letters, record.value(), record.key(), record.partition(), timestamp=record.timestamp()[1], headers=[("reason", str(reason))])
        if not rows:
            return
        margins = self.model.predict(np.array(rows, dtype=np.float64), raw_score=True, num_threads=THREADS)
        chances = 1 / (1 + np.exp(-margins))
        for (record, event, findings), margin, chance in zip(accepted, margins.tolist(), chances.tolist()):
            verdict = orjson.dumps({
                "transaction_id": event["transaction_id"], "decision": "decline" if chance >= self.decline else "review" if chance >= self.review else "approve",
                "probability": chance, "margin": margin, "bundle": self.bundle, "findings": findings, "event_time": event["event_time"],
                "source": {"topic": record.topic(), "partition": record.partition(), "offset": record.offset()}})
            self.producer.produce(self.verdicts, verdict, record.key(), record.partition(), timestamp=record.timestamp()[1], headers=self.headers)


def main():
    ends = []
    signal.signal(signal.SIGTERM, lambda *_: ends.append(True))
    Pipeline(os.environ).run(lambda: not ends)


if __name__ == "__main__":
    main()

"""The transaction as training/contract.yaml reads it, and its row of features: by hand, since to read a contract for each event would cost far more.

What the contract rejects is refused by msgspec while it reads the JSON, in C; what it flags, or gives another value for, is a finding. Ids are texts and whole
numbers have no fraction, as the simulator writes them; the contract would take other forms too.
"""

from datetime import datetime, timezone
from math import nan
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct
from msgspec.json import Decoder

Text = Annotated[str, Meta(min_length=1, max_length=256)]
Count = Annotated[int, Meta(ge=0, le=100_000)]
Sum = Annotated[float, Meta(ge=0, le=100_000_000)]


class Customer(Struct, gc=False):
    id: Text
    age_days: int | None = None


class Terminal(Struct, gc=False):
    mcc: int | None = None


class Card(Struct, gc=False):
    present: bool | None = None


class Velocity(Struct, gc=False):
    count_1h: Count
    count_24h: Count
    count_7d: Count
    amount_24h: Sum
    amount_7d: Sum
    avg_amount_30d: float | None = None
    seconds_since_last: int | None = None
    terminal_fraud_7d: float | None = None
    new_terminal: bool | None = None


class Event(Struct, gc=False):
    transaction_id: Text
    customer: Customer
    amount: Annotated[float, Meta(ge=0, le=1_000_000)]
    channel: Literal["pos", "web", "app", "atm"]
    event_time: str
    velocity: Velocity
    terminal: Terminal | None = None
    card: Card | None = None
    country: str | None = None
    distance_km: float | None = None


read = Decoder(Event).decode

FEATURES = (
    "amount", "hour", "weekday", "channel", "card_present", "mcc", "country", "distance_km", "customer_age_days", "count_1h", "count_24h", "count_7d",
    "amount_24h", "amount_7d", "avg_amount_30d", "seconds_since_last", "terminal_fraud_7d", "new_terminal",
)
CHANNELS = {"pos": 0, "web": 1, "app": 2, "atm": 3}
MCCS = {mcc: code for code, mcc in enumerate((4111, 5311, 5411, 5541, 5651, 5732, 5812, 5816, 5912, 5944, 5999, 6011, 7011))}
COUNTRIES = {country: code for code, country in enumerate(("DE", "AT", "NL", "FR", "PL", "IT", "ES", "GB", "US"))}
BERLIN = ZoneInfo("Europe/Berlin")
HOURS_KEPT = 100_000

hours = {}  # hour and weekday in Berlin by the text of the hour in UTC: the zone's offsets are whole hours


def row(event):
    """Returns the features of an event, its time as a verdict writes it, and its findings."""
    findings = []
    time = utc(event.event_time)
    hour, weekday = hours.get(time[:13]) or in_berlin(time)
    card, terminal, velocity = event.card, event.terminal, event.velocity
    if (present := card.present if card else None) is None:
        present = odd("card_present", None, findings)
    mcc = terminal.mcc if terminal else None
    if (mcc_code := MCCS.get(mcc)) is None:
        mcc_code = other("mcc", mcc, len(MCCS), findings)
    if (country_code := COUNTRIES.get(event.country)) is None:
        country_code = other("country", event.country, len(COUNTRIES), findings)
    if (distance := event.distance_km) is None or not 0 <= distance <= 20_040:
        distance = odd("distance_km", distance, findings)
    if (age := event.customer.age_days) is None or not 0 <= age <= 40_000:
        age = odd("customer_age_days", age, findings)
    if (average := velocity.avg_amount_30d) is None or not 0 <= average <= 1_000_000:
        average = odd("avg_amount_30d", average, findings)
    if (last := velocity.seconds_since_last) is None or not 0 <= last <= 604_800:
        last = odd("seconds_since_last", last, findings)
    if (fraud := velocity.terminal_fraud_7d) is None or not 0 <= fraud <= 1:
        fraud = odd("terminal_fraud_7d", fraud, findings)
    if (new := velocity.new_terminal) is None:
        new = odd("new_terminal", None, findings)
    features = (
        event.amount, hour, weekday, CHANNELS[event.channel], present, mcc_code, country_code, distance, age, velocity.count_1h, velocity.count_24h,
        velocity.count_7d, velocity.amount_24h, velocity.amount_7d, average, last, fraud, new,
    )
    return features, time, findings


def odd(name, value, findings):
    """A value that is missing or outside of its domain is scored with a finding."""
    findings.append(("missing:" if value is None else "outside:") + name)
    return nan if value is None else value


def other(name, value, code, findings):
    """A category without a code of its own has the one behind the last."""
    findings.append(("missing:" if value is None else "unknown:") + name)
    return code


def utc(text):
    """Returns a time of ISO 8601 as a verdict writes it: in UTC, without zeros at the end of its second. Raises ValueError for what is no time with a zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"event_time {text!r} has no zone")
    if text[-1] != "Z":
        text = at.astimezone(timezone.utc).isoformat()[:-6] + "Z"
    if text[-2] == "0" and "." in text:
        text = text[:-1].rstrip("0").rstrip(".") + "Z"
    return text


def in_berlin(time):
    at = datetime.fromisoformat(time).astimezone(BERLIN)
    if len(hours) >= HOURS_KEPT:
        hours.clear()
    parts = hours[time[:13]] = at.hour, at.weekday()
    return parts

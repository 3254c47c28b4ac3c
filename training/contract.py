"""Turns transaction events into feature rows as contract.yaml says, with the meaning that the scorer's decoder (package schemas) has.

Training must see exactly the numbers that scoring will see. What the decoder refuses is an error here too; the decoder's limits on size and
depth, and its findings, have no part in a feature's value and are left to it.
"""

import json
import math
import re
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import yaml

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
LARGEST_INTEGER = 2**53
NUMBER = r"-?(?:0|[1-9][0-9]*)"


class Refused(ValueError):
    """An event, or a contract, that the scorer would refuse."""


class _JSONLike(yaml.SafeLoader):
    """YAML whose plain scalars are what they are to the scorer: PyYAML's own rules make a bool of NO, Norway, and a text of 1e6."""


_JSONLike.yaml_implicit_resolvers = {}
for tag, pattern, first in [
    ("tag:yaml.org,2002:bool", r"^(?:true|false)$", "tf"),
    ("tag:yaml.org,2002:int", rf"^{NUMBER}$", "-0123456789"),
    ("tag:yaml.org,2002:float", rf"^{NUMBER}(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$", "-0123456789"),
    ("tag:yaml.org,2002:null", r"^(?:null|~|)$", ["n", "~", ""]),
]:
    _JSONLike.add_implicit_resolver(tag, re.compile(pattern), first)


class Contract:
    """The features of a contract, in the model's order."""

    def __init__(self, text):
        raw = yaml.load(text, _JSONLike)
        if raw.get("version") != 1:
            raise Refused(f"contract version is {raw.get('version')!r}, this program reads version 1")
        event = raw["event"]
        self._id = _path(event["transaction_id"])
        self._key = _path(event["key"])
        self._amount = _path(event["amount"])
        self._time = _path(event["event_time"]["path"])
        self._format = event["event_time"]["format"]
        self.names = [f["name"] for f in raw["features"]]
        self._features = [(_path(f["path"]), _reader(f), _missing(f)) for f in raw["features"]]

    def row(self, event):
        """Returns the transaction id, the event time (UTC) and the list of feature values of an event, a parsed JSON object."""
        if type(event) is not dict:
            raise Refused("the event is no JSON object")
        row = []
        for path, read, missing in self._features:
            value = _at(event, path)
            if value is None:
                if missing is None:
                    raise Refused(f"{'.'.join(path)} is absent or null")
                row.append(missing)
                continue
            try:
                row.append(read(value))
            except Refused as reason:
                raise Refused(f"{'.'.join(path)}: {reason}") from None
        for path in (self._id, self._key, self._amount, self._time):
            if _at(event, path) is None:
                raise Refused(f"{'.'.join(path)} is absent or null")
        _number(_at(event, self._amount))
        for path in (self._id, self._key):
            if type(_at(event, path)) not in (str, int):
                raise Refused(f"{'.'.join(path)} is neither a text nor an integer")
        return str(_at(event, self._id)), _instant(_at(event, self._time), self._format), row

    def key(self, event):
        """Returns the key, such as the customer, as a text."""
        return str(_at(event, self._key))

    def amount(self, event):
        return float(_at(event, self._amount))


def parse_event(line):
    """Reads one event; text that Python's json takes for a number beyond the standard (NaN), and a name twice, are refused."""

    def unique(pairs):
        made = dict(pairs)
        if len(made) != len(pairs):
            raise Refused("a name comes twice in one object")
        return made

    def constant(name):
        raise Refused(f"{name} is not a number in JSON")

    return json.loads(line, object_pairs_hook=unique, parse_constant=constant)


def _path(value):
    return tuple(value) if isinstance(value, list) else tuple(value.split("."))


def _at(event, path):
    for name in path:
        if event is None:
            return None
        if type(event) is not dict:
            raise Refused(f"{'.'.join(path)} goes through a value that is no object")
        event = event.get(name)
    return event


def _missing(feature):
    """What a missing value becomes; None where it is refused."""
    rule = feature.get("missing", "reject")
    if rule == "reject":
        return None
    return math.nan if rule == "nan" else float(rule["default"])


def _reader(feature):
    kind = feature["type"]
    if kind in ("number", "integer"):
        return _number_reader(_number if kind == "number" else _integer, feature)
    if kind == "boolean":
        return _boolean
    if kind == "time":
        return _time_reader(feature["format"], feature["part"], ZoneInfo(feature["zone"]))
    if kind == "category":
        return _category_reader(feature)
    raise Refused(f"feature {feature['name']} has the unknown type {kind!r}")


def _number(value):
    if type(value) not in (int, float):
        raise Refused("not a number")
    try:
        value = float(value)
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise Refused("a number beyond float64")
    return value


def _integer(value):
    number = _number(value)
    if not number.is_integer() or abs(value) > LARGEST_INTEGER:
        raise Refused("not a whole number of at most 2^53")
    return number


def _boolean(value):
    if type(value) is not bool:
        raise Refused("neither true nor false")
    return float(value)


def _number_reader(convert, feature):
    domain = feature.get("domain", {})
    low, high = float(domain.get("min", -math.inf)), float(domain.get("max", math.inf))
    flag = feature.get("outside", "reject") == "flag"

    def read(value):
        number = convert(value)
        if not flag and not low <= number <= high:
            raise Refused(f"{number} is outside of the domain {low} to {high}")
        return number

    return read


def _category_reader(feature):
    # Keys keep their type: the text "1" and the integer 1 are different categories.
    codes = {(type(key), key): float(code) for key, code in feature["codes"].items()}
    rule = feature.get("unknown", "reject")

    def read(value):
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) not in {kind for kind, _ in codes}:
            raise Refused("of another type than every code of this category")
        code = codes.get((type(value), value))
        if code is not None:
            return code
        if rule == "reject":
            raise Refused("no code for this category")
        return math.nan if rule == "nan" else float(rule["code"])

    return read


RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[-+]\d\d:\d\d)$", re.ASCII)


def _instant(value, form):
    if form == "rfc3339":
        if type(value) is not str or not RFC3339.match(value):
            raise Refused("not a time as RFC 3339 writes it")
        try:
            return datetime.fromisoformat(value).astimezone(timezone.utc)
        except (ValueError, OverflowError) as reason:
            raise Refused(f"no time: {reason}") from None
    try:
        return EPOCH + timedelta(**{"seconds" if form == "unix_s" else "milliseconds": int(_integer(value))})
    except OverflowError:
        raise Refused("a time outside of the years 1 to 9999") from None


PARTS = {
    "hour": lambda t: t.hour,
    "minute": lambda t: t.minute,
    "weekday": lambda t: t.weekday(),
    "day": lambda t: t.day,
    "month": lambda t: t.month,
    "yearday": lambda t: t.timetuple().tm_yday,
    "hour_of_week": lambda t: t.weekday() * 24 + t.hour,
}


def _time_reader(form, part, zone):
    pick = PARTS[part]
    return lambda value: float(pick(_instant(value, form).astimezone(zone)))

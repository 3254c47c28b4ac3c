-- +goose Up
-- Times are UTC: published_at as 2026-01-05T10:11:12.345Z, so that it sorts; event_time with as many digits as it has.
CREATE TABLE verdicts (
    topic            TEXT    NOT NULL,
    partition        INTEGER NOT NULL,
    "offset"         INTEGER NOT NULL,
    published_at     TEXT    NOT NULL,
    transaction_id   TEXT    NOT NULL,
    decision         TEXT    NOT NULL,
    probability      REAL    NOT NULL,
    margin           REAL    NOT NULL,
    bundle_name      TEXT    NOT NULL,
    bundle_version   TEXT    NOT NULL,
    bundle_digest    TEXT    NOT NULL,
    event_time       TEXT    NOT NULL,
    source_topic     TEXT    NOT NULL,
    source_partition INTEGER NOT NULL,
    source_offset    INTEGER NOT NULL,
    record_key       BLOB,
    payload          TEXT    NOT NULL,
    PRIMARY KEY (topic, partition, "offset", published_at)
) STRICT;

CREATE INDEX verdicts_transaction_id ON verdicts (transaction_id);
CREATE INDEX verdicts_source ON verdicts (source_topic, source_partition, source_offset);
CREATE INDEX verdicts_published_at ON verdicts (published_at);

CREATE TABLE audit_rejects (
    topic        TEXT    NOT NULL,
    partition    INTEGER NOT NULL,
    "offset"     INTEGER NOT NULL,
    published_at TEXT    NOT NULL,
    record_key   BLOB,
    record_value BLOB,
    reason       TEXT    NOT NULL,
    PRIMARY KEY (topic, partition, "offset")
) STRICT;

CREATE TABLE audit_offsets (
    topic       TEXT    NOT NULL,
    partition   INTEGER NOT NULL,
    next_offset INTEGER NOT NULL CHECK (next_offset >= 0),
    PRIMARY KEY (topic, partition)
) STRICT;

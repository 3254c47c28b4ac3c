-- +goose Up
CREATE TABLE verdicts (
    topic            text             NOT NULL, -- where the verdict stands: topic, partition, offset
    partition        integer          NOT NULL,
    "offset"         bigint           NOT NULL,
    published_at     timestamptz      NOT NULL, -- timestamp of the Kafka record, which is that of the transaction's record
    transaction_id   text             NOT NULL,
    decision         text             NOT NULL,
    probability      double precision NOT NULL,
    margin           double precision NOT NULL,
    bundle_name      text             NOT NULL,
    bundle_version   text             NOT NULL,
    bundle_digest    text             NOT NULL,
    event_time       timestamptz      NOT NULL,
    source_topic     text             NOT NULL, -- where the transaction stands
    source_partition integer          NOT NULL,
    source_offset    bigint           NOT NULL,
    record_key       bytea,
    payload          json             NOT NULL, -- json, not jsonb: it keeps the text byte for byte
    PRIMARY KEY (topic, partition, "offset", published_at)
) PARTITION BY RANGE (published_at);

CREATE INDEX verdicts_transaction_id ON verdicts (transaction_id);
CREATE INDEX verdicts_source ON verdicts (source_topic, source_partition, source_offset);

-- Rows of days that have no partition (yet).
CREATE TABLE verdicts_default PARTITION OF verdicts DEFAULT;

CREATE TABLE audit_rejects (
    topic        text        NOT NULL,
    partition    integer     NOT NULL,
    "offset"     bigint      NOT NULL,
    published_at timestamptz NOT NULL,
    record_key   bytea,
    record_value bytea,
    reason       text        NOT NULL,
    PRIMARY KEY (topic, partition, "offset")
);

CREATE TABLE audit_offsets (
    topic       text    NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint  NOT NULL CHECK (next_offset >= 0),
    PRIMARY KEY (topic, partition)
);

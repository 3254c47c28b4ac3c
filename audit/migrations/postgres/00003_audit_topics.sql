-- +goose Up
-- Which topic the offsets are of: one that was made anew under the same name begins again at 0, and its first verdicts would pass for audited.
CREATE TABLE audit_topics (
    topic    text PRIMARY KEY,
    topic_id text NOT NULL
);

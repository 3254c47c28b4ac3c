-- +goose Up
-- The latest verdicts, page by page. Rows come nearly in this order, so the index grows at its end.
CREATE INDEX verdicts_published_at ON verdicts (published_at);

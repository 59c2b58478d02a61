-- serves: 2

-- How often something has happened. Keys are derived under a secret: they name nobody.
CREATE TABLE rate_limits (
    key BYTEA PRIMARY KEY,
    count BIGINT NOT NULL CHECK (count BETWEEN 1 AND 4294967295),
    until TIMESTAMPTZ NOT NULL,
    lapses_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX rate_limits_lapses_at ON rate_limits (lapses_at);

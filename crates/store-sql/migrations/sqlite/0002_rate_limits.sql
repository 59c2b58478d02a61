-- serves: 2

-- How often something has happened. Keys are derived under a secret: they name nobody.
CREATE TABLE rate_limits (
    key BLOB NOT NULL PRIMARY KEY,
    count INTEGER NOT NULL CHECK (count BETWEEN 1 AND 4294967295),
    until INTEGER NOT NULL,
    lapses_at INTEGER NOT NULL
) STRICT;
CREATE INDEX rate_limits_lapses_at ON rate_limits (lapses_at);

-- serves: 4

-- Keys of services, such as APIs that follow what is revoked. A key itself is 32 random bytes and stored nowhere; `hash`
-- is its SHA-256.
CREATE TABLE service_keys (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE UNIQUE INDEX service_keys_hash ON service_keys (hash);
CREATE UNIQUE INDEX service_keys_name ON service_keys (name) WHERE revoked_at IS NULL;

-- serves: 4

-- Keys of services, such as APIs that follow what is revoked. A key itself is 32 random bytes and stored nowhere; `hash`
-- is its SHA-256.
CREATE TABLE service_keys (
    id UUID PRIMARY KEY,
    name TEXT NOT NULL,
    hash BYTEA NOT NULL,
    scopes JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ
);
CREATE UNIQUE INDEX service_keys_hash ON service_keys (hash);
CREATE UNIQUE INDEX service_keys_name ON service_keys (name) WHERE revoked_at IS NULL;

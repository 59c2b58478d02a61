-- serves: 3

-- A version without the log, at work beside this one, leaves the salt to the default.
ALTER TABLE users ADD COLUMN audit_salt BYTEA DEFAULT decode(replace(gen_random_uuid()::text, '-', ''), 'hex');

-- The event that ended it.
ALTER TABLE sessions ADD COLUMN ended_by UUID;
ALTER TABLE revocations ADD COLUMN event UUID;

-- Sessions opened before this moment have ended, by this event.
ALTER TABLE installation ADD COLUMN sessions_valid_from TIMESTAMPTZ;
ALTER TABLE installation ADD COLUMN sessions_ended_by UUID;

CREATE TABLE audit_events (
    id UUID PRIMARY KEY,
    at TIMESTAMPTZ NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT,
    by TEXT NOT NULL,
    user_id UUID,
    session_id UUID,
    -- Text, since a JSONB does not keep what the MAC is over.
    details TEXT NOT NULL,
    personal BYTEA NOT NULL,
    address_tag BYTEA,
    mac BYTEA NOT NULL,
    -- Both are given within about a second.
    position BIGINT,
    hash BYTEA,
    CHECK ((position IS NULL) = (hash IS NULL))
);
CREATE UNIQUE INDEX audit_events_position ON audit_events (position);
CREATE INDEX audit_events_unsealed ON audit_events (id) WHERE position IS NULL;
CREATE INDEX audit_events_at ON audit_events (at, id);
CREATE INDEX audit_events_kind ON audit_events (kind, at, id);
CREATE INDEX audit_events_user ON audit_events (user_id, at, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_events_session ON audit_events (session_id, at, id) WHERE session_id IS NOT NULL;
CREATE INDEX audit_events_address ON audit_events (address_tag, at, id) WHERE address_tag IS NOT NULL;

-- What the server has signed about the chain: one head, at most one cut, and checkpoints.
CREATE TABLE audit_marks (
    kind TEXT NOT NULL CHECK (kind IN ('head', 'checkpoint', 'cut')),
    -- 0 for the head and the cut, of which there is one each; a checkpoint's position.
    slot BIGINT NOT NULL,
    position BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    signature BYTEA NOT NULL,
    PRIMARY KEY (kind, slot)
);

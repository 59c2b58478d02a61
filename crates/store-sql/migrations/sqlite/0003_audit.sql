-- serves: 3

ALTER TABLE users ADD COLUMN audit_salt BLOB;
UPDATE users SET audit_salt = randomblob(16);

-- The event that ended it.
ALTER TABLE sessions ADD COLUMN ended_by BLOB;
ALTER TABLE revocations ADD COLUMN event BLOB;

-- Sessions opened before this moment have ended, by this event.
ALTER TABLE installation ADD COLUMN sessions_valid_from INTEGER;
ALTER TABLE installation ADD COLUMN sessions_ended_by BLOB;

CREATE TABLE audit_events (
    id BLOB NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT,
    by TEXT NOT NULL,
    user_id BLOB,
    session_id BLOB,
    details TEXT NOT NULL,
    personal BLOB NOT NULL,
    address_tag BLOB,
    mac BLOB NOT NULL,
    -- Both are given within about a second.
    position INTEGER,
    hash BLOB,
    CHECK ((position IS NULL) = (hash IS NULL))
) STRICT;
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
    slot INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    at INTEGER NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (kind, slot)
) STRICT;

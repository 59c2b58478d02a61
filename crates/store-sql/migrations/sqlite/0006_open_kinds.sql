-- serves: 6

-- A newer version may announce kinds that this one does not know, and passes over. What is known keeps its form. SQLite
-- cannot change a check, so the table is made anew; it holds about two hours of announcements, so that takes a moment.
CREATE TABLE new_revocations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    subject BLOB,
    not_before INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    event BLOB,
    CONSTRAINT revocations_known CHECK (
        kind NOT IN ('session', 'user', 'user_changed', 'keys_changed')
        OR ((subject IS NULL) = (kind = 'keys_changed') AND (not_before IS NOT NULL) = (kind = 'user'))
    )
) STRICT;
-- Numbers go on where they were, also where the table is empty.
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_revocations', seq FROM sqlite_sequence WHERE name = 'revocations';
INSERT INTO new_revocations (seq, kind, subject, not_before, created_at, expires_at, event)
    SELECT seq, kind, subject, not_before, created_at, expires_at, event FROM revocations;
DROP TABLE revocations;
ALTER TABLE new_revocations RENAME TO revocations;
CREATE INDEX revocations_expires_at ON revocations (expires_at);

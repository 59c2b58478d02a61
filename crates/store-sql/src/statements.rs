//! Every statement, once, in the SQL that SQLite and PostgreSQL share: `$1` placeholders,
//! `RETURNING`, `ON CONFLICT`, conditional `UPDATE`. A test prepares each of them on both.

macro_rules! user {
    () => {
        "users.id, users.email, users.email_verified_at, users.name, users.roles, \
         users.disabled_at, users.created_at, users.updated_at, users.last_sign_in_at"
    };
}

macro_rules! session {
    () => {
        "sessions.id, sessions.user_id, sessions.generation, sessions.rotated_at, \
         sessions.idle_expires_at, sessions.expires_at, \
         COALESCE(sessions.revoke_reason, (SELECT 'emergency' FROM installation \
             WHERE sessions_valid_from > sessions.created_at)), \
         sessions.created_at, sessions.last_used_at, sessions.ip, sessions.user_agent, \
         sessions.amr, sessions.auth_time, \
         COALESCE(sessions.ended_by, (SELECT sessions_ended_by FROM installation \
             WHERE sessions_valid_from > sessions.created_at))"
    };
}

/// A session that was ended neither by itself nor with everybody's.
macro_rules! not_ended {
    () => {
        "revoked_at IS NULL AND NOT EXISTS (SELECT 1 FROM installation \
         WHERE sessions_valid_from > sessions.created_at)"
    };
}

macro_rules! event {
    () => {
        "audit_events.id, audit_events.at, audit_events.kind, audit_events.outcome, \
         audit_events.reason, audit_events.by, audit_events.user_id, audit_events.session_id, \
         audit_events.details, audit_events.personal, audit_events.address_tag, audit_events.mac"
    };
}

/// Events as they are listed. `$10` is what the list is about, so that its index is used; the others
/// narrow it down where they are set.
macro_rules! events {
    ($about:literal) => {
        concat!(
            "SELECT ",
            event!(),
            ", audit_events.position, users.audit_salt FROM audit_events \
             LEFT JOIN users ON users.id = audit_events.user_id WHERE ",
            $about,
            "(user_id = $1 OR $1 IS NULL) AND (session_id = $2 OR $2 IS NULL) \
             AND (kind = $3 OR $3 IS NULL) AND (address_tag = $4 OR $4 IS NULL) \
             AND at >= $5 AND at < $6 AND (at, audit_events.id) < ($7, $8) \
             ORDER BY at DESC, audit_events.id DESC LIMIT $9"
        )
    };
}

/// How many rotations are written at once.
pub(crate) const ROTATIONS: usize = 32;

/// Changes several sessions, each from four values: id, generation, rotated_at, idle_expires_at. What the columns
/// are in `ELSE` tells PostgreSQL the types; no row gets there.
macro_rules! rotate {
    ($($id:literal $generation:literal $rotated_at:literal $idle_expires_at:literal;)+) => {
        concat!(
            "UPDATE sessions SET generation = CASE id",
            $(" WHEN $", $id, " THEN $", $generation,)+
            " ELSE generation END, rotated_at = CASE id",
            $(" WHEN $", $id, " THEN $", $rotated_at,)+
            " ELSE rotated_at END, last_used_at = CASE id",
            $(" WHEN $", $id, " THEN $", $rotated_at,)+
            " ELSE last_used_at END, idle_expires_at = CASE id",
            $(" WHEN $", $id, " THEN $", $idle_expires_at,)+
            " ELSE idle_expires_at END WHERE id IN (",
            $("$", $id, ", ",)+
            "$1) AND ",
            not_ended!(),
            " AND generation < CASE id",
            $(" WHEN $", $id, " THEN $", $generation,)+
            " ELSE generation END RETURNING id"
        )
    };
}

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $($part:expr),+;)+) => {
        $($(#[$doc])* pub(crate) const $name: &str = concat!($($part),+);)+

        /// All of them, by name.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

statements! {
    PING = "SELECT id FROM installation";

    // Users.

    USER_CREATE = "INSERT INTO users (id, email, email_key, email_verified_at, password_hash, name, \
         roles, created_at, updated_at, audit_salt) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9) \
         ON CONFLICT (email_key) DO NOTHING RETURNING ", user!();
    USER_BY_ID = "SELECT ", user!(), " FROM users WHERE id = $1";
    USER_BY_EMAIL = "SELECT ", user!(), " FROM users WHERE email_key = $1";
    CREDENTIALS_BY_ID = "SELECT ", user!(), ", users.password_hash FROM users WHERE id = $1";
    CREDENTIALS_BY_EMAIL =
        "SELECT ", user!(), ", users.password_hash FROM users WHERE email_key = $1";
    USERS_AFTER = "SELECT ", user!(), " FROM users WHERE id > $1 ORDER BY id LIMIT $2";
    /// Locks the user's row until the transaction ends: see the crate's documentation.
    USER_LOCK = "UPDATE users SET updated_at = updated_at WHERE id = $1 RETURNING id, password_hash, audit_salt, roles";
    /// The same, for the user that a session belongs to.
    USER_LOCK_BY_SESSION = "UPDATE users SET updated_at = updated_at \
         WHERE id = (SELECT user_id FROM sessions WHERE sessions.id = $1) RETURNING id, password_hash, audit_salt, roles";
    /// `$2`: 1 changes the name. `$7`: 1 disables the account, 2 enables it.
    USER_CHANGE = "UPDATE users SET \
         name = CASE WHEN $2 = 1 THEN $3 ELSE name END, \
         roles = COALESCE($4, roles), \
         email = COALESCE($5, email), \
         email_key = COALESCE($6, email_key), \
         email_verified_at = CASE WHEN $6 IS NULL THEN email_verified_at END, \
         disabled_at = CASE WHEN $7 = 0 THEN disabled_at \
                            WHEN $7 = 1 THEN COALESCE(disabled_at, $8) END, \
         updated_at = $8 \
         WHERE id = $1 RETURNING ", user!();
    USER_SET_PASSWORD = "UPDATE users SET password_hash = $2 WHERE id = $1 RETURNING id";
    USER_DELETE = "DELETE FROM users WHERE id = $1 RETURNING id";
    /// The proof of a sign-in and its traces in one step.
    USER_SIGN_IN = "UPDATE users SET last_sign_in_at = $3, \
         password_hash = COALESCE($4, password_hash) \
         WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL RETURNING ", user!(), ", users.audit_salt";

    // Sessions.

    SESSION_OPEN = "INSERT INTO sessions (id, user_id, generation, rotated_at, created_at, \
         last_used_at, idle_expires_at, expires_at, ip, user_agent, amr, auth_time) \
         VALUES ($1, $2, 0, $3, $3, $3, $4, $5, $6, $7, $8, $3) RETURNING ", session!();
    SESSION_BY_ID = "SELECT ", session!(), " FROM sessions WHERE id = $1";
    SESSION_WITH_USER = "SELECT ", session!(), ", ", user!(), " FROM sessions \
         JOIN users ON users.id = sessions.user_id WHERE sessions.id = $1";
    SESSIONS_LIVE = "SELECT ", session!(), " FROM sessions WHERE user_id = $1 \
         AND ", not_ended!(), " AND idle_expires_at > $2 AND expires_at > $2 \
         AND (created_at, id) < ($3, $4) ORDER BY created_at DESC, id DESC LIMIT $5";
    /// Happens only while nobody else has rotated or ended the session since it was read.
    SESSION_ROTATE = "UPDATE sessions SET generation = $3, rotated_at = $4, last_used_at = $4, \
         idle_expires_at = $5 WHERE id = $1 AND generation = $2 AND ", not_ended!(), " RETURNING id";
    /// Rotations of [`ROTATIONS`] sessions that were acknowledged before they came here. Happens only
    /// where it moves a live session on.
    SESSIONS_ROTATE = rotate! {
        1 2 3 4; 5 6 7 8; 9 10 11 12; 13 14 15 16;
        17 18 19 20; 21 22 23 24; 25 26 27 28; 29 30 31 32;
        33 34 35 36; 37 38 39 40; 41 42 43 44; 45 46 47 48;
        49 50 51 52; 53 54 55 56; 57 58 59 60; 61 62 63 64;
        65 66 67 68; 69 70 71 72; 73 74 75 76; 77 78 79 80;
        81 82 83 84; 85 86 87 88; 89 90 91 92; 93 94 95 96;
        97 98 99 100; 101 102 103 104; 105 106 107 108; 109 110 111 112;
        113 114 115 116; 117 118 119 120; 121 122 123 124; 125 126 127 128;
    };
    /// Expired ones among them: another instance's clock may be behind.
    SESSIONS_NOT_ENDED = "SELECT id FROM sessions WHERE user_id = $1 AND ", not_ended!();
    SESSION_IS_LIVE = "SELECT id FROM sessions WHERE id = $1 AND user_id = $2 \
         AND ", not_ended!(), " AND idle_expires_at > $3 AND expires_at > $3";
    SESSION_END = "UPDATE sessions SET revoked_at = $2, revoke_reason = $3, ended_by = $4 \
         WHERE id = $1 AND ", not_ended!(), " RETURNING id";
    /// The same sessions as `SESSIONS_ANNOUNCE`: no other transaction ends or opens any while this
    /// one holds the lock of the user's row.
    SESSIONS_END = "UPDATE sessions SET revoked_at = $3, revoke_reason = $4, ended_by = $5 \
         WHERE user_id = $1 AND id <> $2 AND ", not_ended!(), " AND expires_at > $3 RETURNING id";

    /// The bound on how many keeps the transaction short where there are very many.
    SESSIONS_END_TOO_MANY = "UPDATE sessions SET revoked_at = $2, revoke_reason = $3, ended_by = $6 \
         WHERE id IN (SELECT id FROM sessions WHERE user_id = $1 AND id <> $4 AND ", not_ended!(), " \
         AND idle_expires_at > $2 AND expires_at > $2 \
         ORDER BY created_at DESC, id DESC LIMIT 100 OFFSET $5) RETURNING id";

    // Announcements.

    ANNOUNCE = "INSERT INTO revocations (kind, subject, not_before, created_at, expires_at, event) \
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING seq";
    SESSIONS_ANNOUNCE = "INSERT INTO revocations (kind, subject, created_at, expires_at, event) \
         SELECT 'session', id, $3, $4, $5 FROM sessions \
         WHERE user_id = $1 AND id <> $2 AND ", not_ended!(), " AND expires_at > $3 \
         RETURNING subject";
    ANNOUNCEMENTS_AFTER = "SELECT seq, kind, subject, not_before, expires_at, event FROM revocations \
         WHERE seq > $1 AND expires_at > $2 ORDER BY seq";

    // Keys.

    KEYS = "SELECT kid, algorithm, public_jwk, sealed_private, created_at, activates_at, expires_at \
         FROM signing_keys WHERE expires_at IS NULL OR expires_at > $1 ORDER BY created_at, kid";
    KEY_INSERT = "INSERT INTO signing_keys (kid, algorithm, public_jwk, sealed_private, \
         created_at, activates_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING kid";
    /// Only keys without a successor: the others keep the end that they were given.
    KEYS_EXPIRE = "UPDATE signing_keys SET expires_at = $1 WHERE expires_at IS NULL RETURNING kid";
    KEYS_DELETE = "DELETE FROM signing_keys RETURNING kid";
    SESSIONS_END_EVERYBODYS = "UPDATE installation SET sessions_valid_from = \
         CASE WHEN sessions_valid_from > $1 THEN sessions_valid_from ELSE $1 END, \
         sessions_ended_by = $2 RETURNING id";
    /// Locks the row of the installation, and makes it if it is not there.
    INSTALLATION_LOCK = "INSERT INTO installation (id, created_at, updated_at) VALUES (1, $1, $1) \
         ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at RETURNING id";
    SECRET_FINGERPRINT = "SELECT secret_fingerprint FROM installation";
    SECRET_BIND = "INSERT INTO installation (id, secret_fingerprint, created_at, updated_at) \
         VALUES (1, $1, $2, $2) ON CONFLICT (id) DO UPDATE SET \
         secret_fingerprint = COALESCE(installation.secret_fingerprint, excluded.secret_fingerprint), \
         updated_at = excluded.updated_at RETURNING secret_fingerprint";

    // Housekeeping.

    /// Happens while nobody else holds the lease.
    LEASE_TAKE = "INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3) \
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at \
         WHERE leases.holder = excluded.holder OR leases.expires_at <= $4 RETURNING name";
    SESSIONS_PURGE_EXPIRED = "DELETE FROM sessions WHERE id IN \
         (SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2) RETURNING id";
    SESSIONS_PURGE_ENDED = "DELETE FROM sessions WHERE id IN \
         (SELECT id FROM sessions WHERE revoked_at < $1 ORDER BY revoked_at LIMIT $2) RETURNING id";
    ANNOUNCEMENTS_PURGE = "DELETE FROM revocations WHERE seq IN \
         (SELECT seq FROM revocations WHERE expires_at < $1 ORDER BY expires_at LIMIT $2) RETURNING seq";
    KEYS_PURGE = "DELETE FROM signing_keys WHERE expires_at < $1 RETURNING kid";

    // Service keys.

    SERVICE_KEYS = "SELECT id, name, hash, scopes, created_at, expires_at, revoked_at FROM service_keys \
         ORDER BY created_at, id";
    SERVICE_KEY_INSERT = "INSERT INTO service_keys (id, name, hash, scopes, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING id";
    SERVICE_KEY_REVOKE = "UPDATE service_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL \
         RETURNING id";

    // Limits.

    LIMIT = "SELECT count, until, lapses_at FROM rate_limits WHERE key = $1";
    LIMIT_BEGIN = "INSERT INTO rate_limits (key, count, until, lapses_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (key) DO NOTHING RETURNING key";
    /// Happens only while the tally is as it was read.
    LIMIT_CHANGE = "UPDATE rate_limits SET count = $5, until = $6, lapses_at = $7 \
         WHERE key = $1 AND count = $2 AND until = $3 AND lapses_at = $4 RETURNING key";
    LIMIT_END = "DELETE FROM rate_limits \
         WHERE key = $1 AND count = $2 AND until = $3 AND lapses_at = $4 RETURNING key";
    LIMITS_REMOVE_LAPSED = "DELETE FROM rate_limits WHERE key IN ( \
         SELECT key FROM rate_limits WHERE lapses_at <= $1 LIMIT $2) AND lapses_at <= $1 RETURNING key";

    // Copies.

    COPY_EPOCH = "SELECT installation, epoch FROM session_copies";
    COPY_EPOCH_BEGIN = "INSERT INTO session_copies (id, installation, epoch) VALUES (1, $1, 1) \
         ON CONFLICT (id) DO NOTHING RETURNING id";
    // By two: an even number says something that does not change by this.
    COPY_EPOCH_RAISE = "UPDATE session_copies SET epoch = epoch + 2 RETURNING id";
    COPY_EPOCH_NEXT = "UPDATE session_copies SET epoch = $2 WHERE epoch = $1 RETURNING id";

    // The audit log. What writes many rows at once is in the drivers.

    EVENT = "SELECT ", event!(), ", audit_events.position, users.audit_salt FROM audit_events \
         LEFT JOIN users ON users.id = audit_events.user_id WHERE audit_events.id = $1";
    EVENTS = events!("");
    EVENTS_OF_USER = events!("user_id = $10 AND ");
    EVENTS_OF_SESSION = events!("session_id = $10 AND ");
    EVENTS_OF_KIND = events!("kind = $10 AND ");
    EVENTS_FROM_ADDRESS = events!("address_tag = $10 AND ");
    EVENTS_UNSEALED = "SELECT ", event!(), " FROM audit_events WHERE position IS NULL \
         AND id > $1 ORDER BY id LIMIT $2";
    EVENTS_SEALED = "SELECT ", event!(), ", audit_events.position, audit_events.hash, users.audit_salt \
         FROM audit_events LEFT JOIN users ON users.id = audit_events.user_id WHERE position > $1 ORDER BY position LIMIT $2";
    EVENT_STRAY = "SELECT id FROM audit_events WHERE position <= $1 ORDER BY position LIMIT 1";
    /// An erased user's addresses are not found any more.
    EVENTS_FORGET_ADDRESSES = "UPDATE audit_events SET address_tag = NULL WHERE id IN ( \
         SELECT id FROM audit_events WHERE user_id = $1 AND address_tag IS NOT NULL LIMIT $2) \
         RETURNING id";
    EVENTS_CUT = "DELETE FROM audit_events WHERE position <= $1 RETURNING id";
    MARKS_ENDS = "SELECT kind, position, hash, at, signature FROM audit_marks \
         WHERE kind IN ('head', 'cut')";
    CHECKPOINTS = "SELECT kind, position, hash, at, signature FROM audit_marks \
         WHERE kind = 'checkpoint' AND slot > $1 ORDER BY slot LIMIT $2";
    CHECKPOINTS_CUT = "DELETE FROM audit_marks WHERE kind = 'checkpoint' AND slot <= $1 RETURNING slot";
    MARK_ADD = "INSERT INTO audit_marks (kind, slot, position, hash, at, signature) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (kind, slot) DO NOTHING RETURNING slot";
    /// Happens only while the head or the cut is as it was read.
    MARK_MOVE = "UPDATE audit_marks SET position = $2, hash = $3, at = $4, signature = $5 \
         WHERE kind = $1 AND slot = 0 AND position = $6 AND hash = $7 RETURNING slot";

    // Moving to another database.

    MOVE = "SELECT copy, holder, state, other, closed_until, progress FROM moves";
    MOVE_BEGIN = "INSERT INTO moves (id, copy, holder, state, other) VALUES (1, $1, $2, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET copy = excluded.copy, holder = excluded.holder, state = excluded.state, \
         other = excluded.other, closed_until = NULL, progress = NULL RETURNING id";
    /// An earlier process that copies finds itself replaced.
    MOVE_TAKE = "UPDATE moves SET holder = $1 RETURNING copy, holder, state, other, closed_until, progress";
    /// These happen only while the holder is still this one.
    MOVE_ON = "UPDATE moves SET state = $2, closed_until = $3 WHERE holder = $1 RETURNING id";
    MOVE_PROGRESS = "UPDATE moves SET state = $2, progress = $3 WHERE holder = $1 RETURNING id";
    /// Instances with Redis take the database instead.
    COPY_EPOCH_LEAVE = "UPDATE session_copies SET epoch = epoch + 1 WHERE epoch % 2 = 1 RETURNING id";

    // The schema.

    MIGRATIONS_APPLIED = "SELECT number, name, sql FROM schema_migrations ORDER BY number";
    MIGRATION_NOTE = "INSERT INTO schema_migrations (number, name, sql) VALUES ($1, $2, $3)";
}

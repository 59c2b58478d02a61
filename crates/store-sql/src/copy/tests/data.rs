//! A source with rows of every kind, and somebody who goes on changing them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::SqlStore;
use crate::driver::Value;

/// Numbers that are the same in every run.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Statements that change something of everything that is copied. `$1` is a number that was never used; `$2` chooses rows.
const CHANGES: [&str; 18] = [
    "INSERT INTO users (id, email, email_key, roles, created_at, updated_at, audit_salt, name) \
        VALUES (randomblob(16), 'U' || $1, 'u' || $1, '[\"a\", \"b\"]', $1, $1 + $2, randomblob(16), 'ü\"'',\\')",
    "INSERT INTO users (id, email, email_key, roles, created_at, updated_at) \
        VALUES (randomblob(16), 'V' || $1, 'v' || $1, '[]', -$1, $2)",
    "UPDATE users SET last_sign_in_at = $1, password_hash = 'h' || $2 WHERE id IN \
        (SELECT id FROM users LIMIT 2 OFFSET $2)",
    "UPDATE users SET disabled_at = $1, email_verified_at = $2, name = NULL WHERE id IN \
        (SELECT id FROM users LIMIT 1 OFFSET $2)",
    "DELETE FROM users WHERE id IN (SELECT id FROM users LIMIT $1 % 2 OFFSET $2)",
    "INSERT INTO sessions (id, user_id, generation, rotated_at, created_at, last_used_at, idle_expires_at, expires_at, \
        ip, user_agent, amr, auth_time) SELECT randomblob(16), id, $2, $1, $1, $1, $1, $1 + $2, '::1', 'agent ' || $1, \
        '[\"pwd\"]', $1 FROM users LIMIT 3 OFFSET $2",
    "UPDATE sessions SET generation = generation + 1, rotated_at = $1 WHERE id IN \
        (SELECT id FROM sessions LIMIT 5 OFFSET $2)",
    "UPDATE sessions SET revoked_at = $1, revoke_reason = 'logout', ended_by = randomblob(16) WHERE id IN \
        (SELECT id FROM sessions LIMIT 1 OFFSET $2)",
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions LIMIT 1 OFFSET $1 % 50 + $2)",
    "INSERT INTO revocations (kind, subject, created_at, expires_at, event) \
        VALUES ('session', randomblob(16), $1, $1 + $2, randomblob(16))",
    "INSERT INTO revocations (kind, created_at, expires_at) VALUES ('keys_changed', $1, $2)",
    "DELETE FROM revocations WHERE seq IN (SELECT seq FROM revocations LIMIT 1 OFFSET $1 % 5 + $2)",
    "INSERT INTO audit_events (id, at, kind, outcome, by, details, personal, mac) \
        VALUES (randomblob(16), $1, 'login.failed', 'failure', 'anybody', '{\"a\":  ' || $2 || '}', randomblob(20), randomblob(32))",
    "UPDATE audit_events SET position = (SELECT coalesce(max(position), 0) + 1 FROM audit_events), hash = randomblob(32) \
        WHERE id = (SELECT id FROM audit_events WHERE position IS NULL AND $1 > $2 LIMIT 1)",
    "UPDATE audit_events SET address_tag = NULL WHERE id IN (SELECT id FROM audit_events LIMIT 1 OFFSET $1 % 3 + $2)",
    "INSERT INTO audit_marks (kind, slot, position, hash, at, signature) \
        VALUES ('checkpoint', $1, $1, randomblob(32), $2, randomblob(64))",
    "INSERT INTO signing_keys (kid, algorithm, public_jwk, sealed_private, created_at, activates_at) \
        VALUES (hex(randomblob(8)), 'EdDSA', '{\"n\":  ' || $2 || '}', randomblob(50), $1, $1)",
    "INSERT INTO service_keys (id, name, hash, scopes, created_at, expires_at) \
        VALUES (randomblob(16), 'k' || $1, randomblob(32), '[\"feed\"]', $1, $2)",
];

/// Two users exchange their addresses, in the order that is hardest to follow.
const EXCHANGE: [&str; 3] = [
    "UPDATE users SET email_key = 'free ' || $1 WHERE id = (SELECT min(id) FROM users WHERE $2 >= 0)",
    "UPDATE users SET email_key = 'was ' || $1 || ' ' || $2 WHERE id = (SELECT max(id) FROM users)",
    "UPDATE users SET email_key = 'free2 ' || $1 WHERE id = (SELECT min(id) FROM users WHERE $2 >= 0)",
];

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// Makes one change, or none where there is nothing to change.
pub(super) async fn change(store: &SqlStore, dice: &mut Dice) -> bool {
    let kind = dice.throw(CHANGES.len() as u64 + 1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let values = || vec![Value::Int(number as i64), Value::Int((number % 40) as i64)];
    let statements = match CHANGES.get(kind as usize) {
        Some(one) => std::slice::from_ref(one),
        None => &EXCHANGE[..],
    };
    for sql in statements {
        if store.db.write(sql, values()).await.is_err() {
            return false;
        }
    }
    true
}

/// Makes an installation that has the row which every server makes.
pub(super) async fn fill(store: &SqlStore, changes: u64) {
    let row = "INSERT INTO installation (id, secret_fingerprint, created_at, updated_at, sessions_valid_from) \
        VALUES (1, x'0102', 5, 6, 7)";
    store.db.write(row, vec![]).await.unwrap();
    let mut dice = Dice::new(changes);
    for _ in 0..changes {
        assert!(change(store, &mut dice).await);
    }
}

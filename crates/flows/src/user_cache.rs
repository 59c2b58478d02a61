//! Users in memory, so that reading one's own profile costs no query.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use countersign_domain::UserId;
use countersign_store::{StoreError, User};
use quick_cache::sync::Cache;

/// A bounded cache that announcements keep true. It holds no password hashes.
pub(crate) struct UserCache {
    users: Cache<UserId, Arc<User>>,
    /// Counts forgettings: a user that was read before one may be stale, and is not kept.
    forgotten: AtomicU64,
}

impl UserCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            users: Cache::new(capacity),
            forgotten: AtomicU64::new(0),
        }
    }

    /// The user, from memory or else by `load`.
    pub(crate) async fn get_or_load<F>(
        &self,
        id: UserId,
        load: impl FnOnce() -> F,
    ) -> Result<Option<Arc<User>>, StoreError>
    where
        F: Future<Output = Result<Option<User>, StoreError>>,
    {
        if let Some(user) = self.users.get(&id) {
            return Ok(Some(user));
        }
        let before = self.forgotten.load(Ordering::SeqCst);
        let Some(user) = load().await?.map(Arc::new) else {
            return Ok(None);
        };
        self.users.insert(id, Arc::clone(&user));
        if self.forgotten.load(Ordering::SeqCst) != before {
            // Somebody changed some user while this one was read; it may have been this one.
            self.users.remove(&id);
        }
        Ok(Some(user))
    }

    pub(crate) fn forget(&self, id: UserId) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.users.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn user(id: UserId, name: &str) -> User {
        User {
            id,
            email: "a@example.org".to_owned(),
            email_verified_at: None,
            name: Some(name.to_owned()),
            roles: Vec::new(),
            disabled_at: None,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            last_sign_in_at: None,
        }
    }

    #[tokio::test]
    async fn a_user_read_before_a_change_is_not_kept() {
        let cache = UserCache::new(10);
        let id = UserId::new(Timestamp::UNIX_EPOCH, [1; 10]);
        // The change arrives between the read and its return.
        let stale = cache.get_or_load(id, || async {
            cache.forget(id);
            Ok(Some(user(id, "old")))
        });
        assert!(stale.await.unwrap().is_some());
        let fresh = cache.get_or_load(id, || async { Ok(Some(user(id, "new"))) });
        assert_eq!(fresh.await.unwrap().unwrap().name.as_deref(), Some("new"));
        let cached = cache.get_or_load(id, || async { panic!("is in memory") });
        assert_eq!(cached.await.unwrap().unwrap().name.as_deref(), Some("new"));
    }
}

//! What a copy of the sessions elsewhere relies on.

mod support;

use std::sync::Arc;

use countersign_domain::SessionId;
use countersign_store::contract::kit::{self, at};
use countersign_store::{Authority, Rotation, Session, Sessions};
use countersign_store_sql::SqlStore;
use support::Fresh;
use uuid::Uuid;

async fn both() -> [(SqlStore, Fresh); 2] {
    let mut stores = Vec::new();
    for fresh in [support::sqlite(), support::postgres().await] {
        let store = fresh.connect().await;
        store.migrate().await.unwrap();
        stores.push((store, fresh));
    }
    stores.try_into().unwrap_or_else(|_| unreachable!())
}

fn rotation(session: SessionId, generation: u32) -> Rotation {
    let second = i64::from(generation);
    Rotation {
        session,
        generation,
        rotated_at: at(second),
        idle_expires_at: at(second + 1000),
    }
}

async fn stored(store: &SqlStore, session: SessionId) -> Session {
    store.session(session).await.unwrap().unwrap()
}

#[tokio::test]
async fn rotations_move_live_sessions_on_and_nothing_else() {
    for (store, _fresh) in both().await {
        let user = kit::user(&store).await;
        let mut sessions = Vec::new();
        // More than one statement takes, and not a multiple of it.
        for _ in 0..77 {
            sessions.push(kit::open(&store, user.id, at(0)).await);
        }
        let ended = kit::open(&store, user.id, at(0)).await;
        kit::logout(&store, ended.id, at(1)).await;
        let ended = stored(&store, ended.id).await;
        let mut rotations: Vec<_> = sessions
            .iter()
            .zip(5..)
            .collect::<Vec<_>>()
            .into_iter()
            .map(|(session, generation)| rotation(session.id, generation))
            .collect();
        rotations.push(rotation(ended.id, 9));
        rotations.push(rotation(kit::session_id(), 9));
        store.note_rotations(&rotations).await.unwrap();
        // Older ones come late, and the same ones twice.
        let late: Vec<_> = sessions
            .iter()
            .map(|session| rotation(session.id, 3))
            .collect();
        store.note_rotations(&late).await.unwrap();
        store.note_rotations(&rotations).await.unwrap();
        for (session, generation) in sessions.iter().zip(5..) {
            let now = stored(&store, session.id).await;
            let expected = rotation(session.id, generation);
            assert_eq!(now.state.generation, generation);
            assert_eq!(now.state.rotated_at, expected.rotated_at);
            assert_eq!(now.last_used_at, expected.rotated_at);
            assert_eq!(now.state.idle_expires_at, expected.idle_expires_at);
            assert_eq!(now.state.expires_at, session.state.expires_at);
        }
        assert_eq!(stored(&store, ended.id).await, ended);
        store.note_rotations(&[]).await.unwrap();
    }
}

#[tokio::test]
async fn sessions_are_read_with_their_users_and_listed_until_they_end() {
    for (store, _fresh) in both().await {
        let (user, other) = (kit::user(&store).await, kit::user(&store).await);
        let live = kit::open(&store, user.id, at(0)).await;
        let ended = kit::open(&store, user.id, at(0)).await;
        kit::open(&store, other.id, at(0)).await;
        kit::logout(&store, ended.id, at(1)).await;
        let (session, its_user) = store.session_with_user(live.id).await.unwrap().unwrap();
        assert_eq!((session, its_user.id), (live.clone(), user.id));
        assert!(
            store
                .session_with_user(kit::session_id())
                .await
                .unwrap()
                .is_none()
        );
        assert_eq!(store.sessions_of(user.id).await.unwrap(), [live.id]);
    }
}

#[tokio::test]
async fn one_of_many_begins_the_next_epoch() {
    for (store, fresh) in both().await {
        let other = fresh.connect().await;
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = store.copy_epoch(one).await.unwrap();
        assert_eq!((first.installation, first.number), (one, 1));
        assert_eq!(other.copy_epoch(two).await.unwrap(), first);
        let stores = [Arc::new(store), Arc::new(other)];
        let tasks: Vec<_> = (0..16)
            .map(|n| {
                let store = Arc::clone(&stores[n % 2]);
                tokio::spawn(async move { store.next_copy_epoch(first, 3).await.unwrap() })
            })
            .collect();
        for task in tasks {
            let next = task.await.unwrap();
            assert_eq!((next.installation, next.number), (one, 3));
        }
        assert_eq!(stores[0].next_copy_epoch(first, 5).await.unwrap().number, 3);
    }
}

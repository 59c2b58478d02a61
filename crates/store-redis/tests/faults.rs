//! Redis lost, old, full or out of reach: nobody honest is signed out, and nothing that ended goes on.

#[path = "support/server.rs"]
mod server;
mod support;

use std::sync::Arc;
use std::time::Duration;

use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::{Dead, EndReason};
use countersign_domain::{SessionId, UserId};
use countersign_store::contract::kit::{self, act, at, until};
use countersign_store::{
    Actor, Announcements, RefreshOutcome, Sessions, StoreError, Subject, UserChange, Users,
};
use countersign_store_redis::{Patience, RedisStore};
use countersign_store_sql::SqlStore;
use server::Server;
use support::{Fresh, instance, settings};

const LOGGED_OUT: Dead = Dead::Ended(EndReason::Logout);

async fn becomes(store: &RedisStore, trusted: bool) {
    for _ in 0..400 {
        if store.is_trusted() == trusted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!(
        "Redis did not become {}",
        if trusted { "trusted" } else { "distrusted" }
    );
}

/// What an honest client does: refreshes with its newest token.
struct Client {
    session: SessionId,
    user: UserId,
    generation: u32,
    second: i64,
}

impl Client {
    async fn sign_in(store: &RedisStore) -> Self {
        let user = kit::user(store).await;
        let session = kit::open(store, user.id, at(0)).await;
        Self {
            session: session.id,
            user: user.id,
            generation: 0,
            second: 0,
        }
    }

    async fn refresh(&mut self, store: &RedisStore) {
        // Long enough apart that no token before the newest is within its grace.
        self.second += 60;
        let grant = kit::refreshed(store, self.session, self.generation, at(self.second))
            .await
            .grant;
        assert_eq!(grant.generation(), self.generation + 1);
        self.generation += 1;
    }

    /// The same, where the store may have to wait for others.
    async fn try_refresh(&mut self, store: &RedisStore) -> Result<(), StoreError> {
        let now = at(self.second + 60);
        let presented = Presented {
            session: self.session,
            generation: self.generation,
        };
        let doing = act(Actor::Trusted, now, until(now));
        let outcome = store.refresh(presented, &kit::POLICY, &doing).await?;
        assert!(
            matches!(outcome, RefreshOutcome::Refreshed(_)),
            "{outcome:?}"
        );
        self.second += 60;
        self.generation += 1;
        Ok(())
    }

    async fn present(&self, store: &RedisStore, generation: u32) -> RefreshOutcome {
        let now = at(self.second + 60);
        let (session, act) = (self.session, act(Actor::Trusted, now, until(now)));
        let presented = Presented {
            session,
            generation,
        };
        for _ in 0..3 {
            match store.refresh(presented, &kit::POLICY, &act).await {
                Ok(outcome) => return outcome,
                // What took long may have been overtaken, and is to be asked again.
                Err(StoreError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        panic!("not judged")
    }
}

trait Generation {
    fn generation(&self) -> u32;
}

impl Generation for countersign_store::Grant {
    fn generation(&self) -> u32 {
        self.state.generation
    }
}

fn is_dead(outcome: &RefreshOutcome, why: Dead) -> bool {
    matches!(outcome, RefreshOutcome::Dead { dead, .. } if *dead == why)
}

/// One honest client, one that signs out in the middle of the fault, and one whose old token was stolen.
struct Scene {
    honest: Client,
    leaver: Client,
    robbed: Client,
}

impl Scene {
    async fn begin(store: &RedisStore) -> Self {
        let mut scene = Self {
            honest: Client::sign_in(store).await,
            leaver: Client::sign_in(store).await,
            robbed: Client::sign_in(store).await,
        };
        scene.all_refresh(store).await;
        scene
    }

    async fn all_refresh(&mut self, store: &RedisStore) {
        for client in [&mut self.honest, &mut self.leaver, &mut self.robbed] {
            for _ in 0..3 {
                client.refresh(store).await;
            }
        }
    }

    async fn end(mut self, store: &RedisStore) {
        for generation in 0..=self.leaver.generation + 1 {
            let outcome = self.leaver.present(store, generation).await;
            assert!(is_dead(&outcome, LOGGED_OUT), "{outcome:?}");
        }
        self.honest.refresh(store).await;
        self.honest.refresh(store).await;
        let stolen = self.robbed.generation - 1;
        let outcome = self.robbed.present(store, stolen).await;
        assert!(
            matches!(outcome, RefreshOutcome::Reused { .. }),
            "{outcome:?}"
        );
        let newest = self.robbed.present(store, self.robbed.generation).await;
        assert!(
            is_dead(&newest, Dead::Ended(EndReason::Reuse)),
            "{newest:?}"
        );
    }
}

async fn over(server: &Server) -> (RedisStore, Fresh) {
    let fresh = support::sqlite();
    let store = instance(&fresh, settings(&server.url())).await;
    becomes(&store, true).await;
    (store, fresh)
}

#[tokio::test]
async fn flushed() {
    let server = Server::start(&[]).await;
    let (store, _fresh) = over(&server).await;
    let mut scene = Scene::begin(&store).await;
    server.cli(&["flushall"]);
    kit::logout(&store, scene.leaver.session, at(500)).await;
    server.cli(&["flushall"]);
    scene.honest.refresh(&store).await;
    server.cli(&["flushall"]);
    scene.end(&store).await;
    assert!(
        store.is_trusted(),
        "a Redis that was emptied tells nothing wrong"
    );
}

#[tokio::test]
async fn killed_and_started_empty() {
    let mut server = Server::start(&[]).await;
    let (store, _fresh) = over(&server).await;
    let mut scene = Scene::begin(&store).await;
    server.kill();
    scene.honest.refresh(&store).await;
    assert!(!store.is_trusted());
    scene.all_refresh(&store).await;
    kit::logout(&store, scene.leaver.session, at(2000)).await;
    server.start_again().await;
    becomes(&store, true).await;
    scene.end(&store).await;
    assert!(store.is_trusted());
}

#[tokio::test]
async fn started_from_an_old_dump() {
    let mut server = Server::start(&[]).await;
    let (store, _fresh) = over(&server).await;
    let mut scene = Scene::begin(&store).await;
    server.cli(&["save"]);
    scene.all_refresh(&store).await;
    kit::logout(&store, scene.leaver.session, at(2000)).await;
    server.kill();
    server.start_again().await;
    assert!(
        server.cli(&["dbsize"]).trim().parse::<u32>().unwrap() >= 3,
        "the dump was read"
    );
    // Noticed by then or not.
    becomes(&store, true).await;
    scene.end(&store).await;
}

/// The same, where nobody was there to notice: the next instance must.
#[tokio::test]
async fn started_from_an_old_dump_while_all_instances_were_down() {
    let mut server = Server::start(&[]).await;
    let (store, fresh) = over(&server).await;
    let mut scene = Scene::begin(&store).await;
    server.cli(&["save"]);
    scene.all_refresh(&store).await;
    kit::logout(&store, scene.leaver.session, at(2000)).await;
    store.close(Duration::from_secs(10)).await;
    drop(store);
    server.kill();
    server.start_again().await;
    let store = instance(&fresh, settings(&server.url())).await;
    assert!(store.is_trusted());
    scene.end(&store).await;
}

#[tokio::test]
async fn hung() {
    let server = Server::start(&[]).await;
    let fresh = support::sqlite();
    let mut hasty = settings(&server.url());
    hasty.patience = Patience::default();
    hasty.others_write_within = Duration::ZERO;
    let store = instance(&fresh, hasty).await;
    becomes(&store, true).await;
    let mut scene = Scene::begin(&store).await;
    becomes(&store, true).await;
    server.signal("STOP");
    // 200 ms for Redis; the rest is for the database on a busy machine.
    let bounded = tokio::time::timeout(Duration::from_secs(10), scene.honest.refresh(&store));
    bounded.await.expect("a Redis that hangs holds nobody up");
    assert!(!store.is_trusted());
    kit::logout(&store, scene.leaver.session, at(2000)).await;
    scene.all_refresh_but_leaver(&store).await;
    server.signal("CONT");
    becomes(&store, true).await;
    scene.end(&store).await;
}

impl Scene {
    async fn all_refresh_but_leaver(&mut self, store: &RedisStore) {
        self.honest.refresh(store).await;
        self.robbed.refresh(store).await;
    }
}

/// Nothing can be written, but what must not go on can be forgotten.
#[tokio::test]
async fn full() {
    let server = Server::start(&["--maxmemory-policy", "noeviction"]).await;
    let (store, _fresh) = over(&server).await;
    let mut scene = Scene::begin(&store).await;
    server.cli(&["config", "set", "maxmemory", "1"]);
    kit::logout(&store, scene.leaver.session, at(2000)).await;
    assert!(store.is_trusted(), "the end of the session was told");
    scene.all_refresh_but_leaver(&store).await;
    assert!(!store.is_trusted());
    server.cli(&["config", "set", "maxmemory", "0"]);
    becomes(&store, true).await;
    scene.end(&store).await;
}

/// Keys are evicted all the time: what is missing is read from the database.
#[tokio::test]
async fn evicting() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-lru"]).await;
    let (store, _fresh) = over(&server).await;
    let mut scene = Scene::begin(&store).await;
    kit::logout(&store, scene.leaver.session, at(2000)).await;
    for key in server.cli(&["keys", "*"]).lines() {
        server.cli(&["del", key]);
    }
    scene.honest.refresh(&store).await;
    scene.end(&store).await;
}

#[tokio::test]
async fn demoted() {
    let server = Server::start(&[]).await;
    let (store, _fresh) = over(&server).await;
    let scene = Scene::begin(&store).await;
    let nowhere = Server::start(&[]).await;
    server.cli(&["replicaof", "127.0.0.1", &nowhere.port.to_string()]);
    kit::logout(&store, scene.leaver.session, at(2000)).await;
    assert!(!store.is_trusted());
    server.cli(&["replicaof", "no", "one"]);
    becomes(&store, true).await;
    scene.end(&store).await;
}

/// Two instances, the second of which cannot reach Redis.
async fn one_is_cut_off(server: &Server) -> (RedisStore, RedisStore, Fresh) {
    let fresh = support::sqlite();
    let unreachable = Server::start(&[]).await;
    let quick = |url: &str| {
        let mut settings = settings(url);
        settings.others_write_within = Duration::from_millis(600);
        settings
    };
    let with = instance(&fresh, quick(&server.url())).await;
    let without = quick(&unreachable.url());
    drop(unreachable);
    let without = instance(&fresh, without).await;
    becomes(&with, true).await;
    assert!(!without.is_trusted());
    (with, without, fresh)
}

/// One instance cannot reach Redis and signs somebody out; the other can. It need not have read any announcement.
#[tokio::test]
async fn cut_off_from_redis_alone() {
    let server = Server::start(&[]).await;
    let (with, without, _fresh) = one_is_cut_off(&server).await;
    let mut scene = Scene::begin(&with).await;
    kit::logout(&without, scene.leaver.session, at(2000)).await;
    assert!(matches!(
        scene.leaver.present(&with, scene.leaver.generation).await,
        RefreshOutcome::Dead {
            dead: LOGGED_OUT,
            ..
        }
    ));
    scene.honest.refresh(&without).await;
    scene.honest.refresh(&with).await;
    scene.honest.refresh(&without).await;
    scene.end(&with).await;
}

/// A token that was superseded at the instance that cannot reach Redis has had its turn at the other too, though Redis
/// knows nothing of it; at once, and when that instance has been quiet for long.
#[tokio::test]
async fn superseded_where_redis_is_out_of_reach() {
    let server = Server::start(&[]).await;
    let (with, without, _fresh) = one_is_cut_off(&server).await;
    let [mut one, mut two] = [Client::sign_in(&with).await, Client::sign_in(&with).await];
    for client in [&mut one, &mut two] {
        client.refresh(&with).await;
        client.refresh(&without).await;
        client.refresh(&without).await;
    }
    let stolen = one.present(&with, 1).await;
    assert!(
        matches!(stolen, RefreshOutcome::Reused { .. }),
        "{stolen:?}"
    );
    // Nobody needs the database any more.
    becomes(&with, true).await;
    let stolen = two.present(&with, 1).await;
    assert!(
        matches!(stolen, RefreshOutcome::Reused { .. }),
        "{stolen:?}"
    );
    assert!(with.is_trusted());
}

/// A request that waited until nobody used Redis, and was overtaken meanwhile, is no theft.
#[tokio::test]
async fn overtaken_while_it_waited() {
    let server = Server::start(&[]).await;
    let (with, without, _fresh) = one_is_cut_off(&server).await;
    let mut client = Client::sign_in(&with).await;
    let without = Arc::new(without);
    let (late, session) = (Arc::clone(&without), client.session);
    let waiting = tokio::spawn(async move {
        let presented = Presented {
            session,
            generation: 0,
        };
        let act = act(Actor::Trusted, at(1), until(at(1)));
        late.refresh(presented, &kit::POLICY, &act).await
    });
    client.refresh(&with).await;
    client.refresh(&with).await;
    let late = waiting.await.unwrap();
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    client.refresh(&with).await;
    client.refresh(&without).await;
    // Asked again it waits for nobody, and is judged.
    let again = client.present(&without, 0).await;
    assert!(matches!(again, RefreshOutcome::Reused { .. }), "{again:?}");
}

/// Both could not reach Redis for a while: both use it again, without waiting for each other for ever.
#[tokio::test]
async fn both_come_back_though_nobody_stops_refreshing() {
    let mut server = Server::start(&[]).await;
    let (one, fresh) = over(&server).await;
    let two = instance(&fresh, settings(&server.url())).await;
    let mut clients = [Client::sign_in(&one).await, Client::sign_in(&two).await];
    server.kill();
    for _ in 0..3 {
        clients[0].refresh(&one).await;
        clients[1].refresh(&two).await;
    }
    assert!(!one.is_trusted() && !two.is_trusted());
    server.start_again().await;
    let began = tokio::time::Instant::now();
    while !(one.is_trusted() && two.is_trusted()) {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "Redis stays out of use"
        );
        clients[0].refresh(&one).await;
        clients[1].refresh(&two).await;
        // More often than a sign is given, and not so often that the sessions outlive themselves in a test.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    clients[0].refresh(&two).await;
    clients[1].refresh(&one).await;
}

/// What could not be told is paid with a new epoch, in case nobody is left who knows.
#[tokio::test]
async fn debts_outlive_the_instance() {
    let mut server = Server::start(&[]).await;
    let fresh = support::sqlite();
    let mut hasty = settings(&server.url());
    hasty.patience.answer = Duration::from_secs(1);
    hasty.patience.connect = Duration::from_secs(1);
    let store = instance(&fresh, hasty).await;
    let scene = Scene::begin(&store).await;
    server.cli(&["save"]);
    server.signal("STOP");
    kit::logout(&store, scene.leaver.session, at(2000)).await;
    store.close(Duration::from_secs(15)).await;
    drop(store);
    server.signal("CONT");
    let store = instance(&fresh, settings(&server.url())).await;
    becomes(&store, true).await;
    scene.end(&store).await;
    server.kill();
}

#[tokio::test]
async fn database_away() {
    let server = Server::start(&[]).await;
    let fresh = support::sqlite();
    let beneath: SqlStore = fresh.connect().await;
    beneath.migrate().await.unwrap();
    let mut small = settings(&server.url());
    small.most_pending = 2;
    let store = RedisStore::open(beneath.clone(), small).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(Client::sign_in(&store).await);
    }
    beneath.close().await;
    for client in &mut clients[..2] {
        for _ in 0..3 {
            client.refresh(&store).await;
        }
    }
    // There is no room for a third session's rotation: nothing is consumed.
    let presented = |client: &Client| countersign_domain::refresh_token::Presented {
        session: client.session,
        generation: client.generation,
    };
    let now = act(Actor::Trusted, at(400), until(at(400)));
    let refused = store
        .refresh(presented(&clients[2]), &kit::POLICY, &now)
        .await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    // Nobody is signed out without the database.
    let mut old = presented(&clients[0]);
    old.generation = 0;
    let undecided = store.refresh(old, &kit::POLICY, &now).await;
    assert!(matches!(undecided, Err(StoreError::Unavailable(_))));
    clients[0].refresh(&store).await;
    drop(store);
    // The database is back, the instance and what it held back is not: clients bring the proof.
    let store = instance(&fresh, settings(&server.url())).await;
    for client in &mut clients {
        client.refresh(&store).await;
        client.refresh(&store).await;
    }
}

/// A rotation whose answer was lost with the instance was never acknowledged: its retry is no theft.
#[tokio::test]
async fn rotation_that_nobody_was_told_of() {
    let server = Server::start(&[]).await;
    let (store, fresh) = over(&server).await;
    let mut client = Client::sign_in(&store).await;
    client.refresh(&store).await;
    store.close(Duration::from_secs(10)).await;
    let beneath = fresh.connect().await;
    let mut slow = settings(&server.url());
    slow.write_every = Duration::from_secs(3600);
    let lost = RedisStore::open(beneath.clone(), slow).await.unwrap();
    kit::refreshed(&lost, client.session, client.generation, at(100)).await;
    // It ends without having written anything.
    beneath.close().await;
    drop(lost);
    let store = instance(&fresh, settings(&server.url())).await;
    client.second = 1000;
    // That it could not write holds everybody up for a moment.
    while client.try_refresh(&store).await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // And its own retry, after a while that would be too long for the first one.
    let again = kit::refreshed(
        &store,
        client.session,
        client.generation - 1,
        at(client.second + 5),
    )
    .await;
    assert!(!again.rotated);
    client.refresh(&store).await;
}

#[tokio::test]
async fn what_is_held_back_is_written_at_the_end() {
    let server = Server::start(&[]).await;
    let fresh = support::sqlite();
    let mut slow = settings(&server.url());
    slow.write_every = Duration::from_secs(3600);
    let store = instance(&fresh, slow).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = Client::sign_in(&store).await;
        client.refresh(&store).await;
        client.refresh(&store).await;
        clients.push(client);
    }
    let beneath = fresh.connect().await;
    let generation = async |client: &Client| {
        let session = beneath.session(client.session).await.unwrap().unwrap();
        session.state.generation
    };
    assert_eq!(generation(&clients[0]).await, 0);
    store.close(Duration::from_secs(30)).await;
    for client in &clients {
        assert_eq!(generation(client).await, 2);
    }
}

/// Operators' commands change the database alone.
#[tokio::test]
async fn changes_without_redis_are_followed() {
    let server = Server::start(&[]).await;
    let (store, fresh) = over(&server).await;
    let beneath = fresh.connect().await;
    let mut client = Client::sign_in(&store).await;
    let leaver = Client::sign_in(&store).await;
    client.refresh(&store).await;
    kit::logout(&beneath, leaver.session, at(500)).await;
    let change = UserChange {
        roles: Some(vec!["admin".to_owned()]),
        ..UserChange::default()
    };
    let now = act(Actor::Trusted, at(500), until(at(500)));
    beneath
        .change_user(client.user, &change, &now)
        .await
        .unwrap();
    store.announcements_after(0, at(0)).await.unwrap();
    let outcome = leaver.present(&store, 0).await;
    assert!(is_dead(&outcome, LOGGED_OUT), "{outcome:?}");
    let grant = kit::refreshed(&store, client.session, client.generation, at(600))
        .await
        .grant;
    assert_eq!(grant.roles, ["admin"]);
    assert_eq!(grant.state.generation, client.generation + 1);
}

#[tokio::test]
async fn roles_are_new_once_their_change_is_acknowledged() {
    let (a, b, _fresh) = support::two(support::sqlite(), support::SINGLE).await;
    let (a, b) = (Arc::new(a), Arc::new(b));
    let mut client = Client::sign_in(&a).await;
    for round in 0..20 {
        let role = format!("role{round}");
        let change = UserChange {
            roles: Some(vec![role.clone()]),
            ..UserChange::default()
        };
        let (changer, user) = (Arc::clone(&a), client.user);
        let changing = tokio::spawn(async move {
            kit::wander(round).await;
            let now = act(Actor::Trusted, at(500), until(at(500)));
            changer.change_user(user, &change, &now).await.unwrap();
        });
        while !changing.is_finished() {
            client.refresh_now(&b).await;
        }
        changing.await.unwrap();
        assert_eq!(client.refresh_now(&b).await, [role]);
    }
}

impl Client {
    async fn refresh_now(&mut self, store: &RedisStore) -> Vec<String> {
        let grant = kit::refreshed(store, self.session, self.generation, at(500))
            .await
            .grant;
        self.generation = grant.state.generation;
        grant.roles
    }
}

#[tokio::test]
async fn others_hear_of_it_at_once() {
    let (a, b, _fresh) = support::two(support::sqlite(), support::SINGLE).await;
    // The listener of `b` takes a moment to be there; until then nothing is lost but time.
    for _ in 0..20 {
        let leaver = Client::sign_in(&a).await;
        kit::logout(&a, leaver.session, at(1)).await;
        let heard = tokio::time::timeout(Duration::from_millis(500), b.news()).await;
        if let Ok(news) = heard {
            assert!(
                news.iter()
                    .any(|one| one.subject == Subject::Session(leaver.session))
            );
            let own = tokio::time::timeout(Duration::from_millis(50), a.news()).await;
            assert!(own.is_err(), "nobody is told what they said");
            let outcome = leaver.present(&b, 0).await;
            assert!(is_dead(&outcome, LOGGED_OUT));
            return;
        }
    }
    panic!("nothing was heard");
}

/// Callers that go away leave no connection out of step: nobody is given another's answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_go_away() {
    let (a, _b, _fresh) = support::two(support::sqlite(), support::SINGLE).await;
    let a = Arc::new(a);
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(Client::sign_in(&a).await.session);
    }
    let quitter = {
        let (store, sessions) = (Arc::clone(&a), sessions.clone());
        tokio::spawn(async move {
            for round in 0..2000_u64 {
                let (store, id) = (
                    Arc::clone(&store),
                    sessions[round as usize % sessions.len()],
                );
                let call = tokio::spawn(async move { store.session(id).await });
                kit::wander(round).await;
                call.abort();
            }
        })
    };
    while !quitter.is_finished() {
        for id in &sessions {
            assert_eq!(a.session(*id).await.unwrap().unwrap().id, *id);
        }
    }
    quitter.await.unwrap();
}

/// What an operator has to mend is said at once, in one line, without the password.
#[tokio::test]
async fn refused() {
    let server = Server::start(&["--requirepass", "right"]).await;
    let fresh = support::sqlite();
    let beneath: SqlStore = fresh.connect().await;
    beneath.migrate().await.unwrap();
    for user in [":hunter2@", "app:hunter2@", ""] {
        let url = format!("redis://{user}127.0.0.1:{}", server.port);
        let error = RedisStore::open(beneath.clone(), settings(&url))
            .await
            .unwrap_err();
        let line = error.to_string();
        assert!(
            line.contains("refuses") && !line.contains("hunter2") && !line.contains('\n'),
            "{line}"
        );
    }
    let url = format!("redis://:right@127.0.0.1:{}", server.port);
    let store = RedisStore::open(beneath, settings(&url)).await.unwrap();
    assert!(store.is_trusted());
}

/// The commands that it needs, on its keys alone, are enough.
#[tokio::test]
async fn user_with_few_rights() {
    let server = Server::start(&[]).await;
    let rights = "acl setuser app on >secret ~cs:* -@all +hello +client|setname \
        +ping +evalsha +script|load +script|exists +get +set +del +exists +hset +hdel \
        +xadd +xread +pexpire";
    let rights: Vec<_> = rights.split_whitespace().collect();
    assert!(server.cli(&rights).contains("OK"));
    let url = format!("redis://app:secret@127.0.0.1:{}", server.port);
    let fresh = support::sqlite();
    let store = instance(&fresh, settings(&url)).await;
    assert!(store.is_trusted());
    let scene = Scene::begin(&store).await;
    kit::logout(&store, scene.leaver.session, at(2000)).await;
    scene.end(&store).await;
    assert!(store.is_trusted());
}

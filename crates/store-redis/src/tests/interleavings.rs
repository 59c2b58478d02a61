//! Every order in which refreshes, a sign-out, a change of roles and the loss of all keys can meet, against the real scripts and a
//! database of two fields. Whatever the order: once the sign-out is acknowledged nothing is refreshed, and
//! no roles are given out that had been replaced before the refresh began.

use std::sync::Arc;

use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::{RotationPolicy, SessionState};
use countersign_domain::{SessionId, UserId};
use jiff::{SignedDuration, Timestamp};
use redis::Cmd;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::support::{SINGLE, calls, link};
use crate::calls::Calls;
use crate::entry::{Answer, Entry, Facts, Token};
use crate::link::Link;

const POLICY: RotationPolicy = RotationPolicy {
    grace: SignedDuration::from_secs(30),
    idle: SignedDuration::from_hours(1),
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// What takes part, each a sequence of steps of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    /// Asks Redis; where that knows nothing, reads the database and fills the key.
    Refresh(u8),
    /// Commits, then buries.
    SignOut,
    /// Commits, then has the facts read again.
    ChangeRoles,
    /// All keys are gone.
    Flush,
    /// The instance that refreshes dies between two steps, and another begins anew.
    Crash(u8),
}

impl Actor {
    fn steps(self) -> usize {
        match self {
            Self::Refresh(_) => 3,
            Self::SignOut | Self::ChangeRoles => 2,
            Self::Flush | Self::Crash(_) => 1,
        }
    }
}

#[derive(Default)]
struct Database {
    ended: bool,
    changed: bool,
}

#[derive(Default)]
struct Refresher {
    read: Option<(Token, Entry)>,
    answer: Option<Answer>,
    /// What was acknowledged before it began.
    began: (bool, bool),
    begun: bool,
}

struct World {
    link: Link,
    calls: Arc<Calls>,
    session: SessionId,
    database: Database,
    refreshers: Vec<Refresher>,
    signed_out: bool,
    roles_changed: bool,
    next_token: u8,
}

fn entry(roles: &str) -> Entry {
    Entry {
        state: SessionState {
            generation: 5,
            rotated_at: at(0),
            idle_expires_at: at(3600),
            expires_at: at(9999),
            ended: None,
        },
        facts: Facts {
            user: UserId(Uuid::nil()),
            auth_time: at(0),
            amr: Vec::new(),
            roles: vec![roles.to_owned()],
        },
    }
}

impl World {
    fn new(link: Link, calls: Arc<Calls>, session: SessionId) -> Self {
        Self {
            link,
            calls,
            session,
            database: Database::default(),
            refreshers: vec![Refresher::default(), Refresher::default()],
            signed_out: false,
            roles_changed: false,
            next_token: 0,
        }
    }

    async fn prepare(&self, live: bool) {
        self.run(self.calls.forget(self.session)).await;
        if live {
            let (token, now) = ([99; 16], at(0));
            self.run(self.calls.lease(self.session, &token)).await;
            self.run(self.calls.open(self.session, &token, &entry("old"), now))
                .await;
        }
    }

    async fn run(&self, command: Cmd) {
        self.link.query::<redis::Value>(&command).await.unwrap();
    }

    fn new_token(&mut self) -> Token {
        self.next_token += 1;
        [self.next_token; 16]
    }

    async fn step(&mut self, actor: Actor, step: usize) {
        match (actor, step) {
            (Actor::SignOut, 0) => self.database.ended = true,
            (Actor::SignOut, _) => {
                self.run(self.calls.bury(self.session)).await;
                self.signed_out = true;
            }
            (Actor::ChangeRoles, 0) => self.database.changed = true,
            (Actor::ChangeRoles, _) => {
                self.run(self.calls.stale(self.session)).await;
                self.roles_changed = true;
            }
            (Actor::Flush, _) => self.run(self.calls.forget(self.session)).await,
            (Actor::Crash(who), _) => self.refreshers[usize::from(who)] = Refresher::default(),
            (Actor::Refresh(who), _) => self.refresh(usize::from(who)).await,
        }
    }

    /// One step: the database is read in one, and Redis asked in another.
    async fn refresh(&mut self, who: usize) {
        let acknowledged = (self.signed_out, self.roles_changed);
        let one = &mut self.refreshers[who];
        if !one.begun {
            (one.begun, one.began) = (true, acknowledged);
        }
        if let Some(Answer::Miss { token, .. }) = one.answer.take() {
            if self.database.ended {
                one.answer = Some(Answer::Gone);
                return;
            }
            let roles = if self.database.changed { "new" } else { "old" };
            one.read = Some((token, entry(roles)));
            return;
        }
        let presented = Presented {
            session: self.session,
            generation: 5,
        };
        let new = self.new_token();
        let read = self.refreshers[who].read.take();
        let call = self
            .calls
            .refresh(presented, &POLICY, at(1), &new, read.as_ref());
        let bytes: Vec<u8> = self.link.query(&call).await.unwrap();
        let answer = Answer::read(&bytes).unwrap();
        let one = &mut self.refreshers[who];
        if let Answer::Rotated { entry, .. } | Answer::Repeated(entry) = &answer {
            let (was_out, had_new_roles) = one.began;
            assert!(!was_out, "refreshed after the sign-out");
            assert_eq!(entry.state.generation, 6);
            assert!(
                !had_new_roles || entry.facts.roles == ["new"],
                "old roles given out"
            );
            (one.answer, one.read, one.begun) = (None, None, false);
        } else {
            one.answer = Some(answer);
        }
    }

    /// In the end everything has settled: a refresh that begins now is told the truth.
    async fn settle(&mut self) {
        for who in 0..self.refreshers.len() {
            self.refreshers[who] = Refresher::default();
            for _ in 0..6 {
                self.refresh(who).await;
                if self.refreshers[who].answer == Some(Answer::Gone) {
                    break;
                }
            }
            let gone = self.refreshers[who].answer == Some(Answer::Gone);
            assert_eq!(gone, self.database.ended);
        }
    }
}

/// All orders of the actors' steps, each actor's own in their order.
fn orders(actors: &[Actor]) -> Vec<Vec<(Actor, usize)>> {
    fn go(
        left: &mut [(Actor, usize)],
        order: &mut Vec<(Actor, usize)>,
        orders: &mut Vec<Vec<(Actor, usize)>>,
    ) {
        let mut done = true;
        for place in 0..left.len() {
            let (actor, step) = left[place];
            if step < actor.steps() {
                done = false;
                left[place].1 += 1;
                order.push((actor, step));
                go(left, order, orders);
                order.pop();
                left[place].1 -= 1;
            }
        }
        if done {
            orders.push(order.clone());
        }
    }
    let mut left: Vec<_> = actors.iter().map(|actor| (*actor, 0)).collect();
    let mut orders = Vec::new();
    go(&mut left, &mut Vec::new(), &mut orders);
    orders
}

async fn every_order(actors: &[Actor], expected: usize) {
    let link = link(SINGLE).await;
    let calls = Arc::new(calls(&link).await);
    let orders = orders(actors);
    assert_eq!(orders.len(), expected);
    let mut tasks = JoinSet::new();
    // Many at once, for speed: their sessions are not the same.
    for (number, some) in orders.chunks(orders.len().div_ceil(32)).enumerate() {
        let (link, calls, some) = (link.clone(), Arc::clone(&calls), some.to_vec());
        tasks.spawn(async move {
            let session = SessionId(Uuid::from_u128(number as u128));
            for (order, live_before) in some
                .iter()
                .flat_map(|order| [(order, false), (order, true)])
            {
                let mut world = World::new(link.clone(), Arc::clone(&calls), session);
                world.prepare(live_before).await;
                for (actor, step) in order {
                    world.step(*actor, *step).await;
                }
                world.settle().await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn two_refreshes_a_sign_out_and_a_flush() {
    let actors = [
        Actor::Refresh(0),
        Actor::Refresh(1),
        Actor::SignOut,
        Actor::Flush,
    ];
    every_order(&actors, 5040).await;
}

#[tokio::test]
async fn a_refresh_a_sign_out_two_flushes_and_a_crash() {
    let actors = [
        Actor::Refresh(0),
        Actor::SignOut,
        Actor::Flush,
        Actor::Flush,
        Actor::Crash(0),
    ];
    every_order(&actors, 3360).await;
}

#[tokio::test]
async fn two_refreshes_a_change_of_roles_and_a_flush() {
    let actors = [
        Actor::Refresh(0),
        Actor::Refresh(1),
        Actor::ChangeRoles,
        Actor::Flush,
    ];
    every_order(&actors, 5040).await;
}

#[tokio::test]
async fn a_refresh_a_sign_out_and_a_change_of_roles() {
    let actors = [
        Actor::Refresh(0),
        Actor::SignOut,
        Actor::ChangeRoles,
        Actor::Flush,
    ];
    every_order(&actors, 1680).await;
}

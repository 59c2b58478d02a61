//! One user with several devices: an honest client in whatever order, and now and then a thief of its tokens.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::doors::End;
use super::line::{Ask, Line, Told, number};
use super::session::{Ended, Session};
use super::token;
use crate::random::unique;
use crate::{Answer, Random, Tokens};

/// Every password has it, so that one in a log is found.
pub(crate) const IN_EVERY_PASSWORD: &str = "never-in-a-log";

pub(crate) const MOST_SESSIONS: usize = 4;
/// So many ended sessions are kept in mind.
const MOST_ENDED: usize = 5;

/// A user and what it was promised.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) line: Line,
    pub(crate) random: Random,
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) id: Option<String>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) ended: Vec<Ended>,
    /// Users of before who were deleted: e-mail address and password.
    pub(crate) gone: Vec<(String, String)>,
    /// A try that got no answer may yet be carried out, and would end what begins now.
    pub(crate) parked: bool,
}

impl User {
    pub(crate) fn new(line: Line, random: Random) -> User {
        User {
            line,
            random,
            email: String::new(),
            password: String::new(),
            id: None,
            sessions: Vec::new(),
            ended: Vec::new(),
            gone: Vec::new(),
            parked: false,
        }
    }

    /// Works until told to stop.
    pub(crate) async fn work(&mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow_and_update() {
            if self.parked {
                let _ = stop.changed().await;
                continue;
            }
            self.step().await;
            sleep(Duration::from_millis(5 + self.random.below(30))).await;
        }
    }

    async fn step(&mut self) {
        if self.email.is_empty() {
            return self.register().await;
        }
        let awake: Vec<usize> = (0..self.sessions.len())
            .filter(|&index| !self.sessions[index].is_resting())
            .collect();
        if awake.is_empty() {
            return self.sign_in().await;
        }
        if let Some(index) = self
            .sessions
            .iter()
            .position(|s| s.is_resting() && s.superseded().is_some())
        {
            return self.steal_after_grace(index).await;
        }
        let index = awake[self.random.below(awake.len() as u64) as usize];
        match self.random.below(100) {
            0..35 => self.refresh(index).await,
            35..37 => self.refresh_at_once(index).await,
            37..43 => self.repeat(index).await,
            43..60 => self.look(index).await,
            60..70 => self.try_ended().await,
            70..80 if self.sessions.len() < MOST_SESSIONS => self.sign_in().await,
            70..80 => self.sign_out(index).await,
            80..85 => self.steal(index).await,
            85..92 => self.sign_out(index).await,
            92..94 => self.sign_out_many(index, "others").await,
            94..96 => self.sign_out_many(index, "global").await,
            96..99 => self.change_password(index).await,
            _ => self.delete(index).await,
        }
    }

    async fn register(&mut self) {
        let email = format!("user-{}-{}@example.com", number(), unique());
        let password = new_password();
        let body = json!({"email": email, "password": password});
        let Some(told) = self.line.tell(&Ask::post("/auth/register", body)).await else {
            return;
        };
        match told.answer.status {
            201 => self.id = told.answer.json()["id"].as_str().map(str::to_owned),
            // By a try whose answer was lost: signing in will tell.
            409 if told.unanswered > 0 => self.id = None,
            _ => return self.broken(&format!("a new user got {}", told.text())),
        }
        (self.email, self.password) = (email, password);
    }

    pub(crate) async fn sign_in(&mut self) {
        let body = json!({"email": self.email, "password": self.password});
        let Some(told) = self.line.tell(&Ask::post("/auth/login", body)).await else {
            return;
        };
        if told.answer.status != 200 {
            let text = format!("an acknowledged user could not sign in: {}", told.text());
            return self.broken(&text);
        }
        if let Some(tokens) = self.tokens(&told.answer) {
            self.line.doors.ledger.act("sign-ins");
            let skewed = self.line.doors.are_skewed();
            self.sessions
                .push(Session::begin(tokens, told.first_sent, skewed));
            if self.random.below(6) == 0 {
                let index = self.sessions.len() - 1;
                self.refresh(index).await;
                if let Some(session) = self.sessions.get_mut(index) {
                    session.rest();
                }
            }
        }
    }

    /// The tokens of a 200, which must be this user's.
    pub(crate) fn tokens(&mut self, answer: &Answer) -> Option<Tokens> {
        let tokens = answer.tokens();
        let claims = token::claims(&tokens.access);
        let (session, _) = token::refresh_token(&tokens.refresh);
        let named = claims["sid"].as_str().unwrap_or_default().replace('-', "");
        let hexadecimal: String = session.iter().map(|byte| format!("{byte:02x}")).collect();
        let user = claims["sub"].as_str().map(str::to_owned);
        if named != hexadecimal || user.is_none() || (self.id.is_some() && self.id != user) {
            self.broken("tokens of another user or session");
            return None;
        }
        self.id = user;
        Some(tokens)
    }

    /// Asks who the user is.
    async fn look(&mut self, index: usize) {
        let ask = Ask::me(self.sessions[index].access());
        if let Some(told) = self.line.tell(&ask).await {
            match told.answer.status {
                200 => self.check_named(&told.answer.json()),
                _ => self.refused(index, "`/auth/me`", &told).await,
            }
        }
    }

    /// A live session got an answer that it must not get. Only where its access token comes from a clock that is ahead
    /// may one be refused, which a refresh mends: that is documented.
    pub(crate) async fn refused(&mut self, index: usize, what: &str, told: &Told) {
        let skewed = self.line.doors.are_skewed() || self.sessions[index].is_skewed();
        if skewed && told.is(401, "invalid_token") {
            self.line.doors.ledger.failure("token from the future");
            return self.refresh(index).await;
        }
        self.lost(index, &format!("{what} got {}", told.text()));
    }

    pub(crate) fn check_named(&self, me: &Value) {
        self.line.doors.ledger.act("calls");
        if me["email"] != self.email.as_str() {
            self.broken("an answer was another user's");
        }
    }

    /// Presents a token of an ended session, to any instance.
    async fn try_ended(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let ended = &self.ended[self.random.below(self.ended.len() as u64) as usize];
        let (refresh, access, end, why) = (
            ended.refresh[0].clone(),
            ended.access.last().cloned(),
            ended.end,
            ended.why,
        );
        let (door, sent) = (self.line.pick(), Instant::now());
        if self.random.below(2) == 0 {
            let ask = Ask::post("/auth/refresh", json!({"refresh_token": refresh}));
            if let Some(answer) = self.line.once(door, &ask).await {
                self.check_ended_refresh(&answer, door, why);
            }
        } else if let Some(answer) = self.line.once(door, &Ask::me(&access.expect("one"))).await {
            self.check_ended_me(&answer, door, end, why, sent);
        }
    }

    pub(crate) fn check_ended_refresh(&self, answer: &Answer, door: usize, why: &str) {
        self.line.doors.ledger.act("refreshes of ended sessions");
        if answer.status != 401 {
            let status = answer.status;
            let text = format!(
                "the refresh token of a session ended by {why}: {status} from instance {door}"
            );
            self.line.doors.ledger.revived(text);
        }
    }

    pub(crate) fn check_ended_me(
        &self,
        answer: &Answer,
        door: usize,
        end: End,
        why: &str,
        sent: Instant,
    ) {
        self.line.doors.ledger.act("calls of ended sessions");
        if answer.status != 401 && self.line.doors.accepted_after(end, door, sent) {
            let (status, late) = (answer.status, sent - end.at);
            let text = format!(
                "the access token of a session ended by {why}: {status} from instance {door} after {late:?} (instance {} ended it)",
                end.by
            );
            self.line.doors.ledger.revived(text);
        }
    }

    /// A session that nobody had ended is over.
    pub(crate) fn lost(&mut self, index: usize, how: &str) {
        let session = self.sessions.remove(index);
        let text = format!("{}, generation {}: {how}", self.email, session.generation());
        self.line.doors.ledger.signed_out(text);
    }

    pub(crate) fn broken(&self, what: &str) {
        self.line
            .doors
            .ledger
            .broken(format!("{}: {what}", self.email));
    }

    /// Remembers that a session was ended.
    pub(crate) fn end(&mut self, index: usize, end: End, why: &'static str) {
        let ended = self.sessions.remove(index).end(end, why);
        if self.ended.len() == MOST_ENDED {
            self.ended.remove(0);
        }
        self.ended.push(ended);
    }
}

pub(crate) fn new_password() -> String {
    format!("{IN_EVERY_PASSWORD} {}", unique())
}

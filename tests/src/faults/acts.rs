//! What an honest client does with a session, each until it is answered.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::doors::{End, GRACE};
use super::line::{Ask, Told};
use super::user::{User, new_password};

/// Nobody knows which instance did it.
const ANY: usize = usize::MAX;

impl User {
    /// Exchanges the newest token, the same one again and again until there is an answer.
    pub(crate) async fn refresh(&mut self, index: usize) {
        let presented = self.sessions[index].newest().to_owned();
        let ask = Ask::post("/auth/refresh", json!({"refresh_token": presented}));
        if let Some(told) = self.line.tell(&ask).await {
            self.take_successor(index, &told);
        }
    }

    fn take_successor(&mut self, index: usize, told: &Told) {
        if told.answer.status != 200 {
            let late = told.unanswered > 0 && (told.stepped || told.sent - told.first_sent > GRACE);
            return match late {
                true => {
                    self.line.doors.ledger.failure("retried too late");
                    self.end(
                        index,
                        End {
                            at: Instant::now(),
                            by: told.door,
                        },
                        "a late retry",
                    );
                }
                false => self.lost(index, &format!("its newest token got {}", told.text())),
            };
        }
        let Some(tokens) = self.tokens(&told.answer) else {
            return;
        };
        let skewed = self.line.doors.are_skewed();
        if let Err(wrong) =
            self.sessions[index].advance(tokens, told.first_sent, skewed, told.steps)
        {
            self.line.doors.ledger.revived(wrong);
            self.sessions.remove(index);
        }
        self.line.doors.ledger.act("refreshes");
    }

    /// Many exchange the newest token at once, on all instances: all get the same successor.
    pub(crate) async fn refresh_at_once(&mut self, index: usize) {
        let presented = self.sessions[index].newest().to_owned();
        let ask = Ask::post("/auth/refresh", json!({"refresh_token": presented}));
        let (sent, steps) = (Instant::now(), self.line.doors.steps());
        let mut asking = JoinSet::new();
        for place in 0..16 << self.random.below(3) {
            let (line, ask) = (self.line.clone(), ask.clone());
            asking.spawn(async move {
                let door = place % line.doors.len();
                (door, line.once(door, &ask).await)
            });
        }
        let mut successors = BTreeSet::new();
        let mut last = None;
        for (door, answer) in asking.join_all().await {
            let Some(answer) = answer else { continue };
            if answer.status == 200 {
                successors.insert(answer.tokens().refresh);
            }
            let better = last
                .as_ref()
                .is_none_or(|told: &Told| told.answer.status == 200);
            if better {
                last = Some(Told {
                    answer,
                    door,
                    sent,
                    first_sent: sent,
                    unanswered: 0,
                    steps,
                    stepped: false,
                });
            }
        }
        self.line.doors.ledger.act("refreshes of one token at once");
        if successors.len() > 1 {
            self.line
                .doors
                .ledger
                .revived("one token has two successors".into());
        }
        match last {
            Some(told) => self.take_successor(index, &told),
            None => self.refresh(index).await,
        }
    }

    /// Exchanges the token before the newest, as if the answer had been lost.
    pub(crate) async fn repeat(&mut self, index: usize) {
        let steps = self.line.doors.steps();
        let Some(presented) = self.sessions[index].repeatable(steps).map(str::to_owned) else {
            return;
        };
        let ask = Ask::post("/auth/refresh", json!({"refresh_token": presented}));
        let Some(told) = self.line.tell(&ask).await else {
            return;
        };
        let began = told.sent - told.first_sent;
        if told.answer.status == 200 {
            self.line.doors.ledger.act("repeated refreshes");
            if told.answer.tokens().refresh != self.sessions[index].newest() {
                self.line
                    .doors
                    .ledger
                    .revived("a repeated token got another successor".into());
            }
        } else if told.stepped || began > GRACE / 2 {
            self.line.doors.ledger.failure("retried too late");
            self.end(
                index,
                End {
                    at: Instant::now(),
                    by: told.door,
                },
                "a late retry",
            );
        } else {
            self.lost(index, &format!("a repeated token got {}", told.text()));
        }
    }

    /// Ends this session, by either token.
    pub(crate) async fn sign_out(&mut self, index: usize) {
        let session = &self.sessions[index];
        let by_refresh = self.random.below(2) == 0;
        let ask = match by_refresh {
            true => Ask::post("/auth/logout", json!({"refresh_token": session.newest()})),
            false => Ask::post("/auth/logout", json!({})).with_token(session.access()),
        };
        let Some(told) = self.line.tell(&ask).await else {
            return;
        };
        let done_before = !by_refresh && told.unanswered > 0 && told.is(401, "session_revoked");
        if told.answer.status == 204 {
            self.line.doors.ledger.act("sign-outs");
            self.end(index, end(&told), "its sign-out");
        } else if done_before {
            self.end(
                index,
                End {
                    at: Instant::now(),
                    by: ANY,
                },
                "its sign-out",
            );
        } else {
            self.refused(index, "a sign-out", &told).await;
        }
    }

    /// Ends all sessions of the user, or all others.
    pub(crate) async fn sign_out_many(&mut self, index: usize, scope: &'static str) {
        let session = &self.sessions[index];
        let body = json!({"refresh_token": session.newest(), "scope": scope});
        let Some(told) = self.line.tell(&Ask::post("/auth/logout", body)).await else {
            return;
        };
        self.parked = told.unanswered > 0;
        if told.answer.status != 204 {
            return self.refused(index, "a sign-out", &told).await;
        }
        self.line.doors.ledger.act("sign-outs of many");
        self.end_all_but((scope == "others").then_some(index), end(&told), scope);
    }

    /// Changes the password, which ends all other sessions.
    pub(crate) async fn change_password(&mut self, index: usize) {
        let new = new_password();
        let body = json!({"current_password": self.password, "new_password": new});
        let ask =
            Ask::post("/auth/password/change", body).with_token(self.sessions[index].access());
        let Some(told) = self.line.tell(&ask).await else {
            return;
        };
        self.parked = told.unanswered > 0;
        let done_before = told.unanswered > 0 && told.is(403, "invalid_credentials");
        if told.answer.status != 204 && !done_before {
            return self.refused(index, "a change of password", &told).await;
        }
        let by = if done_before { ANY } else { told.door };
        self.line.doors.ledger.act("changes of password");
        self.password = new;
        self.end_all_but(
            Some(index),
            End {
                at: Instant::now(),
                by,
            },
            "a change of password",
        );
    }

    /// Deletes the user; the next step registers another.
    pub(crate) async fn delete(&mut self, index: usize) {
        let mut ask = Ask::post("/auth/me", json!({"password": self.password}));
        ask.method = reqwest::Method::DELETE;
        let Some(told) = self
            .line
            .tell(&ask.with_token(self.sessions[index].access()))
            .await
        else {
            return;
        };
        // An instance that has not heard of it yet finds nobody whose password that could be.
        let done_before = told.unanswered > 0
            && (told.is(401, "session_revoked") || told.is(403, "reauthentication_required"));
        if told.answer.status != 204 && !done_before {
            return self.refused(index, "a deletion", &told).await;
        }
        let by = if done_before { ANY } else { told.door };
        self.line.doors.ledger.act("deletions");
        self.end_all_but(
            None,
            End {
                at: Instant::now(),
                by,
            },
            "deletion",
        );
        self.gone.push((
            std::mem::take(&mut self.email),
            std::mem::take(&mut self.password),
        ));
        self.id = None;
    }

    fn end_all_but(&mut self, but: Option<usize>, end: End, why: &'static str) {
        for index in (0..self.sessions.len()).rev() {
            if Some(index) != but {
                self.end(index, end, why);
            }
        }
    }
}

fn end(told: &Told) -> End {
    End {
        at: Instant::now(),
        by: told.door,
    }
}

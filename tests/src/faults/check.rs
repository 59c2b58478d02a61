//! When a fault is over: everything that a user was promised, on every instance.

use serde_json::json;
use tokio::time::Instant;

use super::line::{Ask, Told};
use super::user::{MOST_SESSIONS, User};

impl User {
    /// Checks everything. Nobody else works for this user meanwhile.
    pub(crate) async fn check(&mut self) {
        self.line.counted = false;
        self.parked = false;
        if !self.email.is_empty() {
            // The password that was acknowledged last is in force. One session more than there should be.
            self.sign_in().await;
            if self.sessions.len() > MOST_SESSIONS {
                self.sign_out(0).await;
            }
        }
        for index in (0..self.sessions.len()).rev() {
            self.check_live(index).await;
        }
        self.check_ended().await;
        for (email, password) in std::mem::take(&mut self.gone) {
            let body = json!({"email": email, "password": password});
            if let Some(told) = self.line.tell(&Ask::post("/auth/login", body)).await
                && !told.is(401, "invalid_credentials")
            {
                let text = format!("{email} was deleted, and a sign-in got {}", told.text());
                self.line.doors.ledger.revived(text);
            }
        }
        self.line.counted = true;
    }

    /// Every instance accepts the session, and its newest token can be exchanged.
    async fn check_live(&mut self, index: usize) {
        for door in 0..self.line.doors.len() {
            let ask = Ask::me(self.sessions[index].access());
            let (sent, answer) = (Instant::now(), self.line.once(door, &ask).await);
            let Some(answer) = answer else {
                self.broken("no answer although nothing is wrong any more");
                continue;
            };
            let told = Told {
                answer,
                door,
                sent,
                first_sent: sent,
                unanswered: 0,
                steps: 0,
                stepped: false,
            };
            match told.answer.status {
                200 => self.check_named(&told.answer.json()),
                _ => return self.refused(index, "`/auth/me`", &told).await,
            }
        }
        if !self.sessions[index].is_resting() {
            self.refresh(index).await;
        }
    }

    /// No instance accepts anything of what has ended.
    async fn check_ended(&mut self) {
        for (number, ended) in self.ended.iter().enumerate() {
            for door in 0..self.line.doors.len() {
                for access in &ended.access {
                    let sent = Instant::now();
                    if let Some(answer) = self.line.once(door, &Ask::me(access)).await {
                        self.check_ended_me(&answer, door, ended.end, ended.why, sent);
                    }
                }
            }
            for refresh in &ended.refresh {
                let door = number % self.line.doors.len();
                let body = json!({"refresh_token": refresh});
                if let Some(answer) = self
                    .line
                    .once(door, &Ask::post("/auth/refresh", body))
                    .await
                {
                    self.check_ended_refresh(&answer, door, ended.why);
                }
            }
        }
    }
}

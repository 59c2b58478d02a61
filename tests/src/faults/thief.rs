//! Somebody who copied a token that has had its turn.

use serde_json::json;
use tokio::time::Instant;

use super::doors::End;
use super::line::Ask;
use super::user::User;

impl User {
    /// Presents a token whose successor was exchanged too.
    pub(crate) async fn steal(&mut self, index: usize) {
        if let Some(token) = self.sessions[index].long_superseded().map(str::to_owned) {
            self.present(index, token, "stolen tokens").await;
        }
    }

    /// Presents the token before the newest, when the grace period has passed.
    pub(crate) async fn steal_after_grace(&mut self, index: usize) {
        match self.sessions[index].superseded().map(str::to_owned) {
            Some(token) if !self.line.doors.are_skewed() => {
                self.present(index, token, "stolen tokens after the grace period")
                    .await;
            }
            _ => self.sessions[index].wake(),
        }
    }

    /// It must be refused, and the session must be over.
    async fn present(&mut self, index: usize, token: String, act: &'static str) {
        let ask = Ask::post("/auth/refresh", json!({"refresh_token": token}));
        let Some(told) = self.line.tell(&ask).await else {
            return;
        };
        if told.answer.status == 200 {
            let session = self.sessions.remove(index);
            let (behind, newest) = (session.exchanged(), session.generation());
            let text = format!(
                "a stolen token of a session at generation {newest} ({behind} known) got {}",
                told.text()
            );
            return self.line.doors.ledger.revived(text);
        }
        if !told.is(401, "refresh_token_reused") {
            return self.lost(index, &format!("a stolen token got {}", told.text()));
        }
        self.line.doors.ledger.act(act);
        let at = Instant::now();
        self.end(index, End { at, by: told.door }, "reuse");
        let newest = self.ended.last().expect("just ended").refresh[0].clone();
        let ask = Ask::post("/auth/refresh", json!({"refresh_token": newest}));
        if let Some(answer) = self.line.once(told.door, &ask).await {
            self.check_ended_refresh(&answer, told.door, "reuse");
        }
    }
}

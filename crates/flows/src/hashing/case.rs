use std::vec;

use countersign_domain::password::{
    Digest, Hashing, OutOfMemory, PasswordHash, PresentedPassword, Scheme, Verification,
    Work as Computation,
};
use tokio::sync::oneshot;

use super::Checked;
use super::engine::{Taken, Work};
use super::load::Turn;

/// What every task needs to know.
pub(super) struct Rules {
    scheme: Scheme,
    stand_in: PasswordHash,
}

/// A task on its way from one computation to the next.
pub(super) struct Case {
    stage: Stage,
    turn: Turn,
}

enum Stage {
    Check(Box<Check>),
    Hash(Hashing, oneshot::Sender<PasswordHash>),
    Rehash(Hashing, oneshot::Sender<Option<PasswordHash>>),
}

struct Check {
    scheme: Scheme,
    presented: PresentedPassword,
    /// `None`: nothing is stored, or nothing that can be read.
    stored: Option<PasswordHash>,
    verification: Verification,
    /// Once it is known that the password is wrong: work that is left to do, for its time alone.
    padding: Option<vec::IntoIter<PasswordHash>>,
    answer: oneshot::Sender<Checked>,
}

impl Rules {
    pub(super) fn new(scheme: Scheme) -> Self {
        Self {
            stand_in: scheme.stand_in(),
            scheme,
        }
    }

    /// `None`: there was nothing to compute, and the answer is out.
    pub(super) fn begin(&self, Taken { work, turn }: Taken) -> Option<Case> {
        let stage = match work {
            Work::Check {
                presented,
                stored,
                answer,
            } => Stage::Check(Box::new(self.check(presented, stored.as_deref(), answer))),
            Work::Hash {
                password,
                salt,
                answer,
            } => Stage::Hash(self.scheme.hashing(&password, salt), answer),
            Work::Rehash {
                presented,
                salt,
                answer,
            } => match self.scheme.rehashing(&presented, salt) {
                Some(hashing) => Stage::Rehash(hashing, answer),
                None => {
                    drop(turn);
                    // A receiver that went away is no error: its client did.
                    let _ = answer.send(None);
                    return None;
                }
            },
        };
        Some(Case { stage, turn })
    }

    fn check(
        &self,
        presented: PresentedPassword,
        stored: Option<&str>,
        answer: oneshot::Sender<Checked>,
    ) -> Check {
        let stored = stored.and_then(|text| match PasswordHash::parse(text) {
            Ok(hash) => Some(hash),
            Err(_) => {
                tracing::error!("a stored password hash cannot be read; its user cannot sign in");
                None
            }
        });
        // The stand-in makes users who do not exist cost what others cost.
        let verification = stored
            .as_ref()
            .unwrap_or(&self.stand_in)
            .verification(&presented);
        Check {
            scheme: self.scheme,
            presented,
            stored,
            verification,
            padding: None,
            answer,
        }
    }
}

impl Case {
    /// What is to be computed next.
    pub(super) fn computation(&self) -> &Computation {
        match &self.stage {
            Stage::Check(check) => check.verification.work(),
            Stage::Hash(hashing, _) | Stage::Rehash(hashing, _) => hashing.work(),
        }
    }

    pub(super) fn turn(&mut self) -> &mut Turn {
        &mut self.turn
    }

    /// Takes what came out of it. `None`: that was the last, and the answer is out.
    pub(super) fn next(self, digest: Result<Digest, OutOfMemory>) -> Option<Self> {
        let Self { stage, turn } = self;
        match stage {
            Stage::Check(check) => {
                return match check.next(digest) {
                    Ok(check) => Some(Self {
                        stage: Stage::Check(check),
                        turn,
                    }),
                    Err((checked, answer)) => {
                        // Whoever has the answer finds the slot free.
                        drop(turn);
                        let _ = answer.send(checked);
                        None
                    }
                };
            }
            Stage::Hash(hashing, answer) => {
                drop(turn);
                match digest {
                    Ok(digest) => drop(answer.send(hashing.finish(digest))),
                    // The answer that never comes makes this a 503.
                    Err(error) => tracing::error!("cannot hash a password: {error}"),
                }
            }
            Stage::Rehash(hashing, answer) => {
                drop(turn);
                let _ = answer.send(digest.ok().map(|digest| hashing.finish(digest)));
            }
        }
        None
    }
}

impl Check {
    /// The check with its next computation; or its answer, and whom to send it to.
    fn next(
        mut self: Box<Self>,
        digest: Result<Digest, OutOfMemory>,
    ) -> Result<Box<Self>, (Checked, oneshot::Sender<Checked>)> {
        let Self {
            scheme,
            presented,
            stored,
            verification,
            padding,
            answer,
        } = *self;
        let matches = digest.is_ok_and(|digest| verification.finish(&digest));
        let first = padding.is_none();
        let stored_matches = first && matches && stored.is_some();
        let mut padding = padding.unwrap_or_else(|| match &stored {
            Some(hash) if !stored_matches => scheme.padding(hash).into_iter(),
            _ => Vec::new().into_iter(),
        });
        let Some(stand_in) = padding.next() else {
            let checked = Checked {
                matches: stored_matches,
                rehash: stored_matches && stored.is_some_and(|hash| scheme.needs_rehash(&hash)),
            };
            return Err((checked, answer));
        };
        let verification = stand_in.verification(&presented);
        self = Box::new(Self {
            scheme,
            presented,
            stored,
            verification,
            padding: Some(padding),
            answer,
        });
        Ok(self)
    }
}

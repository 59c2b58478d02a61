//! What instances tell each other as soon as it has happened: a stream in Redis. It only makes
//! things quick; what counts is the list in the database, which every instance follows.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_domain::{EventId, SessionId, UserId};
use countersign_store::{Announced, Announcement, CopyEpoch, Subject};
use jiff::Timestamp;
use redis::Cmd;
use redis::streams::StreamReadReply;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::time::Instant;
use uuid::Uuid;

use crate::instance::Core;
use crate::link::Link;
use crate::names::Names;
use crate::settle::{ends, ends_everybody};

/// How many messages the stream keeps, about. Whoever misses one reads it from the database.
const KEPT: u32 = 10_000;
/// The stream is gone so long after the last message.
const LASTS: Duration = Duration::from_secs(3600);
/// For how long a question for news is left open.
const PATIENCE: Duration = Duration::from_millis(1000);
/// What the announcements begin with that this version knows.
const LETTERS: [u8; 5] = *b"sueck";
/// How much heard news may wait for its listener.
const ROOM: usize = 1024;

pub(crate) struct Ears {
    heard: mpsc::Sender<Announcement>,
    listener: AsyncMutex<mpsc::Receiver<Announcement>>,
    /// Announcements whose consequences for Redis have been drawn in this epoch.
    applied: Mutex<HashSet<u64>>,
    followed: Mutex<Followed>,
}

/// When announcements were last read, and when that was last marked in Redis.
#[derive(Default)]
struct Followed {
    at: Option<Instant>,
    marked: Option<(CopyEpoch, Instant)>,
}

impl Default for Ears {
    fn default() -> Self {
        let (heard, listener) = mpsc::channel(ROOM);
        Self {
            heard,
            listener: AsyncMutex::new(listener),
            applied: Mutex::default(),
            followed: Mutex::default(),
        }
    }
}

impl Ears {
    /// Waits for news of other instances.
    pub(crate) async fn listen(&self) -> Vec<Announcement> {
        let mut listener = self.listener.lock().await;
        let mut news = Vec::new();
        listener.recv_many(&mut news, ROOM).await;
        news
    }

    /// Those of `announced` whose consequences have yet to be drawn.
    pub(crate) fn not_applied<'a>(
        &self,
        announcements: impl IntoIterator<Item = &'a Announcement>,
    ) -> Vec<Announcement> {
        let applied = self.applied();
        let all = announcements.into_iter();
        all.filter(|one| !applied.contains(&fingerprint(one)))
            .cloned()
            .collect()
    }

    pub(crate) fn note_applied(&self, announcements: &[Announcement]) {
        self.applied().extend(announcements.iter().map(fingerprint));
    }

    /// Forgets those that are not on the whole list any more.
    pub(crate) fn keep_only(&self, announced: &[Announced]) {
        let live: HashSet<_> = announced
            .iter()
            .map(|one| fingerprint(&one.announcement))
            .collect();
        self.applied().retain(|one| live.contains(one));
    }

    /// Notes that announcements were read, and answers how long before they were last.
    pub(crate) fn followed_again(&self) -> Option<Duration> {
        let now = Instant::now();
        let before = self.followed().at.replace(now)?;
        Some(now - before)
    }

    /// Whether that is to be marked in Redis again.
    pub(crate) fn is_mark_due(&self, epoch: CopyEpoch, again: Duration) -> bool {
        let mut followed = self.followed();
        let lately = |(of, at): (CopyEpoch, Instant)| of == epoch && at.elapsed() < again;
        if followed.marked.is_some_and(lately) {
            return false;
        }
        followed.marked = Some((epoch, Instant::now()));
        true
    }

    fn followed(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn forget_what_was_applied(&self) {
        self.applied().clear();
    }

    fn applied(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Tells other instances.
    pub(crate) async fn publish(&self, announcements: &[Announcement]) {
        let Some(ready) = self.ready() else { return };
        if announcements.is_empty() {
            return;
        }
        let name = ready.calls.names.news();
        let news = write(announcements);
        #[cfg(feature = "rehearsal")]
        let news = crate::rehearsal::and_more(news);
        let mut add = redis::cmd("XADD");
        add.arg(&name)
            .arg("MAXLEN")
            .arg("~")
            .arg(KEPT)
            .arg("*")
            .arg("e")
            .arg(ready.epoch.number)
            .arg("o")
            .arg(self.settings.nonce.as_slice())
            .arg("a")
            .arg(news);
        let mut expire = redis::cmd("PEXPIRE");
        expire.arg(&name).arg(LASTS.as_millis() as u64);
        let commands: [Cmd; 2] = [add, expire];
        match ready.link.query_all(&commands).await {
            // Redis is full; others read it from the database.
            Err(error) if error.code() == Some("OOM") => {}
            Err(error) => self.give_up(&ready, &error),
            Ok(_) => {}
        }
    }

    /// Listens until the store is closed, over a connection of its own: its questions stay open for long.
    pub(crate) async fn hear(self: Arc<Self>) {
        while !self.closing.load(Ordering::Acquire) {
            if let Some(ready) = self.ready()
                && let Ok(link) = self.dialer.connect_patiently(PATIENCE).await
            {
                self.hear_over(&link, &ready.calls.names).await;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// From now on: what was said between two connections is followed, and another server numbers otherwise.
    async fn hear_over(&self, link: &Link, names: &Names) {
        let mut last: Option<String> = None;
        let name = names.news();
        while !self.closing.load(Ordering::Acquire) && self.ready().is_some() {
            let mut read = redis::cmd("XREAD");
            read.arg("COUNT")
                .arg(100)
                .arg("BLOCK")
                .arg(PATIENCE.as_millis() as u64);
            read.arg("STREAMS")
                .arg(&name)
                .arg(last.as_deref().unwrap_or("$"));
            let Ok(reply) = link.query::<Option<StreamReadReply>>(&read).await else {
                return;
            };
            for message in reply
                .into_iter()
                .flat_map(|reply| reply.keys)
                .flat_map(|key| key.ids)
            {
                let origin: Option<Vec<u8>> = message.get("o");
                let epoch: Option<u64> = message.get("e");
                let news: Option<Vec<u8>> = message.get("a");
                last = Some(message.id);
                if origin.as_deref() != Some(self.settings.nonce.as_slice())
                    && let Some(news) = news.as_deref().and_then(read_all)
                {
                    self.take_in(epoch, news).await;
                }
            }
        }
    }

    async fn take_in(&self, epoch: Option<u64>, news: Vec<Announcement>) {
        if let (Some(ready), Some(epoch)) = (self.ready(), epoch) {
            match epoch.cmp(&ready.epoch.number) {
                Equal => self.ears.note_applied(&news),
                Greater => self.retire(&ready),
                // It was told to Redis in an epoch that is over. Following tells it again, but not where the database
                // cannot be reached.
                Less => drop(self.tell(ends(&news)).await),
            }
        }
        if ends_everybody(&news) {
            self.leave_what_is_over().await;
        }
        for one in news {
            // Nobody listens, or slowly: it is read from the database within half a second.
            drop(self.ears.heard.try_send(one));
        }
    }
}

fn fingerprint(announcement: &Announcement) -> u64 {
    let mut hasher = DefaultHasher::new();
    write(std::slice::from_ref(announcement)).hash(&mut hasher);
    hasher.finish()
}

/// Each: a letter (other letters than these are for newer versions), the subject's id, not_before, expires_at (microseconds), the event's id; 49 bytes.
fn write(announcements: &[Announcement]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(49 * announcements.len());
    for announcement in announcements {
        let (letter, id, not_before) = match announcement.subject {
            Subject::Session(id) => (b's', id.0, None),
            Subject::User { id, not_before } => (b'u', id.0, Some(not_before)),
            Subject::Everybody { not_before } => (b'e', Uuid::nil(), Some(not_before)),
            Subject::UserChanged(id) => (b'c', id.0, None),
            Subject::KeysChanged => (b'k', Uuid::nil(), None),
            // Never told on, but told apart like all others.
            Subject::Unknown => (b'?', Uuid::nil(), None),
        };
        let micros = |time: Timestamp| time.as_microsecond().to_be_bytes();
        bytes.push(letter);
        bytes.extend(id.as_bytes());
        bytes.extend(not_before.map_or([0; 8], micros));
        bytes.extend(micros(announcement.expires_at));
        bytes.extend(
            announcement
                .event
                .map_or(Uuid::nil(), |event| event.0)
                .as_bytes(),
        );
    }
    bytes
}

/// Those that this version knows. The others end nothing, and are counted where the database tells of them.
fn read_all(bytes: &[u8]) -> Option<Vec<Announcement>> {
    let (chunks, rest) = bytes.as_chunks::<49>();
    if !rest.is_empty() {
        return None;
    }
    let known = |chunk: &&[u8; 49]| LETTERS.contains(&chunk[0]);
    chunks.iter().filter(known).map(read).collect()
}

fn read(bytes: &[u8; 49]) -> Option<Announcement> {
    let (letter, rest) = bytes.split_first()?;
    let (id, rest) = rest.split_first_chunk::<16>()?;
    let (not_before, rest) = rest.split_first_chunk::<8>()?;
    let (expires_at, event) = rest.split_first_chunk::<8>()?;
    let time = |bytes: &[u8; 8]| Timestamp::from_microsecond(i64::from_be_bytes(*bytes)).ok();
    let id = Uuid::from_bytes(*id);
    let event = Uuid::from_slice(event).ok()?;
    let not_before = time(not_before)?;
    let subject = match letter {
        b's' => Subject::Session(SessionId(id)),
        b'u' => Subject::User {
            id: UserId(id),
            not_before,
        },
        b'e' => Subject::Everybody { not_before },
        b'c' => Subject::UserChanged(UserId(id)),
        b'k' => Subject::KeysChanged,
        _ => return None,
    };
    Some(Announcement {
        subject,
        expires_at: time(expires_at)?,
        event: (!event.is_nil()).then_some(EventId(event)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_read_back() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let id = Uuid::from_u128(7);
        let subjects = [
            Subject::Session(SessionId(id)),
            Subject::User {
                id: UserId(id),
                not_before: at(1),
            },
            Subject::Everybody { not_before: at(2) },
            Subject::UserChanged(UserId(id)),
            Subject::KeysChanged,
        ];
        let with = |event| {
            subjects.map(|subject| Announcement {
                subject,
                expires_at: at(3),
                event,
            })
        };
        let all = [with(None), with(Some(EventId(id)))].concat();
        let bytes = write(&all);
        assert_eq!(read_all(&bytes), Some(all.clone()));
        assert_eq!(read_all(&bytes[1..]), None);
        assert_eq!(read_all(&[b's'; 49]), None, "no time is so late");
        // What a newer version says between what is known is passed over.
        let among = [&bytes[..49], &[b'x'; 49], &bytes[49..]].concat();
        assert_eq!(read_all(&among), Some(all.clone()));
        assert_eq!(read_all(&[b'?'; 49]), Some(vec![]));
        let mut fingerprints: Vec<_> = all.iter().map(fingerprint).collect();
        fingerprints.sort_unstable();
        fingerprints.dedup();
        assert_eq!(fingerprints.len(), all.len());
    }
}

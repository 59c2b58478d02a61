use countersign_domain::audit::{Cursor, Fault as ChainFault, Hash, Mark, MarkKind};
use countersign_store::{Chain, StoreError};

use super::seal::{BATCH, CHECKPOINT_EVERY};
use crate::Flows;
use crate::fault::Fault;

/// Events that are read at a time.
const PAGE: u32 = 1000;

/// A log in which nothing is wrong.
#[derive(Clone, Debug)]
pub struct Verified {
    /// How many events have their place in the chain.
    pub events: u64,
    /// The position of the last one.
    pub position: u64,
    /// The chain's hash there.
    pub hash: Hash,
    /// Up to where events were verified and removed.
    pub cut: u64,
    /// How many checkpoints agree.
    pub checkpoints: u64,
    /// Events that have no place yet; they get it within about a second of a running server.
    pub unsealed: usize,
}

/// Why a log is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The first thing that is wrong.
    #[error("the audit log was tampered with: {0}")]
    Tampered(ChainFault),
    /// What somebody noted elsewhere is not what the log says.
    #[error("the audit log was tampered with: at {0} it was another when that was noted")]
    Anchor(u64),
    /// Something failed on the way.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<ChainFault> for VerifyError {
    fn from(fault: ChainFault) -> Self {
        Self::Tampered(fault)
    }
}

impl Flows {
    /// Walks through the whole log and checks every event, every checkpoint and the end. `anchor` is a position and the hash
    /// there as somebody noted them elsewhere, which finds also a log that was put back as a whole to an earlier state.
    pub async fn verify_audit(&self, anchor: Option<(u64, Hash)>) -> Result<Verified, VerifyError> {
        loop {
            let chain = self.store.chain().await.map_err(Fault::from)?;
            let outcome = self.walk(&chain, anchor).await;
            if let Err(VerifyError::Tampered(_)) = &outcome {
                let now = self.store.chain().await.map_err(Fault::from)?;
                if now.cut != chain.cut {
                    // A server has removed what the walk was looking for.
                    continue;
                }
            }
            return outcome;
        }
    }

    async fn walk(
        &self,
        chain: &Chain,
        anchor: Option<(u64, Hash)>,
    ) -> Result<Verified, VerifyError> {
        let store = &self.store;
        let mut cursor = Cursor::begin(&self.ink, chain.cut.as_ref())?;
        let cut = cursor.position();
        if let Some(id) = store.stray_event(cut).await.map_err(Fault::from)? {
            return Err(ChainFault::Stray { id }.into());
        }
        let mut checkpoints = Checkpoints::new(cut);
        // What was noted of a place before the cut cannot be compared with anything any more.
        let mut anchored = anchor.is_none_or(|(position, _)| position <= cut);
        if anchor.is_some_and(|(position, hash)| position == cut && hash != cursor.hash()) {
            return Err(VerifyError::Anchor(cut));
        }
        let mut page_size = PAGE;
        loop {
            let page = match store.sealed_events(cursor.position(), page_size).await {
                Err(StoreError::Corrupt(_)) if page_size == 1 => {
                    let position = cursor.position() + 1;
                    return Err(ChainFault::Unreadable { position }.into());
                }
                Err(StoreError::Corrupt(_)) => {
                    page_size = 1;
                    continue;
                }
                page => page.map_err(Fault::from)?,
            };
            let last = page.len() < page_size as usize;
            for (sealed, salt) in &page {
                let past = chain
                    .head
                    .as_ref()
                    .is_none_or(|head| sealed.position > head.position);
                if past && !self.was_sealed_meanwhile(sealed.position).await? {
                    let (position, id) = (sealed.position, sealed.row.id);
                    return Err(ChainFault::Beyond { position, id }.into());
                }
                if past {
                    break;
                }
                cursor.step(&self.ink, sealed)?;
                if !self.ink.agrees(&sealed.row, salt.as_ref()) {
                    let (position, id) = (sealed.position, sealed.row.id);
                    return Err(ChainFault::Changed { position, id }.into());
                }
                checkpoints.pass(self, &cursor).await?;
                if let Some((position, hash)) = anchor
                    && position == cursor.position()
                {
                    anchored = true;
                    if hash != cursor.hash() {
                        return Err(VerifyError::Anchor(position));
                    }
                }
            }
            let reached = chain
                .head
                .as_ref()
                .is_some_and(|head| cursor.position() >= head.position);
            if last || reached {
                break;
            }
        }
        cursor.end(&self.ink, chain.head.as_ref())?;
        checkpoints.end(self).await?;
        if let (false, Some((position, _))) = (anchored, anchor) {
            return Err(VerifyError::Anchor(position));
        }
        let unsealed = self.check_unsealed().await?;
        Ok(Verified {
            events: cursor.position() - cut,
            position: cursor.position(),
            hash: cursor.hash(),
            cut,
            checkpoints: checkpoints.passed,
            unsealed,
        })
    }

    /// How many events have no place yet, none of which may be somebody else's.
    async fn check_unsealed(&self) -> Result<usize, VerifyError> {
        let (mut count, mut after) = (0, None);
        loop {
            let rows = self
                .store
                .unsealed_events(after, PAGE)
                .await
                .map_err(Fault::from)?;
            if let Some(foreign) = rows.iter().find(|row| !self.ink.wrote(row)) {
                return Err(ChainFault::Foreign { id: foreign.id }.into());
            }
            count += rows.len();
            after = rows.last().map(|row| row.id);
            if rows.len() < PAGE as usize {
                return Ok(count);
            }
        }
    }

    /// Whether the chain has grown since it was read: then its end now covers the event.
    async fn was_sealed_meanwhile(&self, position: u64) -> Result<bool, Fault> {
        let head = self.store.chain().await?.head;
        Ok(head.is_some_and(|head| head.position >= position))
    }
}

/// The checkpoints, read as the walk reaches them.
struct Checkpoints {
    ahead: std::collections::VecDeque<Mark>,
    read_to: u64,
    all_read: bool,
    passed: u64,
    /// Where the last one was, or the cut.
    last: u64,
}

impl Checkpoints {
    fn new(cut: u64) -> Self {
        Self {
            ahead: std::collections::VecDeque::new(),
            read_to: cut,
            all_read: false,
            passed: 0,
            last: cut,
        }
    }

    async fn fill(&mut self, flows: &Flows) -> Result<(), Fault> {
        if self.ahead.is_empty() && !self.all_read {
            let page = flows.store.checkpoints(self.read_to, PAGE).await?;
            self.all_read = page.len() < PAGE as usize;
            self.read_to = page.last().map_or(self.read_to, |mark| mark.position);
            self.ahead.extend(page);
        }
        Ok(())
    }

    async fn pass(&mut self, flows: &Flows, cursor: &Cursor) -> Result<(), VerifyError> {
        self.fill(flows).await?;
        while let Some(mark) = self.ahead.front()
            && mark.position <= cursor.position()
        {
            cursor.pass(&flows.ink, mark)?;
            self.passed += 1;
            self.last = mark.position;
            self.ahead.pop_front();
            self.fill(flows).await?;
        }
        // Every so many events the chain was marked, at the end of a batch at the latest.
        match cursor.position() - self.last > CHECKPOINT_EVERY + u64::from(BATCH) {
            true => Err(ChainFault::Mark {
                kind: MarkKind::Checkpoint,
                position: cursor.position(),
            }
            .into()),
            false => Ok(()),
        }
    }

    /// One that lies behind the end contradicts it, unless the log has grown since.
    async fn end(&mut self, flows: &Flows) -> Result<(), VerifyError> {
        self.fill(flows).await?;
        match self.ahead.front() {
            Some(mark) if !flows.was_sealed_meanwhile(mark.position).await? => {
                let (kind, position) = (mark.kind, mark.position);
                Err(ChainFault::Mark { kind, position }.into())
            }
            _ => Ok(()),
        }
    }
}

//! What a next version could tell in Redis, for the tests of upgrades: something that this one does not know.

use std::sync::atomic::{AtomicBool, Ordering};

static BEGUN: AtomicBool = AtomicBool::new(false);

/// From now on this process is of the next version.
pub fn begin() {
    BEGUN.store(true, Ordering::Release);
}

/// One more announcement, whose letter is unknown and whose form is nobody's business, before all others.
pub(crate) fn and_more(announcements: Vec<u8>) -> Vec<u8> {
    match BEGUN.load(Ordering::Acquire) {
        true => [vec![b'r'; 49], announcements].concat(),
        false => announcements,
    }
}

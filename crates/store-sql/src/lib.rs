//! SQLite and PostgreSQL behind the promises of `countersign-store`.
//!
//! Every statement exists once (`statements.rs`), in the SQL that both engines share; the
//! transactions built from them exist once too (`users.rs`, `sessions.rs`, `refresh.rs`, `keys.rs`,
//! `limits.rs`, `announcements.rs`, `authority.rs`). Below them, two thin drivers connect, bind and run (`driver/`). Nothing
//! above the drivers asks which engine it talks to.
//!
//! # Locks
//! Sessions of a user are opened and ended only under the lock of the user's row, which is taken
//! first, by an `UPDATE` of it (SQLite has no `SELECT … FOR UPDATE`). Whoever holds it knows which
//! sessions are live until it commits, and two such transactions cannot wait for each other in a
//! circle. Refreshing takes no such lock: it is one conditional `UPDATE` of the session.
//!
//! # Times
//! Both engines store microseconds. Every time is cut to microseconds where it enters, so what is
//! returned by a change equals what is read later.
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]

mod announcements;
mod audit;
mod authority;
mod copy;
mod cursor;
mod ddl;
mod driver;
mod figures;
mod housekeeping;
mod keys;
mod limits;
mod locks;
mod migrations;
mod moves;
mod records;
mod refresh;
#[cfg(feature = "rehearsal")]
pub mod rehearsal;
mod schema;
mod service_keys;
mod sessions;
mod statements;
mod store;
mod strangers;
mod users;

#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;

pub use copy::{
    Copied, CopyError, CopyPlan, Finish, Ids, PlannedTable, Reopened, Stage, StoreCopy, TableReport,
};
pub use ddl::{Mode as LockMode, Work};
pub use moves::Standing;
pub use schema::{
    PlannedLock, PlannedMigration, PlannedStatement, SchemaError, SchemaState, TableSize,
};
pub use store::{ConnectError, Database, PoolState, Pools, SqlStore};

// Lets the tests' support module name this crate as tests outside do.
#[cfg(test)]
extern crate self as countersign_store_sql;

#[cfg(test)]
mod lock_tests;
#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod tests;

//! Runs the real `countersign` binary and speaks to it over HTTP, as the black-box tests in `tests/` need it.
//!
//! A test is an `async fn(Backend)` and runs on both backends by [`on_each_backend!`]. PostgreSQL is the one that
//! `COUNTERSIGN_TEST_POSTGRES` names; without it a test on PostgreSQL fails, it is not skipped:
//! `scripts/with-postgres cargo test -p countersign-tests`.

pub mod api;
pub mod cli;
pub mod collector;
pub mod database;
pub mod examples;
pub mod faults;
pub mod feed;
pub mod postgres;
pub mod promise;
pub mod proxies;
pub mod random;
pub mod raw;
pub mod redis;
pub mod server;
pub mod setup;
pub mod terminal;

pub use api::{Answer, Api, Tokens};
pub use collector::Collector;
pub use database::{Backend, Database};
pub use promise::within_a_second;
pub use random::Random;
pub use server::Server;
pub use setup::Setup;

/// Makes two tests, `NAME::sqlite` and `NAME::postgres`, of each `async fn NAME(backend: Backend)`.
#[macro_export]
macro_rules! on_each_backend {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name($crate::Backend::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name($crate::Backend::Postgres).await;
            }
        }
    )+};
}

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, Postgres as Driver};
use sqlx::query::Query;
use sqlx::{ConnectOptions, Connection};
use tokio::time::Instant;

use super::postgres_types::{PgJson, PgTime};
use super::wake::{Bell, Ear, Woken};
use super::{DbError, Dialect, List, Row, Value, micros};
use crate::ddl::Engine;
use crate::migrations;
use crate::store::{ConnectError, PoolState, Pools};

pub(super) const DIALECT: Dialect = Dialect {
    engine: Engine::Postgres,
    migrations: migrations::POSTGRES,
    has_ledger: "SELECT tablename::text FROM pg_catalog.pg_tables
        WHERE tablename = 'schema_migrations' AND schemaname = ANY (current_schemas(false))",
    make_ledger: "CREATE TABLE IF NOT EXISTS schema_migrations (
        number BIGINT PRIMARY KEY,
        name TEXT NOT NULL,
        sql TEXT NOT NULL,
        applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
    )",
    table_size: "SELECT pg_total_relation_size(c.oid), nullif(c.reltuples::bigint, -1)
        FROM pg_catalog.pg_class c WHERE c.oid = to_regclass($1)",
    append_events: "INSERT INTO audit_events (id, at, kind, outcome, reason, by, user_id, \
        session_id, details, personal, address_tag, mac) \
        SELECT id, timestamptz 'epoch' + at * interval '1 microsecond', kind, outcome, reason, by, \
            \"user\", session, details, decode(personal, 'hex'), decode(address, 'hex'), \
            decode(mac, 'hex') \
        FROM jsonb_to_recordset($1) AS event (id uuid, at bigint, kind text, outcome text, \
            reason text, by text, \"user\" uuid, session uuid, details text, personal text, \
            address text, mac text) \
        ON CONFLICT (id) DO NOTHING",
    seal_events: "UPDATE audit_events SET position = link.position, hash = decode(link.hash, 'hex') \
        FROM jsonb_to_recordset($1) AS link (id uuid, position bigint, hash text) \
        WHERE audit_events.id = link.id AND audit_events.position IS NULL",
    audit_salts: "SELECT id, audit_salt FROM users WHERE audit_salt IS NOT NULL \
        AND id IN (SELECT value::uuid FROM jsonb_array_elements_text($1)) \
        FOR KEY SHARE",
};

/// How long to wait for a connection, be it a free one or a new one.
const ACQUIRE: Duration = Duration::from_secs(2);
/// How long to wait at start, when there is nobody yet who waits for an answer.
const FIRST_CONNECTION: Duration = Duration::from_secs(5);
/// How long to wait for an answer. Longer than the server's own limits, so it counts only where
/// the server or the way to it hangs.
const ANSWER: Duration = Duration::from_secs(8);
/// Migrations may rewrite tables, and wait for those of other instances.
const MIGRATION_ANSWER: Duration = Duration::from_secs(3600);
/// A connection that was idle for longer is asked whether it is still alive before use.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// No transaction begins its commit later than this after its beginning. Instances that follow the
/// announcements count on it: one that commits long after a younger one would be overlooked.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(5);

const LIMITS: [(&str, &str); 3] = [
    ("statement_timeout", "5s"),
    ("lock_timeout", "3s"),
    ("idle_in_transaction_session_timeout", "5s"),
];
/// For one transaction only. The lock, whose number is arbitrary, is that transaction's too. Behind a lock that a migration
/// waits for, all others wait; so it waits for less than they may, and is tried again.
const BEGIN_MIGRATION: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s';
    SELECT pg_advisory_xact_lock(7305808869231650657); SET LOCAL lock_timeout = '500ms'";

const SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// A pool of connections to a PostgreSQL server.
pub(crate) struct Postgres {
    pub(super) pool: PgPool,
    /// One connection for what must not wait behind requests, which may all be waiting for a lock.
    apart: PgPool,
    /// How many connections to ask whether they are alive before they are used, since one was found
    /// dead. After a restart of the server all are, and without this each would cost an error.
    suspect: Arc<AtomicU32>,
    max_connections: u32,
    bell: Arc<Bell>,
    ear: Ear,
}

impl Postgres {
    pub(super) async fn connect(url: &str, pools: Pools) -> Result<Self, ConnectError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| ConnectError::Url(error.to_string()))?
            .application_name("countersign")
            .options(LIMITS);
        probe(&options).await?;
        let apart = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(true)
            .connect_lazy_with(options.clone());
        // One of them is the one apart, and one listens.
        let max_connections = pools.max_connections.saturating_sub(2).max(1);
        let suspect = Arc::new(AtomicU32::new(0));
        let asked = Arc::clone(&suspect);
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE)
            // A ping before every use would double the round trips of a read.
            .test_before_acquire(false)
            .before_acquire(move |connection, meta| {
                let suspected = asked
                    .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1))
                    .is_ok();
                Box::pin(async move {
                    if suspected || meta.idle_for > TRUSTED_IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options.clone());
        let listens = Arc::new(AtomicI64::new(0));
        Ok(Self {
            bell: Arc::new(Bell::new(pool.clone(), Arc::clone(&listens))),
            ear: Ear::new(options, pool.clone(), listens),
            pool,
            apart,
            suspect,
            max_connections,
        })
    }

    pub(super) async fn read(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        match self.write(sql, values.clone()).await {
            Err(DbError::Gone(_)) => self.write(sql, values).await,
            other => other,
        }
    }

    /// [`Self::read`] on the connection apart.
    pub(super) async fn read_apart(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        Lease::of(&self.apart).await?.run(sql, values).await
    }

    pub(super) async fn write(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        let mut lease = self.lease().await?;
        let rows = lease.run(sql, values).await;
        self.suspect_others_after(&rows);
        rows
    }

    pub(super) async fn begin(&self) -> Result<Tx, DbError> {
        let first = self.try_begin().await;
        self.suspect_others_after(&first);
        match first {
            Err(DbError::Gone(_)) => self.try_begin().await,
            other => other,
        }
    }

    async fn try_begin(&self) -> Result<Tx, DbError> {
        let mut tx = Tx {
            lease: self.lease().await?,
            failed: false,
            announces: false,
            bell: Arc::clone(&self.bell),
            commit_by: Some(Instant::now() + LONGEST_TRANSACTION),
        };
        tx.lease.script("BEGIN").await?;
        // Dropped before `commit` or `rollback`, it closes the connection.
        tx.lease.in_step = false;
        Ok(tx)
    }

    pub(super) async fn begin_snapshot(&self) -> Result<Tx, DbError> {
        let mut tx = self.begin().await?;
        tx.script(SNAPSHOT).await?;
        Ok(tx)
    }

    pub(super) async fn begin_migration(&self) -> Result<Tx, DbError> {
        let mut tx = self.begin().await?;
        tx.lease.patience = MIGRATION_ANSWER;
        tx.commit_by = None;
        tx.script(BEGIN_MIGRATION).await?;
        Ok(tx)
    }

    pub(super) fn state(&self) -> PoolState {
        PoolState {
            size: self.pool.size() + self.apart.size() + u32::from(self.hears() == Some(true)),
            idle: u32::try_from(self.pool.num_idle() + self.apart.num_idle()).unwrap_or(u32::MAX),
        }
    }

    /// Waits until another instance or an operator has announced something, as far as that is heard.
    pub(super) async fn woken(&self) -> Woken<'_> {
        self.ear.woken().await
    }

    /// Whether that is heard; `None`: nobody has asked.
    pub(super) fn hears(&self) -> Option<bool> {
        self.ear.hears()
    }

    pub(super) async fn close(&self) {
        self.bell.silence().await;
        self.ear.stop();
        self.pool.close().await;
        self.apart.close().await;
    }

    async fn lease(&self) -> Result<Lease, DbError> {
        Lease::of(&self.pool).await
    }

    fn suspect_others_after<T>(&self, outcome: &Result<T, DbError>) {
        if matches!(outcome, Err(DbError::Gone(_))) {
            self.suspect.store(self.max_connections, Ordering::Release);
        }
    }
}

/// One connection outside the pool: its error says what is wrong, where the pool's would say only
/// that it waited in vain.
async fn probe(options: &PgConnectOptions) -> Result<(), ConnectError> {
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let connection = match tokio::time::timeout(FIRST_CONNECTION, options.connect()).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(ConnectError::Unreachable(place, error.to_string())),
        Err(_) => {
            let waited = format!("no answer within {} s", FIRST_CONNECTION.as_secs());
            return Err(ConnectError::Unreachable(place, waited));
        }
    };
    // The answer to a polite farewell changes nothing.
    drop(connection.close().await);
    Ok(())
}

/// A connection on loan from the pool. It goes back only when no statement is under way and no
/// transaction open; otherwise it is closed, so that nobody is ever given the answer to another's
/// question, nor writes into a transaction that nobody will commit.
pub(super) struct Lease {
    connection: PoolConnection<Driver>,
    in_step: bool,
    patience: Duration,
}

impl Lease {
    pub(super) async fn of(pool: &PgPool) -> Result<Self, DbError> {
        let connection = pool.acquire().await.map_err(DbError::postgres)?;
        Ok(Self {
            connection,
            in_step: true,
            patience: ANSWER,
        })
    }

    pub(super) async fn run(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        let query = values.into_iter().fold(sqlx::query(sql), bind);
        self.in_step = false;
        let rows = within(self.patience, query.fetch_all(&mut *self.connection)).await?;
        self.in_step = true;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, DbError> {
        let query = values.into_iter().fold(sqlx::query(sql), bind);
        self.in_step = false;
        let done = within(self.patience, query.execute(&mut *self.connection)).await?;
        self.in_step = true;
        Ok(done.rows_affected())
    }

    async fn script(&mut self, sql: &'static str) -> Result<(), DbError> {
        self.in_step = false;
        let script = sqlx::raw_sql(sql).execute(&mut *self.connection);
        within(self.patience, script).await?;
        self.in_step = true;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.in_step {
            self.connection.close_on_drop();
        }
    }
}

/// A transaction. Dropped before its end it costs the connection, which ends it on the server.
pub(crate) struct Tx {
    lease: Lease,
    failed: bool,
    /// Others are to be told when it has ended.
    announces: bool,
    bell: Arc<Bell>,
    /// `None`: a migration, which may take its time.
    commit_by: Option<Instant>,
}

impl Tx {
    pub(super) async fn run(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        let rows = self.lease.run(sql, values).await;
        self.after(&rows);
        rows
    }

    pub(super) async fn execute(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<u64, DbError> {
        let done = self.lease.execute(sql, values).await;
        self.after(&done);
        done
    }

    pub(super) async fn script(&mut self, sql: &'static str) -> Result<(), DbError> {
        let done = self.lease.script(sql).await;
        self.after(&done);
        done
    }

    pub(super) async fn commit(mut self) -> Result<(), DbError> {
        if self.failed {
            // The server would answer COMMIT with a quiet rollback.
            let text = "commit after a failed statement".to_owned();
            return Err(DbError::Corrupt(text));
        }
        if self.commit_by.is_some_and(|by| Instant::now() > by) {
            self.lease.script("ROLLBACK").await?;
            let text = format!(
                "a transaction took over {} s",
                LONGEST_TRANSACTION.as_secs()
            );
            return Err(DbError::Unavailable(text));
        }
        let done = self.lease.script("COMMIT").await;
        if self.announces {
            // After the commit, and outside it. Also where it failed: it may have happened.
            self.bell.ring();
        }
        done
    }

    /// Has others told when this is committed.
    pub(super) fn announces(&mut self) {
        self.announces = true;
    }

    pub(super) async fn rollback(mut self) -> Result<(), DbError> {
        self.lease.script("ROLLBACK").await
    }

    fn after<T>(&mut self, outcome: &Result<T, DbError>) {
        self.failed |= outcome.is_err();
        self.lease.in_step = false;
    }
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, DbError> {
    match tokio::time::timeout(patience, work).await {
        Ok(done) => done.map_err(DbError::postgres),
        Err(_) => Err(DbError::Unavailable(format!(
            "no answer within {} s",
            patience.as_secs()
        ))),
    }
}

fn bind(
    query: Query<'static, Driver, PgArguments>,
    value: Value,
) -> Query<'static, Driver, PgArguments> {
    match value {
        Value::Uuid(id) => query.bind(id),
        Value::OptUuid(id) => query.bind(id),
        Value::Text(text) => query.bind(text),
        Value::OptText(text) => query.bind(text),
        Value::Time(time) => query.bind(PgTime(micros(time))),
        Value::OptTime(time) => query.bind(time.map(micros).map(PgTime)),
        Value::Int(number) => query.bind(number),
        Value::Bytes(bytes) => query.bind(bytes),
        Value::OptBytes(bytes) => query.bind(bytes),
        Value::Json(text) => query.bind(PgJson(text)),
        Value::OptJson(text) => query.bind(text.map(PgJson)),
        Value::List(List::Uuids(ids)) => query.bind(ids),
        Value::List(List::Texts(texts)) => query.bind(texts),
        Value::List(List::Times(times)) => {
            let times = times.into_iter().map(|time| time.map(micros).map(PgTime));
            query.bind(times.collect::<Vec<_>>())
        }
        Value::List(List::Ints(numbers)) => query.bind(numbers),
        Value::List(List::Bytes(all)) => query.bind(all),
        Value::List(List::Jsons(texts)) => {
            let texts = texts.into_iter().map(|text| text.map(PgJson));
            query.bind(texts.collect::<Vec<_>>())
        }
    }
}

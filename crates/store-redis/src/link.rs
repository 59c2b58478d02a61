//! Connections. One carries the commands of everybody, written one after the other and answered
//! in that order, whoever still waits for the answer: a command of a caller that has gone away is
//! still sent whole, and its answer dropped when it comes.

use std::path::Path;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{
    LogicalAggregateOp, MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo, SingleNodeRoutingInfo,
};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue,
    IntoConnectionInfo, Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError,
    TlsCertificates, Value,
};

use crate::ConnectError;
use crate::url::{Layout, RedisUrl};

/// For how long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For an answer. Callers of the store wait no longer than this for Redis.
    pub answer: Duration,
    /// For a connection. Only the task that looks after Redis waits for one.
    pub connect: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: Duration::from_millis(200),
            connect: Duration::from_secs(2),
        }
    }
}

/// What every certificate begins with in PEM (RFC 7468).
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Dialer {
    url: RedisUrl,
    certificates: TlsCertificates,
    patience: Patience,
}

impl Dialer {
    pub(crate) fn new(
        url: RedisUrl,
        ca_file: Option<&Path>,
        patience: Patience,
    ) -> Result<Self, ConnectError> {
        let root_cert = match ca_file {
            None => None,
            Some(file) => {
                let unusable = |reason: String| ConnectError::Authority {
                    file: file.to_owned(),
                    reason,
                };
                let pem = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
                if !pem
                    .windows(CERTIFICATE.len())
                    .any(|part| part == CERTIFICATE)
                {
                    return Err(unusable("it holds no certificate (PEM)".to_owned()));
                }
                Some(pem)
            }
        };
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert,
        };
        Ok(Self {
            url,
            certificates,
            patience,
        })
    }

    pub(crate) fn place(&self) -> String {
        self.url.place()
    }

    /// A connection for everybody's commands.
    pub(crate) async fn connect(&self) -> Result<Link, RedisError> {
        self.dial(self.patience.answer).await
    }

    /// A connection of its own for commands that wait up to `longest` before they answer.
    pub(crate) async fn connect_patiently(&self, longest: Duration) -> Result<Link, RedisError> {
        self.dial(longest + self.patience.connect).await
    }

    async fn dial(&self, answer: Duration) -> Result<Link, RedisError> {
        let attempt = async {
            Ok(match &self.url.layout {
                Layout::Cluster => Channel::Cluster(self.cluster(answer).await?),
                Layout::Node => match self.url.hosts.first() {
                    Some((host, port)) => Channel::Node(self.node(host, *port, answer).await?),
                    None => return Err(nowhere("no host")),
                },
                Layout::Sentinel(name) => {
                    let (host, port) = self.master(name).await?;
                    Channel::Node(self.checked_master(&host, port, answer).await?)
                }
            })
        };
        let channel = within(self.patience.connect, attempt).await?;
        Ok(Link { channel, answer })
    }

    fn tcp() -> TcpSettings {
        TcpSettings::default().set_nodelay(true)
    }

    /// What Redis is told at the beginning. RESP3 is what lets a Cluster's dead nodes be noticed.
    fn settings(&self) -> RedisConnectionInfo {
        let mut settings = RedisConnectionInfo::default()
            .set_db(self.url.database)
            .set_protocol(ProtocolVersion::RESP3);
        if let Some(username) = &self.url.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.url.password {
            settings = settings.set_password(password.as_str());
        }
        settings
    }

    fn info(&self, host: &str, port: u16) -> Result<ConnectionInfo, RedisError> {
        let host = host.to_owned();
        let addr = match self.url.tls {
            false => ConnectionAddr::Tcp(host, port),
            true => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
        };
        Ok(addr
            .into_connection_info()?
            .set_tcp_settings(Self::tcp())
            .set_redis_settings(self.settings()))
    }

    async fn node(
        &self,
        host: &str,
        port: u16,
        answer: Duration,
    ) -> Result<MultiplexedConnection, RedisError> {
        self.open(self.info(host, port)?, answer).await
    }

    async fn open(
        &self,
        info: ConnectionInfo,
        answer: Duration,
    ) -> Result<MultiplexedConnection, RedisError> {
        let client = match self.url.tls {
            true => Client::build_with_tls(info, self.certificates.clone())?,
            false => Client::open(info)?,
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience.connect))
            .set_response_timeout(Some(answer));
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    async fn cluster(&self, answer: Duration) -> Result<ClusterConnection, RedisError> {
        let nodes = self.url.hosts.iter();
        let nodes = nodes.map(|(host, port)| self.info(host, *port));
        let nodes: Vec<_> = nodes.collect::<Result<_, _>>()?;
        let mut builder = ClusterClientBuilder::new(nodes)
            // A redirection counts as a retry; more than a few are left to the next attempt.
            .retries(3)
            .min_retry_wait(5)
            .max_retry_wait(50)
            .connection_timeout(self.patience.connect)
            .response_timeout(answer)
            .overall_response_timeout(Some(answer))
            .use_protocol(ProtocolVersion::RESP3)
            .tcp_settings(Self::tcp());
        if self.url.tls {
            builder = builder.certs(self.certificates.clone());
        }
        builder.build()?.get_async_connection().await
    }

    /// Asks the Sentinels, one after the other, where the master is.
    async fn master(&self, name: &str) -> Result<(String, u16), RedisError> {
        let mut last = nowhere("no Sentinel knows the master");
        let each = self.patience.connect / 4;
        for (host, port) in &self.url.hosts {
            let info = self.info(host, *port)?;
            let asked = RedisConnectionInfo::default();
            let mut question = redis::cmd("SENTINEL");
            question.arg("get-master-addr-by-name").arg(name);
            let attempt = async {
                let connection = self.open(info.set_redis_settings(asked), each).await?;
                ask::<Option<(String, u16)>>(connection, &question).await
            };
            match within(each, attempt).await {
                Ok(Some(place)) => return Ok(place),
                Ok(None) => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A Sentinel may still name a server that has been demoted: it says so itself.
    async fn checked_master(
        &self,
        host: &str,
        port: u16,
        answer: Duration,
    ) -> Result<MultiplexedConnection, RedisError> {
        let connection = self.node(host, port, answer).await?;
        let role: Value = ask(connection.clone(), &redis::cmd("ROLE")).await?;
        let Value::Array(role) = role else {
            return Err(nowhere("the master did not tell its role"));
        };
        let role = role.into_iter().next().map(String::from_redis_value);
        match role.transpose()?.as_deref() {
            Some("master") => Ok(connection),
            _ => Err(nowhere("the Sentinels name a server that is no master")),
        }
    }
}

fn nowhere(text: &'static str) -> RedisError {
    (ErrorKind::Client, text).into()
}

async fn ask<T: FromRedisValue>(
    mut connection: impl ConnectionLike,
    question: &Cmd,
) -> Result<T, RedisError> {
    let answer = connection.req_packed_command(question).await?;
    Ok(T::from_redis_value(answer.extract_error()?)?)
}

/// Bounds a wait.
async fn within<T>(
    longest: Duration,
    work: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    match tokio::time::timeout(longest, work).await {
        Ok(done) => done,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

/// An open connection; clones share it.
#[derive(Clone)]
pub(crate) struct Link {
    channel: Channel,
    answer: Duration,
}

#[derive(Clone)]
enum Channel {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    /// Runs a command that concerns one key.
    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        match self.channel.clone() {
            // It has been told for how long to wait, and a second timer would cost as much as the first.
            Channel::Node(connection) => ask(connection, command).await,
            Channel::Cluster(connection) => within(self.answer, ask(connection, command)).await,
        }
    }

    /// Runs commands that each concern one key, at once. Stops at the first error; the others may
    /// have happened or not.
    pub(crate) async fn query_all(&self, commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
        let mut answers = Vec::with_capacity(commands.len());
        match self.channel.clone() {
            Channel::Node(mut connection) => {
                let mut pipeline = Pipeline::with_capacity(commands.len());
                for command in commands {
                    pipeline.add_command(command.clone());
                }
                let work = connection.req_packed_commands(&pipeline, 0, commands.len());
                for answer in within(self.answer, work).await? {
                    answers.push(answer.extract_error()?);
                }
            }
            // The keys lie on several nodes.
            Channel::Cluster(_) => {
                for command in commands {
                    answers.push(self.query(command).await?);
                }
            }
        }
        Ok(answers)
    }

    /// Runs a command on some server.
    pub(crate) async fn anywhere(&self, command: Cmd) -> Result<Value, RedisError> {
        let work = async {
            match self.channel.clone() {
                Channel::Node(connection) => ask(connection, &command).await,
                Channel::Cluster(mut connection) => {
                    let routing = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
                    let answer = connection.route_command(command, routing).await?;
                    Ok(answer.extract_error()?)
                }
            }
        };
        within(self.answer, work).await
    }

    /// Runs a command on every server that takes writes. A yes is one from all of them.
    pub(crate) async fn everywhere(
        &self,
        command: Cmd,
        policy: Everywhere,
    ) -> Result<Value, RedisError> {
        let work = async {
            match self.channel.clone() {
                Channel::Node(connection) => ask(connection, &command).await,
                Channel::Cluster(mut connection) => {
                    let policy = match policy {
                        Everywhere::AllAgree => {
                            ResponsePolicy::AggregateLogical(LogicalAggregateOp::And)
                        }
                        Everywhere::AllSucceed => ResponsePolicy::AllSucceeded,
                    };
                    let masters = MultipleNodeRoutingInfo::AllMasters;
                    let routing = RoutingInfo::MultiNode((masters, Some(policy)));
                    let answer = connection.route_command(command, routing).await?;
                    Ok(answer.extract_error()?)
                }
            }
        };
        within(self.answer * 5, work).await
    }
}

/// How the answers of several servers become one.
#[derive(Clone, Copy)]
pub(crate) enum Everywhere {
    /// Lists of yes or no.
    AllAgree,
    /// One of them, where all are good.
    AllSucceed,
}

//! `REDIS_URL`: where Redis is, and how it is spread.

use std::fmt;

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

/// Why a URL cannot be used. One line; never the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("REDIS_URL cannot be read: {0}")]
pub struct UrlError(String);

/// What a URL names. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    pub(crate) layout: Layout,
    pub(crate) tls: bool,
    pub(crate) hosts: Vec<(String, u16)>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Zeroizing<String>>,
    pub(crate) database: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One server.
    Node,
    /// A Cluster; the hosts are some of its nodes.
    Cluster,
    /// The hosts are Sentinels that know where the master of this name is.
    Sentinel(String),
}

impl UrlError {
    /// What is wrong, without the setting's name.
    pub fn reason(&self) -> &str {
        &self.0
    }
}

const FORMS: &str = "expected `redis://host:6379`, `redis-cluster://host,host` or \
    `redis-sentinel://host,host/master-name`, or the same with `rediss` for TLS";

impl RedisUrl {
    /// Reads one of
    ///
    /// - `redis://[user:password@]host[:6379][/database]`
    /// - `redis-cluster://[user:password@]host[:6379],…`
    /// - `redis-sentinel://[user:password@]host[:26379],…/master-name[/database]`, where user and
    ///   password are those of the servers; Sentinels are asked without
    ///
    /// or the same with `rediss` in place of `redis`, for TLS. What has a meaning in a URL is
    /// percent-encoded in user and password.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let error = |text: &str| UrlError(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(|| error(FORMS))?;
        let (layout, tls) = match scheme {
            "redis" => ("", false),
            "rediss" => ("", true),
            "redis-cluster" => ("cluster", false),
            "rediss-cluster" => ("cluster", true),
            "redis-sentinel" => ("sentinel", false),
            "rediss-sentinel" => ("sentinel", true),
            _ => return Err(error(FORMS)),
        };
        if rest.contains(['?', '#']) {
            return Err(error(
                "it takes no options after `?` or `#` (in a password write %3F or %23)",
            ));
        }
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let (username, password) = credentials(user)?;
        let mut parts = place.split('/');
        let port = if layout == "sentinel" { 26379 } else { 6379 };
        let hosts = parts.next().unwrap_or_default().split(',');
        let hosts: Vec<_> = hosts.map(|one| host(one, port)).collect::<Result<_, _>>()?;
        let mut path = parts.filter(|part| !part.is_empty());
        let layout = match layout {
            "cluster" => Layout::Cluster,
            "sentinel" => {
                let name = path
                    .next()
                    .ok_or_else(|| error("it names no master, as in `/master-name`"))?;
                Layout::Sentinel(decoded(name)?)
            }
            _ if hosts.len() > 1 => {
                return Err(error(
                    "several hosts need `redis-cluster` or `redis-sentinel`",
                ));
            }
            _ => Layout::Node,
        };
        let database = match path.next() {
            None => 0,
            Some(_) if layout == Layout::Cluster => {
                return Err(error("a Cluster has no numbered databases"));
            }
            Some(number) => number
                .parse::<u16>()
                .map_err(|_| error("the database must be a number"))?,
        };
        if path.next().is_some() {
            return Err(error("there is too much after the database"));
        }
        Ok(Self {
            layout,
            tls,
            hosts,
            username,
            password,
            database: i64::from(database),
        })
    }

    /// Whether connections are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.tls
    }

    /// The URL as it may be shown.
    pub fn shown(&self) -> String {
        let tls = if self.tls { "s" } else { "" };
        let user = match (&self.username, &self.password) {
            (None, None) => String::new(),
            (name, None) => format!("{}@", name.as_deref().unwrap_or_default()),
            (name, Some(_)) => format!("{}:hidden@", name.as_deref().unwrap_or_default()),
        };
        let (scheme, path) = match &self.layout {
            Layout::Node => ("", String::new()),
            Layout::Cluster => ("-cluster", String::new()),
            Layout::Sentinel(name) => ("-sentinel", format!("/{name}")),
        };
        let database = match self.database {
            0 => String::new(),
            number => format!("/{number}"),
        };
        format!(
            "redis{tls}{scheme}://{user}{}{path}{database}",
            self.place()
        )
    }

    /// The hosts, as an operator knows them.
    pub fn place(&self) -> String {
        let hosts = self.hosts.iter().map(|(host, port)| {
            if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            }
        });
        hosts.collect::<Vec<_>>().join(",")
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisUrl")
            .field("layout", &self.layout)
            .field("tls", &self.tls)
            .field("place", &self.place())
            .finish_non_exhaustive()
    }
}

fn credentials(
    user: Option<&str>,
) -> Result<(Option<String>, Option<Zeroizing<String>>), UrlError> {
    let Some(user) = user else {
        return Ok((None, None));
    };
    let (name, password) = match user.split_once(':') {
        Some((name, password)) => (name, Some(password)),
        None => (user, None),
    };
    let given = |text: &str| match text {
        "" => Ok(None),
        text => decoded(text).map(Some),
    };
    let password = password.map_or(Ok(None), given)?;
    Ok((given(name)?, password.map(Zeroizing::new)))
}

fn decoded(text: &str) -> Result<String, UrlError> {
    let text = percent_decode_str(text).decode_utf8();
    let text = text.map_err(|_| UrlError("what is percent-encoded is not UTF-8".to_owned()))?;
    Ok(text.into_owned())
}

fn host(text: &str, default_port: u16) -> Result<(String, u16), UrlError> {
    let bad = |text: &str| UrlError(text.to_owned());
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest
                .split_once(']')
                .ok_or_else(|| bad("an IPv6 address misses its `]`"))?;
            (host, after.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err(bad("a host is missing"));
    }
    let port = match port {
        None => default_port,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| bad("a port must be a number from 1 to 65535"))?,
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RedisUrl {
        RedisUrl::parse(text).unwrap()
    }

    #[test]
    fn forms() {
        let plain = parse("redis://cache");
        assert_eq!(plain.hosts, [("cache".to_owned(), 6379)]);
        assert_eq!(
            (plain.layout, plain.tls, plain.database),
            (Layout::Node, false, 0)
        );
        let full = parse("rediss://app:p%40ss%2Fw%3Ard@[::1]:7000/3");
        assert_eq!(full.place(), "[::1]:7000");
        assert_eq!(full.username.as_deref(), Some("app"));
        assert_eq!(
            full.password.as_ref().map(|p| p.as_str()),
            Some("p@ss/w:rd")
        );
        assert!(full.tls && full.database == 3);
        let password_only = parse("redis://:secret@cache");
        assert_eq!(password_only.username, None);
        assert_eq!(
            password_only.password.as_ref().map(|p| p.as_str()),
            Some("secret")
        );
        let cluster = parse("redis-cluster://a:1,b,c:3");
        assert_eq!(
            (cluster.place().as_str(), cluster.layout),
            ("a:1,b:6379,c:3", Layout::Cluster)
        );
        let sentinel = parse("redis-sentinel://u:p@a,b:5/main/2");
        assert_eq!(sentinel.place(), "a:26379,b:5");
        assert_eq!(sentinel.layout, Layout::Sentinel("main".to_owned()));
        assert_eq!(sentinel.database, 2);
    }

    #[test]
    fn mistakes_are_named_in_one_line_without_the_password() {
        for (text, expected) in [
            ("hunter2", "redis://host:6379"),
            ("http://:hunter2@cache", "redis://host:6379"),
            ("redis://:hunter2@", "host is missing"),
            ("redis://:hunter2@cache:x", "port"),
            ("redis://:hunter2@cache:0", "port"),
            ("redis://:hunter2@cache:70000", "port"),
            ("redis://:hunter2@cache/main", "number"),
            ("redis://:hunter2@cache/1/2", "too much"),
            ("redis://:hunter2@[::1", "`]`"),
            ("redis://:hunter2@a,b", "redis-cluster"),
            ("redis://:hunter2@a?x=1", "no options"),
            ("redis://:hunter2#a@b", "%23"),
            ("redis-cluster://:hunter2@a,b/1", "no numbered"),
            ("redis-cluster://:hunter2@a,,b", "host is missing"),
            ("redis-sentinel://:hunter2@a,b", "no master"),
            ("redis://:hunter2%ff@a", "UTF-8"),
        ] {
            let line = RedisUrl::parse(text).unwrap_err().to_string();
            assert!(
                line.starts_with("REDIS_URL ") && line.contains(expected),
                "{line}"
            );
            assert!(!line.contains('\n') && !line.contains("hunter2"), "{line}");
        }
        for (text, expected) in [
            ("redis://u:hunter2@cache", "redis://u:hidden@cache:6379"),
            ("rediss://:hunter2@cache/2", "rediss://:hidden@cache:6379/2"),
            ("rediss-cluster://a,b", "rediss-cluster://a:6379,b:6379"),
            (
                "redis-sentinel://u@a/main/1",
                "redis-sentinel://u@a:26379/main/1",
            ),
        ] {
            assert_eq!(parse(text).shown(), expected);
        }
        let shown = format!("{:?}", parse("redis://u:hunter2@cache"));
        assert!(
            shown.contains("cache:6379") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

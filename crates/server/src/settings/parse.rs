//! From texts to values, one function a kind. Every fault says what is wrong and what to do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use countersign_domain::limits::Rule;
use ipnet::IpNet;
use jiff::SignedDuration;
use url::{Host, Url};

use super::kind::Kind;
use super::reader::{Fault, Shown};
use super::secret::Secret;
use super::table::Setting;
use super::weak;

fn must_be(kind: &Kind) -> Fault {
    Fault::new(format!("must be {}", kind.describe()))
}

/// A whole number within the bounds of the setting: decimal digits and nothing else.
pub(super) fn number<T: TryFrom<u64>>(setting: &Setting) -> impl Fn(&str) -> Result<T, Fault> {
    let kind = setting.kind;
    move |text| {
        let Kind::Number { min, max, .. } = kind else {
            return Err(must_be(&kind));
        };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text
            .parse::<u64>()
            .ok()
            .filter(|number| digits && (min..=max).contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| must_be(&kind))
    }
}

/// Minutes, hours or days, as a duration.
pub(super) fn duration(
    setting: &Setting,
    seconds: u64,
) -> impl Fn(&str) -> Result<Duration, Fault> {
    let number = number::<u64>(setting);
    move |text| Ok(Duration::from_secs(number(text)? * seconds))
}

/// One of the words of the setting, each with the value it stands for.
pub(super) fn choice<T: Clone>(
    setting: &Setting,
    values: &[(&str, T)],
) -> impl Fn(&str) -> Result<T, Fault> {
    let kind = setting.kind;
    move |text| {
        let found = values.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| value.clone()).ok_or_else(|| {
            let near = values
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(text));
            match near {
                Some((word, _)) => must_be(&kind).hint(format!("write `{word}`")),
                None => must_be(&kind),
            }
        })
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        let fault = must_be(&Kind::Address);
        match text.rsplit_once(':') {
            Some(("", port)) if port.parse::<u16>().is_ok() => fault.hint(format!(
                "write `0.0.0.0:{port}` for all interfaces or `127.0.0.1:{port}` for this machine"
            )),
            Some(("localhost", port)) if port.parse::<u16>().is_ok() => {
                fault.hint(format!("write `127.0.0.1:{port}`"))
            }
            _ => fault,
        }
    })
}

pub(super) fn address_or_off(text: &str) -> Result<Option<SocketAddr>, Fault> {
    match text {
        "off" => Ok(None),
        _ => address(text).map(Some).map_err(|fault| Fault {
            problem: must_be(&Kind::AddressOrOff).problem,
            ..fault
        }),
    }
}

pub(super) fn path(text: &str) -> Result<PathBuf, Fault> {
    if text.chars().any(char::is_control) {
        return Err(Fault::new("has control characters in its path"));
    }
    Ok(text.into())
}

pub(super) fn secret(text: &str) -> Result<Secret, Fault> {
    // Trimming it would make another secret than the one that the APIs were given.
    if text != text.trim() {
        return Err(Fault::new("begins or ends with white space")
            .hint("remove it, a line break for example"));
    }
    match weak::weakness(text) {
        Some(why) => Err(Fault::new(why).hint("take the output of `openssl rand -base64 48`")),
        None => Ok(Secret::new(text)),
    }
}

/// The issuer, kept exactly as written: verifiers compare it as a text (RFC 8414, section 2, and RFC 9068, section 4).
pub(super) fn issuer(text: &str) -> Result<String, Fault> {
    let fault = || must_be(&Kind::Issuer);
    // The whole is hidden where there is a user: a password may follow.
    let url = Url::parse(text).map_err(|_| fault().shown(Shown::Hidden))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault().shown(Shown::Hidden));
    }
    if !matches!(url.scheme(), "http" | "https") || !text.contains("://") || url.query().is_some() {
        return Err(fault());
    }
    if url.fragment().is_some() || text.chars().any(|c| !c.is_ascii_graphic()) {
        return Err(fault());
    }
    Ok(text.to_owned())
}

/// Whether a URL's host is this machine, so that nobody in between can listen.
pub(super) fn is_local_url(text: &str) -> bool {
    match Url::parse(text).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

pub(super) fn audience(text: &str) -> Result<String, Fault> {
    if text.len() > 200 || text.chars().any(|c| !c.is_ascii_graphic()) {
        return Err(must_be(&Kind::Audience));
    }
    Ok(text.to_owned())
}

/// Web origins in the form that browsers send (RFC 6454, section 6.2), or none for `off`.
pub(super) fn origins(text: &str) -> Result<Vec<String>, Fault> {
    if text == "off" {
        return Ok(Vec::new());
    }
    items(text).map(origin).collect()
}

fn origin(text: &str) -> Result<String, Fault> {
    let fault = || must_be(&Kind::Origins).shown(Shown::As(text.to_owned()));
    if text.contains('*') {
        return Err(fault()
            .hint("name each origin: patterns would let strangers' websites call the server"));
    }
    let url = Url::parse(text).map_err(|_| fault())?;
    if !matches!(url.scheme(), "http" | "https")
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(fault().shown(Shown::Hidden));
    }
    let origin = url.origin().ascii_serialization();
    if url.path() != "/" || text.ends_with('/') || url.query().is_some() || url.fragment().is_some()
    {
        return Err(fault().hint(format!("write `{origin}`")));
    }
    Ok(origin)
}

/// Networks; a bare address is the network of that one address.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, Fault> {
    items(text).map(network).collect()
}

fn network(text: &str) -> Result<IpNet, Fault> {
    let fault = || must_be(&Kind::Networks).shown(Shown::As(text.to_owned()));
    if let Ok(address) = text.parse() {
        return Ok(IpNet::from(std::net::IpAddr::to_canonical(&address)));
    }
    let network: IpNet = text.parse().map_err(|_| fault())?;
    if network != network.trunc() {
        return Err(fault().hint(format!(
            "write `{}`, or the bare address for one machine",
            network.trunc()
        )));
    }
    Ok(network)
}

/// `5/15m`: so many within that time. `off`: no limit.
pub(super) fn limit(text: &str) -> Result<Option<Rule>, Fault> {
    if text == "off" {
        return Ok(None);
    }
    let (limit, window) = quota(&Kind::Limit, text)?;
    let window = span(window).ok_or_else(|| span_fault(&Kind::Limit, limit, window))?;
    Ok(Some(Rule::Window { limit, window }))
}

/// `10/1s..5m`: so many without a delay, then delays that double from the first to the longest.
pub(super) fn backoff(text: &str) -> Result<Option<Rule>, Fault> {
    if text == "off" {
        return Ok(None);
    }
    let (free, delays) = quota(&Kind::Backoff, text)?;
    let (first, longest) = delays
        .split_once("..")
        .ok_or_else(|| must_be(&Kind::Backoff))?;
    let spans = span(first).zip(span(longest));
    let (first, longest) = spans.ok_or_else(|| must_be(&Kind::Backoff))?;
    if longest < first {
        return Err(must_be(&Kind::Backoff).hint("write the longest delay last"));
    }
    Ok(Some(Rule::Backoff {
        free,
        first,
        longest,
        forget: FORGET,
    }))
}

/// What was wrong is forgotten when nothing more was for so long.
const FORGET: SignedDuration = SignedDuration::from_hours(24);

/// The number before the `/`, and what follows.
fn quota<'t>(kind: &Kind, text: &'t str) -> Result<(u32, &'t str), Fault> {
    let (number, rest) = text.split_once('/').ok_or_else(|| must_be(kind))?;
    match whole(number) {
        Some(0) => Err(must_be(kind).hint("write `off` to switch the limit off")),
        Some(number) => Ok((number, rest)),
        None => Err(must_be(kind)),
    }
}

/// 1 second to 24 hours.
fn span(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let span = SignedDuration::from_secs(i64::from(whole(number)?) * seconds);
    (1..=86_400).contains(&span.as_secs()).then_some(span)
}

fn span_fault(kind: &Kind, limit: u32, window: &str) -> Fault {
    match whole(window) {
        Some(number) => must_be(kind).hint(format!(
            "write `{limit}/{number}s` for seconds or `{limit}/{number}m` for minutes"
        )),
        None => must_be(kind),
    }
}

/// Decimal digits and nothing else, up to a million.
fn whole(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.filter(|number| *number <= 1_000_000)
}

/// Where spans are posted: the path of traces below the URL that was given (OpenTelemetry Protocol Exporter,
/// "Endpoint URLs for OTLP/HTTP").
pub(super) fn collector(text: &str) -> Result<String, Fault> {
    let fault = || must_be(&Kind::Collector);
    // A user and a query may hold secrets.
    let url = Url::parse(text).map_err(|_| match text.contains(['@', '?']) {
        true => fault().shown(Shown::Hidden),
        false => fault(),
    })?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(fault()
            .shown(Shown::Hidden)
            .hint("put keys and tokens into `OTEL_EXPORTER_OTLP_HEADERS`"));
    }
    if !matches!(url.scheme(), "http" | "https") || !text.contains("://") {
        return Err(fault().hint(format!("write `http://{text}`")));
    }
    if url.fragment().is_some() || text.chars().any(|c| !c.is_ascii_graphic()) {
        return Err(fault());
    }
    if url.path().ends_with("/v1/traces") {
        return Err(fault().hint("leave out `/v1/traces`"));
    }
    Ok(format!("{}/v1/traces", url.as_str().trim_end_matches('/')))
}

/// `name=value` items, the values percent-encoded (the same specification, "Specifying headers via environment
/// variables").
pub(super) fn fields(text: &str) -> Result<Vec<(String, Secret)>, Fault> {
    let field = |item: &str| {
        let (name, value) = item.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let value = percent_encoding::percent_decode_str(value)
            .decode_utf8()
            .ok()?;
        let fine = !name.is_empty()
            && name.chars().all(token)
            && value.chars().all(|c| (' '..='~').contains(&c));
        fine.then(|| (name.to_ascii_lowercase(), Secret::new(value)))
    };
    items(text)
        .map(field)
        .collect::<Option<_>>()
        .ok_or_else(|| must_be(&Kind::Fields))
}

pub(super) fn service_name(text: &str) -> Result<String, Fault> {
    match text.chars().count() {
        1..=100 if !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err(must_be(&Kind::ServiceName)),
    }
}

/// A share as so many of a million.
pub(super) fn per_million(text: &str) -> Result<u32, Fault> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let share = match (whole, decimals) {
        ("0" | "1", decimals) if decimals.len() <= 6 && digits(decimals) => {
            format!("{whole}{decimals:0<6}").parse().ok()
        }
        _ => None,
    };
    share
        .filter(|share| *share <= 1_000_000)
        .ok_or_else(|| must_be(&Kind::Share))
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// A lone word that is no level would be taken for the name of a module, and silence all others.
pub(super) fn log_filter(text: &str) -> Result<String, Fault> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let mut words = text.split(',').map(str::trim);
    let readable = words.all(|word| word.contains(['=', '[']) || is_level(word));
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) if readable => Ok(text.to_owned()),
        _ => Err(must_be(&Kind::LogFilter)),
    }
}

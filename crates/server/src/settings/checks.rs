//! What settings mean to each other.

use std::net::SocketAddr;

use countersign_store_redis::RedisUrl;

use super::parse::is_local_url;
use super::reader::Reader;
use super::table::*;
use super::{PasswordHasher, RootSecretSource, Settings, Signing};

/// Checks a whole that has been read. Where a setting has a problem of its own, nothing that follows from it is said.
pub(super) fn check(settings: &Settings, reader: &mut Reader) {
    signing(settings, reader);
    sessions(settings, reader);
    addresses(settings, reader);
    issuer(settings, reader);
    root_secret(settings, reader);
    hashing(settings, reader);
    redis(settings, reader);
    traces(settings, reader);
    if settings.limits.login.is_none() && !settings.addr.ip().is_loopback() {
        reader.warning(
            &RATE_LIMIT_LOGIN,
            "lets anybody who reaches the server try passwords as fast as it can hash",
        );
    }
    if settings
        .trusted_proxies
        .iter()
        .any(|network| network.prefix_len() == 0)
    {
        reader.warning(
            &TRUSTED_PROXIES,
            "trusts every address, so that any client can pretend to be another",
        );
    }
}

fn signing(settings: &Settings, reader: &mut Reader) {
    if reader.failed(&JWT_ALGORITHM) || reader.failed(&JWT_SECRET) {
        return;
    }
    match (&settings.signing, &settings.root_secret) {
        (Signing::Hs256(secret), RootSecretSource::Given(root)) if secret == root => {
            let what = "is the same as `COUNTERSIGN_SECRET`, which every API would then hold";
            reader.problem(
                &JWT_SECRET,
                what,
                "take another one from `openssl rand -base64 48`",
            );
        }
        (Signing::Hs256(_), _) => {}
        _ if reader.is_set(&JWT_SECRET) => {
            reader.warning(
                &JWT_SECRET,
                "has no effect, because `JWT_ALGORITHM` is not `HS256`",
            );
        }
        _ => {}
    }
}

fn redis(settings: &Settings, reader: &mut Reader) {
    if settings.redis_ca_file.is_some()
        && !reader.failed(&REDIS_URL)
        && !settings.redis.as_ref().is_some_and(RedisUrl::is_encrypted)
    {
        reader.warning(
            &REDIS_CA_FILE,
            "has no effect, because `REDIS_URL` does not begin with `rediss`",
        );
    }
}

fn sessions(settings: &Settings, reader: &mut Reader) {
    if reader.failed(&SESSION_MAX_DAYS) || reader.failed(&REFRESH_TOKEN_EXPIRE_DAYS) {
        return;
    }
    if settings.session_lifetime < settings.session_idle {
        let days = settings.session_idle.as_secs() / 86_400;
        let what = "is shorter than `REFRESH_TOKEN_EXPIRE_DAYS`";
        reader.problem(
            &SESSION_MAX_DAYS,
            what,
            format!("set it to {days} or more, or lower the other"),
        );
    }
}

fn addresses(settings: &Settings, reader: &mut Reader) {
    let Some(ops) = settings.ops_addr else { return };
    if reader.failed(&COUNTERSIGN_OPS_ADDR) {
        return;
    }
    if !reader.failed(&COUNTERSIGN_ADDR) && collide(settings.addr, ops) {
        reader.problem(
            &COUNTERSIGN_OPS_ADDR,
            "takes the same port as `COUNTERSIGN_ADDR`",
            "choose another port, or `off`",
        );
    }
    if !ops.ip().is_loopback() {
        reader.warning(
            &COUNTERSIGN_OPS_ADDR,
            "is not a loopback address: anyone who reaches it can read the metrics",
        );
    }
}

/// Whether the two cannot both be bound. Port 0 means any free port.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && overlap
}

fn issuer(settings: &Settings, reader: &mut Reader) {
    if reader.failed(&COUNTERSIGN_ISSUER) {
        return;
    }
    if !reader.is_set(&COUNTERSIGN_ISSUER) {
        if !settings.addr.ip().is_loopback() {
            reader.problem(
                &COUNTERSIGN_ISSUER,
                "must be set when `COUNTERSIGN_ADDR` is not a loopback address",
                "set it to the URL that clients use, such as `https://auth.example.com`",
            );
        }
    } else if settings.issuer.to_ascii_lowercase().starts_with("http:")
        && !is_local_url(&settings.issuer)
    {
        let what = "is not `https`, so passwords and tokens travel in the clear";
        reader.warning(&COUNTERSIGN_ISSUER, what);
    }
}

fn root_secret(settings: &Settings, reader: &mut Reader) {
    let generated = matches!(settings.root_secret, RootSecretSource::DataFolder);
    let doubtful = [&COUNTERSIGN_SECRET, &DATABASE_URL, &COUNTERSIGN_ADDR]
        .iter()
        .any(|s| reader.failed(s));
    if !generated || doubtful || !settings.database.is_shared() {
        return;
    }
    if settings.addr.ip().is_loopback() {
        reader.warning(
            &COUNTERSIGN_SECRET,
            "is not set, so this machine makes its own: a second instance on the same PostgreSQL needs the same one",
        );
    } else {
        reader.problem(
            &COUNTERSIGN_SECRET,
            "must be set on PostgreSQL with a public address, because each instance would make its own",
            "give every instance the same output of `openssl rand -base64 48`",
        );
    }
}

fn traces(settings: &Settings, reader: &mut Reader) {
    let Some(traces) = &settings.traces else {
        return;
    };
    if cfg!(not(feature = "otel")) {
        reader.problem(
            &OTEL_EXPORTER_OTLP_ENDPOINT,
            "cannot be used, because this binary was built without the feature `otel`",
            "build it with that feature, or remove the setting",
        );
    }
    if traces.url.contains(":4317/") {
        reader.warning(
            &OTEL_EXPORTER_OTLP_ENDPOINT,
            "has the port of OTLP over gRPC; this server speaks OTLP over HTTP, whose port is 4318",
        );
    }
    if traces.url.starts_with("http:") && !traces.headers.is_empty() && !is_local_url(&traces.url) {
        reader.warning(
            &OTEL_EXPORTER_OTLP_ENDPOINT,
            "is not `https`, so `OTEL_EXPORTER_OTLP_HEADERS` travels in the clear",
        );
    }
}

fn hashing(settings: &Settings, reader: &mut Reader) {
    match settings.password_hasher {
        PasswordHasher::Bcrypt { rounds } if rounds < 10 => {
            reader.warning(
                &BCRYPT_ROUNDS,
                "is below 10: stolen password hashes are quick to guess",
            );
        }
        PasswordHasher::Bcrypt { rounds } if rounds > 16 => {
            reader.warning(
                &BCRYPT_ROUNDS,
                "is above 16: each sign-in takes several seconds of a core",
            );
        }
        // OWASP's password storage cheat sheet gives equal settings, of which this product is the least.
        PasswordHasher::Argon2id {
            memory_kib,
            iterations,
            ..
        } if u64::from(memory_kib) * u64::from(iterations) < 35_840 => {
            let what = "times `ARGON2_ITERATIONS` is below 35840: stolen password hashes are quick to guess";
            reader.warning(&ARGON2_MEMORY_KIB, what);
        }
        _ => {}
    }
}

//! From the sources to [`Settings`], one setting after the other.

use countersign_flows::{Counting, LimitPolicy};
use countersign_http::ForwardingHeader;

use super::parse::{self, *};
use super::problem::escaped;
use super::reader::Reader;
use super::table::*;
use super::{
    CorsOrigins, Database, LogFormat, PasswordHasher, RootSecretSource, Settings, Signing, Sources,
    Traces, database, redis,
};
use crate::data_dir::ROOT_SECRET_FILE;

/// Reads everything. Where a setting has a problem, its default stands in until the problems are told.
pub(super) fn read(reader: &mut Reader, sources: &Sources) -> Settings {
    let addr = reader.get(&COUNTERSIGN_ADDR, address);
    let data_dir = reader.get(&COUNTERSIGN_DATA_DIR, path);
    let default_database = data_dir.join("countersign.db");
    let secret_file = data_dir.join(ROOT_SECRET_FILE);
    reader.get_or(
        &COUNTERSIGN_CONFIG,
        |text| path(text).map(drop),
        || {
            let found = sources.config_file.as_ref();
            ((), found.map(|file| escaped(&file.path.to_string_lossy())))
        },
    );
    let max_connections = reader.get(
        &COUNTERSIGN_MAX_CONNECTIONS,
        number(&COUNTERSIGN_MAX_CONNECTIONS),
    );
    Settings {
        addr,
        ops_addr: reader.get(&COUNTERSIGN_OPS_ADDR, address_or_off),
        max_connections,
        feed_subscribers: reader.get_or(
            &COUNTERSIGN_FEED_SUBSCRIBERS,
            |text| number(&COUNTERSIGN_FEED_SUBSCRIBERS)(text).map(Some),
            || (None, Some((max_connections / 3 * 2).to_string())),
        ),
        drain: reader.get(
            &COUNTERSIGN_DRAIN_SECONDS,
            duration(&COUNTERSIGN_DRAIN_SECONDS, 1),
        ),
        cors_origins: reader.get_or(
            &COUNTERSIGN_CORS_ORIGINS,
            |text| {
                let list = origins(text)?;
                Ok(if list.is_empty() {
                    CorsOrigins::Off
                } else {
                    CorsOrigins::List(list)
                })
            },
            || match addr.ip().is_loopback() {
                true => (
                    CorsOrigins::Loopback,
                    Some("pages on localhost, 127.0.0.1 and [::1], any port".into()),
                ),
                false => (CorsOrigins::Off, Some("off".into())),
            },
        ),
        trusted_proxies: reader.get_or(&TRUSTED_PROXIES, networks, || (Vec::new(), None)),
        forwarding_header: reader.get(
            &TRUSTED_PROXIES_HEADER,
            choice(
                &TRUSTED_PROXIES_HEADER,
                &[
                    ("x-forwarded-for", ForwardingHeader::XForwardedFor),
                    ("forwarded", ForwardingHeader::Forwarded),
                ],
            ),
        ),
        log_filter: reader.get(&COUNTERSIGN_LOG, log_filter),
        log_format: reader.get(
            &COUNTERSIGN_LOG_FORMAT,
            choice(
                &COUNTERSIGN_LOG_FORMAT,
                &[("human", LogFormat::Human), ("json", LogFormat::Json)],
            ),
        ),
        database: reader.get_or(&DATABASE_URL, database::parse, || {
            let shown = format!("sqlite:{}", default_database.display());
            (
                Database::Sqlite {
                    path: default_database,
                },
                Some(escaped(&shown)),
            )
        }),
        copy_to: reader.get_or(
            &COPY_TO_URL,
            |text| database::parse(text).map(Some),
            || (None, None),
        ),
        database_max_connections: reader
            .get(&DATABASE_MAX_CONNECTIONS, number(&DATABASE_MAX_CONNECTIONS)),
        migrate_at_start: reader.get(
            &COUNTERSIGN_MIGRATE,
            choice(&COUNTERSIGN_MIGRATE, &[("auto", true), ("off", false)]),
        ),
        redis: reader.get_or(&REDIS_URL, redis::parse, || (None, None)),
        redis_ca_file: reader.get_or(&REDIS_CA_FILE, |text| path(text).map(Some), || (None, None)),
        root_secret: reader.get_or(
            &COUNTERSIGN_SECRET,
            |text| secret(text).map(RootSecretSource::Given),
            || {
                (
                    RootSecretSource::DataFolder,
                    Some(escaped(&format!("(file {})", secret_file.display()))),
                )
            },
        ),
        issuer: reader.get_or(&COUNTERSIGN_ISSUER, issuer, || {
            let issuer = format!("http://{addr}");
            (issuer.clone(), Some(issuer))
        }),
        audience: reader.get(&COUNTERSIGN_AUDIENCE, audience),
        signing: read_signing(reader),
        access_token_lifetime: reader.get(
            &ACCESS_TOKEN_EXPIRE_MINUTES,
            duration(&ACCESS_TOKEN_EXPIRE_MINUTES, 60),
        ),
        session_idle: reader.get(
            &REFRESH_TOKEN_EXPIRE_DAYS,
            duration(&REFRESH_TOKEN_EXPIRE_DAYS, 86_400),
        ),
        session_lifetime: reader.get(&SESSION_MAX_DAYS, duration(&SESSION_MAX_DAYS, 86_400)),
        refresh_grace: reader.get(&REFRESH_GRACE_SECONDS, duration(&REFRESH_GRACE_SECONDS, 1)),
        password_hasher: read_hasher(reader),
        hash_workers: reader.get_or(&HASH_WORKERS, number(&HASH_WORKERS), || {
            let cores = sources.cores.max(1);
            (cores, Some(cores.to_string()))
        }),
        audit_retention: reader.get(
            &AUDIT_RETENTION_DAYS,
            duration(&AUDIT_RETENTION_DAYS, 86_400),
        ),
        audit_refreshes: reader.get(
            &AUDIT_REFRESHES,
            parse::choice(&AUDIT_REFRESHES, &[("on", true), ("off", false)]),
        ),
        limits: read_limits(reader),
        traces: read_traces(reader),
        hash_lanes: reader.get(&HASH_LANES, number(&HASH_LANES)),
        hash_queue: reader.get(&HASH_QUEUE_SECONDS, duration(&HASH_QUEUE_SECONDS, 1)),
        data_dir,
    }
}

fn read_signing(reader: &mut Reader) -> Signing {
    let secret = reader.get_or(
        &JWT_SECRET,
        |text| parse::secret(text).map(Some),
        || (None, None),
    );
    // `None` is HS256, which is nothing without its secret.
    let words = [
        ("EdDSA", Some(Signing::EdDsa)),
        ("ES256", Some(Signing::Es256)),
        ("RS256", Some(Signing::Rs256)),
        ("HS256", None),
    ];
    let algorithm = reader.get(&JWT_ALGORITHM, parse::choice(&JWT_ALGORITHM, &words));
    match (algorithm, secret) {
        (Some(signing), _) => signing,
        (None, Some(secret)) => Signing::Hs256(secret),
        (None, None) => {
            if !reader.failed(&JWT_SECRET) {
                let what = "must be set when `JWT_ALGORITHM` is `HS256`";
                reader.problem(
                    &JWT_SECRET,
                    what,
                    "take the output of `openssl rand -base64 48`",
                );
            }
            Signing::EdDsa
        }
    }
}

fn read_limits(reader: &mut Reader) -> LimitPolicy {
    LimitPolicy {
        login: reader.get(&RATE_LIMIT_LOGIN, parse::limit),
        account: reader.get(&RATE_LIMIT_ACCOUNT, parse::backoff),
        register: reader.get(&RATE_LIMIT_REGISTER, parse::limit),
        refresh: reader.get(&RATE_LIMIT_REFRESH, parse::limit),
        other: reader.get(&RATE_LIMIT_OTHER, parse::limit),
        // Which database there is decides, where the use cases are opened.
        shared: Counting::InMemory,
    }
}

fn read_traces(reader: &mut Reader) -> Option<Traces> {
    let url = reader.get_or(
        &OTEL_EXPORTER_OTLP_ENDPOINT,
        |text| parse::collector(text).map(Some),
        || (None, None),
    );
    let headers = reader.get_or(&OTEL_EXPORTER_OTLP_HEADERS, parse::fields, || {
        (Vec::new(), None)
    });
    let service = reader.get(&OTEL_SERVICE_NAME, parse::service_name);
    let per_million = reader.get(&OTEL_TRACES_SAMPLER_ARG, parse::per_million);
    Some(Traces {
        url: url?,
        headers,
        service,
        per_million,
    })
}

fn read_hasher(reader: &mut Reader) -> PasswordHasher {
    let rounds = reader.get(&BCRYPT_ROUNDS, parse::number(&BCRYPT_ROUNDS));
    let memory_kib = reader.get(&ARGON2_MEMORY_KIB, parse::number(&ARGON2_MEMORY_KIB));
    let iterations = reader.get(&ARGON2_ITERATIONS, parse::number(&ARGON2_ITERATIONS));
    let parallelism = reader.get(&ARGON2_PARALLELISM, parse::number(&ARGON2_PARALLELISM));
    let values = [
        ("bcrypt", PasswordHasher::Bcrypt { rounds }),
        (
            "argon2id",
            PasswordHasher::Argon2id {
                memory_kib,
                iterations,
                parallelism,
            },
        ),
    ];
    reader.get(&PASSWORD_HASHER, parse::choice(&PASSWORD_HASHER, &values))
}

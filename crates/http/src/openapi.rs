//! The API description: routes from the handlers, errors from the table of problems.

use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::security::{
    Flow, Http, HttpAuthScheme, OAuth2, Password, Scopes, SecurityScheme,
};
use utoipa::openapi::tag::Tag;
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder,
    ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::{self, FieldProblem, Kind, ProblemBody};
use crate::routes;

/// Any route may fail so.
const ALWAYS: &[&Kind] = &[&problem::INTERNAL];

/// A route that asks the store.
const STORE: &[&Kind] = &[&problem::UNAVAILABLE];

/// A route that takes a body.
const BODY: &[&Kind] = &[
    &problem::MALFORMED_REQUEST,
    &problem::REQUEST_TIMEOUT,
    &problem::BODY_TOO_LARGE,
    &problem::UNSUPPORTED_MEDIA_TYPE,
    &problem::VALIDATION_FAILED,
];

/// A route that is limited; every one that takes a token or a password is.
const LIMITED: &[&Kind] = &[&problem::RATE_LIMITED];

/// A route that takes an access token.
const BEARER: &[&Kind] = &[
    &problem::MISSING_TOKEN,
    &problem::INVALID_TOKEN,
    &problem::TOKEN_EXPIRED,
    &problem::TOKEN_OUTDATED,
    &problem::ACCESS_SESSION_REVOKED,
];

/// A route that hashes a password.
const HASHING: &[&Kind] = &[&problem::OVERLOADED];

/// A route that takes a refresh token.
const REFRESH: &[&Kind] = &[
    &problem::INVALID_REFRESH_TOKEN,
    &problem::SESSION_EXPIRED,
    &problem::SESSION_REVOKED,
    &problem::REFRESH_TOKEN_REUSED,
];

/// The problems of each operation, besides [`ALWAYS`].
fn problems(operation: &str) -> Vec<&'static Kind> {
    use problem::*;
    let groups: &[&[&'static Kind]] = match operation {
        "register" => &[LIMITED, BODY, STORE, HASHING, &[&EMAIL_TAKEN]],
        "login" => &[
            LIMITED,
            BODY,
            REFRESH,
            STORE,
            HASHING,
            &[
                &UNSUPPORTED_GRANT_TYPE,
                &INVALID_CREDENTIALS,
                &ACCOUNT_DISABLED,
            ],
        ],
        "refresh" => &[LIMITED, BODY, STORE, &[&UNSUPPORTED_GRANT_TYPE], REFRESH],
        "logout" => &[LIMITED, BODY, STORE, BEARER, REFRESH],
        "get_me" => &[LIMITED, BEARER, STORE],
        "patch_me" => &[LIMITED, BEARER, STORE, BODY],
        "delete_me" => &[
            LIMITED,
            BEARER,
            STORE,
            BODY,
            HASHING,
            &[&REAUTHENTICATION_REQUIRED],
        ],
        "change_password" => &[
            LIMITED,
            BEARER,
            STORE,
            BODY,
            HASHING,
            &[&WRONG_CURRENT_PASSWORD],
        ],
        "list_sessions" => &[
            LIMITED,
            BEARER,
            STORE,
            &[&MALFORMED_REQUEST, &VALIDATION_FAILED],
        ],
        "end_session" => &[LIMITED, BEARER, STORE, &[&SESSION_NOT_FOUND]],
        "audit_events" => &[
            LIMITED,
            BEARER,
            STORE,
            &[&FORBIDDEN, &MALFORMED_REQUEST, &VALIDATION_FAILED],
        ],
        "revocations" => &[&[
            &MISSING_SERVICE_KEY,
            &INVALID_TOKEN,
            &INVALID_SERVICE_KEY,
            &INSUFFICIENT_SCOPE,
            &FEED_FULL,
        ]],
        "readyz" => &[STORE],
        _ => &[],
    };
    groups
        .iter()
        .copied()
        .chain([ALWAYS])
        .flatten()
        .copied()
        .collect()
}

/// The description of every public route, as OpenAPI 3.1.
pub fn openapi() -> OpenApi {
    let mut document = routes::described().into_openapi();
    let info = InfoBuilder::new()
        .title("Countersign")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0 OR MIT")
                .identifier(Some("Apache-2.0 OR MIT"))
                .build(),
        ));
    let here = ServerBuilder::new().url("/").build();
    document.info = info.build();
    document.servers = Some(vec![here]);
    document.tags = Some(TAGS.map(Tag::new).to_vec());
    let components = document.components.get_or_insert_default();
    for (name, schema) in [
        (ProblemBody::name(), ProblemBody::schema()),
        (FieldProblem::name(), FieldProblem::schema()),
    ] {
        components.schemas.insert(name.into_owned(), schema);
    }
    for (name, scheme) in security_schemes() {
        components
            .security_schemes
            .insert(name.to_owned(), scheme.into());
    }
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            describe(operation);
        }
    }
    document
}

/// In the order of a reader's interest.
const TAGS: [&str; 7] = [
    "Signing in",
    "Your account",
    "Your sessions",
    "Administration",
    "For verifiers",
    "For operators",
    "This description",
];

const ABOUT: &str = "Registers users, signs them in, keeps them signed in and signs them out. \
Access tokens are short-lived JWTs (RFC 9068) that your APIs verify by themselves; refresh tokens rotate.\n\n\
Every error is `application/problem+json` (RFC 9457) with a stable `code`. Every answer has `X-Request-Id`.";

fn security_schemes() -> [(&'static str, SecurityScheme); 3] {
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.bearer_format = Some("JWT".to_owned());
    let password = Flow::Password(Password::new("/auth/login", Scopes::new()));
    let mut service_key = Http::new(HttpAuthScheme::Bearer);
    service_key.description = Some("A key of `countersign service-key create`.".to_owned());
    [
        ("service_key", SecurityScheme::Http(service_key)),
        ("bearer", SecurityScheme::Http(bearer)),
        ("password", SecurityScheme::OAuth2(OAuth2::new([password]))),
    ]
}

fn describe(operation: &mut Operation) {
    let name = operation.operation_id.clone().unwrap_or_default();
    let kinds = problems(&name);
    let mut statuses: Vec<u16> = kinds.iter().map(|kind| kind.status).collect();
    let takes_form = ["login", "refresh"].contains(&name.as_str());
    if takes_form {
        statuses.push(400);
    }
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let of_status: Vec<&Kind> = kinds
            .iter()
            .copied()
            .filter(|k| k.status == status)
            .collect();
        let as_oauth = takes_form && (status == 400 || status == 429 || status >= 500);
        let response = problem_response(&of_status, as_oauth);
        let responses = &mut operation.responses.responses;
        responses.insert(status.to_string(), RefOr::T(response));
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let id = plain_header("The request's id; your own if you sent one.");
            response
                .headers
                .insert("X-Request-Id".to_owned(), RefOr::T(id));
        }
    }
}

/// One status, with an example for each code that it stands for.
fn problem_response(kinds: &[&Kind], also_oauth: bool) -> Response {
    let codes: Vec<String> = kinds
        .iter()
        .map(|kind| format!("`{}`", kind.code))
        .collect();
    let schema = || RefOr::Ref::<_>(Ref::from_schema_name("Problem"));
    let examples = kinds.iter().map(|kind| {
        (
            kind.code,
            utoipa::openapi::example::ExampleBuilder::new()
                .value(Some(example(kind)))
                .build(),
        )
    });
    let content = ContentBuilder::new()
        .schema(Some(schema()))
        .examples_from_iter(examples)
        .build();
    let mut response = ResponseBuilder::new()
        .description(codes.join(", "))
        .content("application/problem+json", content);
    if also_oauth {
        let content = ContentBuilder::new()
            .schema(Some(schema()))
            .example(Some(oauth_example(kinds)));
        response = response.content("application/json", content.build());
    }
    if kinds.iter().any(|kind| kind.challenge.is_some()) {
        response = response.header(
            "WWW-Authenticate",
            plain_header("How to authenticate (RFC 6750)."),
        );
    }
    if kinds.iter().any(|kind| [429, 503].contains(&kind.status)) {
        response = response.header("Retry-After", plain_header("Seconds to wait."));
    }
    if kinds.iter().any(|kind| kind.status == 429) {
        let policy =
            plain_header("The limit, its quota and its window in seconds: `\"login\";q=5;w=900`.");
        let standing = plain_header(
            "What is left, and the seconds until there is more: `\"login\";r=0;t=340`.",
        );
        response = response.header("RateLimit-Policy", policy);
        response = response.header("RateLimit", standing);
    }
    response.build()
}

fn example(kind: &Kind) -> Value {
    let mut example = json!({
        "type": format!("/problems/{}", kind.code),
        "title": kind.title,
        "status": kind.status,
        "detail": kind.detail,
        "code": kind.code,
        "request_id": "01934f2e-7c1a-7b3e-9d52-3f1c2a4b5d6e",
    });
    if *kind == problem::VALIDATION_FAILED {
        example["errors"] = json!([{
            "field": "password",
            "code": "password_too_short",
            "detail": "at least 8 characters",
        }]);
    }
    example
}

/// What a client is told that posted a form: under 400 what it has most often done wrong.
fn oauth_example(kinds: &[&Kind]) -> Value {
    let kind = match kinds.first() {
        Some(kind) if kind.status >= 429 => kind,
        _ => &problem::INVALID_CREDENTIALS,
    };
    let mut example = example(kind);
    example["status"] = json!(if kind.status >= 429 { kind.status } else { 400 });
    example["error"] = json!(kind.oauth);
    example["error_description"] = example["detail"].clone();
    example
}

fn plain_header(description: &str) -> utoipa::openapi::header::Header {
    HeaderBuilder::new()
        .schema(Some(Object::with_type(Type::String)))
        .description(Some(description))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_described_where_it_may_occur() {
        let document = serde_json::to_value(openapi()).unwrap();
        let items = document["paths"].as_object().unwrap().values();
        let operations = items.flat_map(|item| item.as_object().unwrap().values());
        let described: Vec<&Kind> = operations
            .flat_map(|operation| problems(operation["operationId"].as_str().unwrap()))
            .collect();
        // What the router finds out belongs to no operation.
        let of_the_router = [&problem::NOT_FOUND, &problem::METHOD_NOT_ALLOWED];
        for kind in problem::ALL {
            let somewhere = described.contains(kind) || of_the_router.contains(kind);
            assert!(somewhere, "{}", kind.code);
        }
    }
}

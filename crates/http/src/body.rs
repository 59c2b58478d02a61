//! Request bodies: bounded in size and time, of a media type that the route takes.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::edge::Edge;
use crate::fields::{Fields, FromFields};
use crate::form;
use crate::problem::{
    BODY_TOO_LARGE, MALFORMED_REQUEST, Problem, REQUEST_TIMEOUT, UNSUPPORTED_MEDIA_TYPE,
};

/// The most bytes that a body may have.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// What a route asks for that takes forms too.
const EITHER: &str =
    "Send `Content-Type: application/json` or `application/x-www-form-urlencoded`.";

/// A body must have arrived by then, however slowly it trickles.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body, or none at all, which is the same as an empty object.
pub(crate) struct OptionalJson<T>(pub(crate) T);

/// A JSON body or a form, as OAuth 2 clients send it.
pub(crate) struct JsonOrForm<T> {
    pub(crate) input: T,
    /// A form was posted, so the client understands RFC 6749, section 5.2.
    pub(crate) form: bool,
}

impl<T: FromFields> FromRequest<Edge> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Edge) -> Result<Self, Problem> {
        require_json(request.headers())?;
        Fields::from_json(&read(request).await?)?.read().map(Self)
    }
}

impl<T: FromFields> FromRequest<Edge> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Edge) -> Result<Self, Problem> {
        let json = require_json(request.headers());
        let body = read(request).await?;
        let fields = match body.is_empty() {
            true => Fields::new(Vec::new()),
            false => json.and_then(|()| Fields::from_json(&body))?,
        };
        fields.read().map(Self)
    }
}

impl<T: FromFields> FromRequest<Edge> for JsonOrForm<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, edge: &Edge) -> Result<Self, Problem> {
        match media_type(request.headers()) {
            Some("application/x-www-form-urlencoded") => {
                let input = read_form(request).await.map_err(Problem::into_oauth)?;
                Ok(Self { input, form: true })
            }
            _ => {
                require_json(request.headers()).map_err(|problem| problem.detail(EITHER))?;
                let Json(input) = Json::from_request(request, edge).await?;
                Ok(Self { input, form: false })
            }
        }
    }
}

async fn read_form<T: FromFields>(request: Request) -> Result<T, Problem> {
    let body = read(request).await?;
    let text = std::str::from_utf8(&body)
        .map_err(|_| Problem::from(&MALFORMED_REQUEST).detail("The form is not UTF-8."))?;
    Fields::from_form(form::parse(text)?).read()
}

async fn read(request: Request) -> Result<Bytes, Problem> {
    let body = request.into_body();
    // What says itself that it is too large is not waited for.
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(Problem::from(&BODY_TOO_LARGE));
    }
    let body = Limited::new(body, MAX_BODY).collect();
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::from(&BODY_TOO_LARGE)),
        Ok(Err(_)) => {
            Err(Problem::from(&MALFORMED_REQUEST).detail("The body did not arrive whole."))
        }
        Err(_) => Err(Problem::from(&REQUEST_TIMEOUT)),
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    match media_type(headers) {
        Some("application/json") => Ok(()),
        _ => Err(Problem::from(&UNSUPPORTED_MEDIA_TYPE)),
    }
}

/// The media type without its parameters. Only the two spellings that matter are compared, and
/// both in lower case; everything else is unsupported anyway.
fn media_type(headers: &HeaderMap) -> Option<&'static str> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let essence = value.to_str().ok()?.split(';').next()?.trim();
    ["application/json", "application/x-www-form-urlencoded"]
        .into_iter()
        .find(|known| essence.eq_ignore_ascii_case(known))
}

use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::{
    Refusal,
    json::{self, Member},
};

/// The claims of an access token (RFC 9068 §2.2). All times are Unix seconds.
///
/// Claims that came out of a [`Verifier`](crate::Verifier) have been checked; a value built by hand has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// The issuer, exactly as configured.
    pub iss: String,
    /// The user's id.
    pub sub: Uuid,
    /// Whom the token is for.
    pub aud: Audience,
    /// When the token was issued.
    pub iat: i64,
    /// From this second on the token is refused.
    pub exp: i64,
    /// Before this second the token is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// The token's own id.
    pub jti: Uuid,
    /// The session that the token belongs to: what a revocation names.
    pub sid: Uuid,
    /// When the user last proved who they are. 0 where the token does not say: a rule such as "signed in within ten minutes" then refuses.
    pub auth_time: i64,
    /// How the user proved it (RFC 8176), such as `pwd` or `otp`. Empty where the token does not say.
    pub amr: Vec<String>,
    /// Granted scopes, separated by single spaces (RFC 6749 §3.3). Empty where the token does not say.
    pub scope: String,
    /// The user's roles when the token was issued. Empty where the token does not say.
    pub roles: Vec<String>,
}

/// Whom a token is for: one party, or several (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// One party, written as a string. An array of one string is read as this too.
    One(String),
    /// Several parties, written as an array. Countersign reads such tokens and issues none.
    Many(Vec<String>),
}

impl Audience {
    /// Whether `party` is named, compared byte by byte.
    pub fn contains(&self, party: &str) -> bool {
        match self {
            Self::One(only) => only == party,
            Self::Many(all) => all.iter().any(|one| one == party),
        }
    }
}

impl From<String> for Audience {
    fn from(party: String) -> Self {
        Self::One(party)
    }
}

impl From<&str> for Audience {
    fn from(party: &str) -> Self {
        Self::One(party.to_owned())
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(only) => serializer.serialize_str(only),
            Self::Many(all) => all.serialize(serializer),
        }
    }
}

/// In the order in which [`Claims`] is written.
const NAMES: [&str; 12] = [
    "iss",
    "sub",
    "aud",
    "iat",
    "exp",
    "nbf",
    "jti",
    "sid",
    "auth_time",
    "amr",
    "scope",
    "roles",
];

impl Claims {
    /// Reads the payload of a token whose signature has been checked.
    pub(crate) fn from_signed_json(payload: &[u8]) -> Result<Self, Refusal> {
        let [
            iss,
            sub,
            aud,
            iat,
            exp,
            nbf,
            jti,
            sid,
            auth_time,
            amr,
            scope,
            roles,
        ] = json::object(payload, &NAMES)?;
        Ok(Self {
            iss: text("iss", required("iss", iss)?)?,
            sub: id("sub", required("sub", sub)?)?,
            aud: audience(required("aud", aud)?)?,
            iat: integer("iat", required("iat", iat)?)?,
            exp: integer("exp", required("exp", exp)?)?,
            nbf: nbf.map(|value| integer("nbf", value)).transpose()?,
            jti: id("jti", required("jti", jti)?)?,
            sid: id("sid", required("sid", sid)?)?,
            auth_time: auth_time.map_or(Ok(0), |value| integer("auth_time", value))?,
            amr: amr.map_or(Ok(Vec::new()), |value| texts("amr", value))?,
            scope: scope.map_or(Ok(String::new()), |value| text("scope", value))?,
            roles: roles.map_or(Ok(Vec::new()), |value| texts("roles", value))?,
        })
    }
}

fn required<'a>(name: &'static str, value: Option<Member<'a>>) -> Result<Member<'a>, Refusal> {
    value.ok_or(Refusal::MissingClaim(name))
}

fn text(name: &'static str, value: Member<'_>) -> Result<String, Refusal> {
    match value {
        Member::Text(text) => Ok(text.into_owned()),
        _ => Err(Refusal::WrongType(name)),
    }
}

fn texts(name: &'static str, value: Member<'_>) -> Result<Vec<String>, Refusal> {
    match value {
        Member::TextList(texts) => Ok(texts),
        _ => Err(Refusal::WrongType(name)),
    }
}

fn integer(name: &'static str, value: Member<'_>) -> Result<i64, Refusal> {
    match value {
        Member::Integer(number) => Ok(number),
        _ => Err(Refusal::WrongType(name)),
    }
}

/// Only the hyphenated form of RFC 9562 §4 (36 characters): the `uuid` crate would also read braces, URNs and bare digits.
fn id(name: &'static str, value: Member<'_>) -> Result<Uuid, Refusal> {
    match value {
        Member::Text(text) if text.len() == 36 => {
            Uuid::try_parse(&text).map_err(|_| Refusal::WrongType(name))
        }
        _ => Err(Refusal::WrongType(name)),
    }
}

fn audience(value: Member<'_>) -> Result<Audience, Refusal> {
    match value {
        Member::Text(only) => Ok(Audience::One(only.into_owned())),
        Member::TextList(mut all) => Ok(match (all.pop(), all.is_empty()) {
            (Some(only), true) => Audience::One(only),
            (Some(last), false) => {
                all.push(last);
                Audience::Many(all)
            }
            (None, _) => Audience::Many(all),
        }),
        _ => Err(Refusal::WrongType("aud")),
    }
}

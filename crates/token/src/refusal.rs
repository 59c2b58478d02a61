use std::fmt;

/// Why a token was refused. Neither `Debug` nor `Display` contains any text of the token, so a refusal may be logged.
///
/// Tell a client no more than "invalid token" (RFC 6750 §3.1): the reason is for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Longer than [`MAX_TOKEN_BYTES`](crate::MAX_TOKEN_BYTES), or its header longer than [`MAX_HEADER_BYTES`](crate::MAX_HEADER_BYTES).
    TooLong,
    /// Not three parts of canonical, unpadded base64url around JSON objects.
    Malformed,
    /// A member name occurs twice in the header or in the claims (RFC 7515 §4, RFC 7519 §4).
    DuplicateMember,
    /// The header has `crit`: an extension that must be understood, and none is (RFC 7515 §4.1.11).
    CriticalHeader,
    /// `typ` is not `at+jwt` or `application/at+jwt` (RFC 9068 §4).
    WrongTokenType,
    /// The header has no `kid`.
    MissingKeyId,
    /// No key of the set has the token's `kid`.
    UnknownKey,
    /// The header's `alg` is missing or is not the algorithm of the key that its `kid` names (RFC 8725 §3.1).
    AlgorithmMismatch,
    /// The signature is not this key's signature of this token.
    BadSignature,
    /// A required claim is absent; its name is given.
    MissingClaim(&'static str),
    /// A claim has another JSON type than it must have; its name is given.
    WrongType(&'static str),
    /// `iss` is not the expected issuer.
    WrongIssuer,
    /// `aud` does not contain the expected audience.
    WrongAudience,
    /// `exp` has passed.
    Expired,
    /// `nbf` is still to come.
    NotYetValid,
    /// `iat` is still to come.
    IssuedInFuture,
    /// Issued longer ago than the longest accepted lifetime.
    TooOld,
}

impl Refusal {
    /// A stable name in snake case, for logs, metrics and the shared test vectors. The claim's name is not part of it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::DuplicateMember => "duplicate_member",
            Self::CriticalHeader => "critical_header",
            Self::WrongTokenType => "wrong_token_type",
            Self::MissingKeyId => "missing_key_id",
            Self::UnknownKey => "unknown_key",
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::BadSignature => "bad_signature",
            Self::MissingClaim(_) => "missing_claim",
            Self::WrongType(_) => "wrong_type",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::TooOld => "too_old",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("the token or its header is too long"),
            Self::Malformed => f.write_str("the token is not a well-formed signed JWT"),
            Self::DuplicateMember => {
                f.write_str("a header member or a claim is given more than once")
            }
            Self::CriticalHeader => {
                f.write_str("the token demands a header extension that is not supported")
            }
            Self::WrongTokenType => f.write_str("the token is not an access token (`at+jwt`)"),
            Self::MissingKeyId => f.write_str("the token names no key"),
            Self::UnknownKey => f.write_str("the token's key is not in the key set"),
            Self::AlgorithmMismatch => {
                f.write_str("the token's algorithm is not the one of its key")
            }
            Self::BadSignature => f.write_str("the token's signature is wrong"),
            Self::MissingClaim(name) => write!(f, "a required claim is missing: `{name}`"),
            Self::WrongType(name) => write!(f, "a claim has the wrong type: `{name}`"),
            Self::WrongIssuer => f.write_str("the token is from another issuer"),
            Self::WrongAudience => f.write_str("the token is for another audience"),
            Self::Expired => f.write_str("the token has expired"),
            Self::NotYetValid => f.write_str("the token is not valid yet"),
            Self::IssuedInFuture => f.write_str("the token was issued in the future"),
            Self::TooOld => f.write_str("the token was issued too long ago"),
        }
    }
}

impl std::error::Error for Refusal {}

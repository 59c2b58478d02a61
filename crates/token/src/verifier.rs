use crate::{Claims, KeySet, Refusal, unverified::UnverifiedToken};

/// What a service demands of every token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectations {
    /// `iss`, compared byte by byte (RFC 7519 §2, RFC 8725 §3.8).
    pub issuer: String,
    /// Must be `aud` or one of its members, compared byte by byte.
    pub audience: String,
    /// How far the issuer's clock may differ from the caller's, in seconds. It widens every comparison of times, in the token's favour.
    pub leeway_seconds: u32,
    /// The longest time since `iat`, in seconds, whatever `exp` says: a lifetime that is shortened holds at once for tokens already issued.
    /// `None` leaves it to `exp`.
    pub max_lifetime_seconds: Option<u32>,
}

/// Checks tokens against one set of [`Expectations`].
#[derive(Debug, Clone)]
pub struct Verifier {
    expected: Expectations,
}

impl Verifier {
    /// A verifier that demands what `expected` says.
    pub fn new(expected: Expectations) -> Self {
        Self { expected }
    }

    /// The claims of `token` if it is an access token, signed by a key of `keys`, and everything in it holds at `now` (Unix seconds).
    ///
    /// The order is: length, form, header, key, signature, and only then the claims. Whether the session has been revoked is not
    /// decided here: ask a [`RevocationSet`](crate::RevocationSet) next.
    ///
    /// # Errors
    /// The first rule that the token breaks.
    pub fn verify(&self, keys: &KeySet, token: &str, now: i64) -> Result<Claims, Refusal> {
        let claims = Self::signed(keys, token)?;
        self.check(&claims, now)?;
        Ok(claims)
    }

    /// The claims of `token` if it ever was a valid token for this service, whatever the time. Never let anybody in by this: it is for telling
    /// somebody whose token has expired what it was.
    ///
    /// # Errors
    /// The first rule that the token breaks.
    pub fn verify_regardless_of_time(&self, keys: &KeySet, token: &str) -> Result<Claims, Refusal> {
        let claims = Self::signed(keys, token)?;
        self.check_service(&claims)?;
        Ok(claims)
    }

    fn signed(keys: &KeySet, token: &str) -> Result<Claims, Refusal> {
        let token = UnverifiedToken::split(token)?;
        let key = token.key(keys)?;
        let (mut small, mut large) = ([0; 1024], Vec::new());
        let payload = token.signed_payload(key, &mut small, &mut large)?;
        Claims::from_signed_json(payload)
    }

    fn check_service(&self, claims: &Claims) -> Result<(), Refusal> {
        let expected = &self.expected;
        if claims.iss != expected.issuer {
            return Err(Refusal::WrongIssuer);
        }
        if !claims.aud.contains(&expected.audience) {
            return Err(Refusal::WrongAudience);
        }
        Ok(())
    }

    /// Everything about claims that depends on the time or on the service. Also what a cached token has to pass again.
    pub(crate) fn check(&self, claims: &Claims, now: i64) -> Result<(), Refusal> {
        self.check_service(claims)?;
        let expected = &self.expected;
        let leeway = i64::from(expected.leeway_seconds);
        let (earliest, latest) = (now.saturating_sub(leeway), now.saturating_add(leeway));
        if claims.exp <= earliest {
            return Err(Refusal::Expired);
        }
        if claims.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(Refusal::NotYetValid);
        }
        if claims.iat > latest {
            return Err(Refusal::IssuedInFuture);
        }
        match expected.max_lifetime_seconds {
            Some(longest) if earliest.saturating_sub(claims.iat) > i64::from(longest) => {
                Err(Refusal::TooOld)
            }
            _ => Ok(()),
        }
    }
}

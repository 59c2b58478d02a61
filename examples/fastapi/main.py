"""An API that checks Countersign's access tokens by itself.

    python3 -m venv venv
    venv/bin/pip install -r requirements.txt
    venv/bin/uvicorn main:app --port 8000

Then open http://127.0.0.1:8000/docs and press Authorize, with a user who is registered at Countersign.
"""

import logging
import os
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer

log = logging.getLogger("uvicorn.error")

# Both are settings of the server; they must be equal to its own, character by character.
ISSUER = os.environ.get("COUNTERSIGN_ISSUER", "http://127.0.0.1:8080")
AUDIENCE = os.environ.get("COUNTERSIGN_AUDIENCE", "countersign")
# The algorithm is the verifier's choice, never the token's (RFC 8725, section 3.1).
ALGORITHMS = ["EdDSA"]

# Keeps the public keys for five minutes. A new key is published ten minutes before it signs, so no token is refused for
# a key that is not known yet. After an emergency rotation an unknown key is asked for at once, every five seconds at most.
keys = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json", lifespan=300, cooldown_duration=5, timeout=5)

# `tokenUrl` is where the Authorize button of /docs sends user name (the e-mail address) and password.
bearer = OAuth2PasswordBearer(tokenUrl=f"{ISSUER}/auth/login")


def refused() -> HTTPException:
    # The same words for every reason: which check failed is no business of the caller's.
    return HTTPException(401, "The access token is not valid.", {"WWW-Authenticate": 'Bearer error="invalid_token"'})


def claims_of(token: Annotated[str, Depends(bearer)]) -> dict[str, Any]:
    """The claims of a valid access token. No call to Countersign, but for its keys now and then."""
    try:
        # An access token, not another kind of token by the same issuer (RFC 9068, section 4).
        if str(jwt.get_unverified_header(token).get("typ", "")).lower() not in ("at+jwt", "application/at+jwt"):
            raise refused()
        return jwt.decode(
            token,
            keys.get_signing_key_from_jwt(token),
            algorithms=ALGORITHMS,
            issuer=ISSUER,
            audience=AUDIENCE,
            leeway=5,
            options={"require": ["exp", "iat", "iss", "aud", "sub", "sid", "jti"]},
        )
    except jwt.PyJWKClientConnectionError as error:
        log.warning("cannot fetch the keys: %s", error)
        raise HTTPException(503, "The keys cannot be fetched.", {"Retry-After": "2"}) from None
    except jwt.PyJWTError as error:
        # Mostly an issuer or audience that is not the server's: `localhost` is not `127.0.0.1`, and a slash counts.
        log.warning("access token refused: %s", error)
        raise refused() from None


Claims = Annotated[dict[str, Any], Depends(claims_of)]

app = FastAPI(title="Orders")


@app.get("/orders")
def orders(claims: Claims) -> dict[str, Any]:
    return {"user": claims["sub"], "session": claims["sid"], "orders": []}


@app.get("/reports")
def reports(claims: Claims) -> dict[str, str]:
    # Roles are set by an operator: `countersign user update ada@example.com --role staff`; they are in the next access token.
    if "staff" not in claims["roles"]:
        raise HTTPException(403, "Only for staff.")
    return {"report": "all is well"}

"""A bearer token for each request that schemathesis makes: a new session, as the request before may have ended its own."""

import json
import os
import urllib.request

import schemathesis

USER = {"email": "schemathesis@example.com", "password": "correct horse battery"}


def call(path: str, body: dict[str, str]) -> tuple[int, dict]:
    request = urllib.request.Request(
        os.environ["COUNTERSIGN_URL"] + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@schemathesis.auth(refresh_interval=None)
class SignIn:
    def get(self, case, context) -> str:
        status, tokens = call("/auth/login", USER)
        if status != 200:
            status, problem = call("/auth/register", USER)
            if status != 201:
                raise RuntimeError(f"cannot register: {status} {problem}")
            status, tokens = call("/auth/login", USER)
        return tokens["access_token"]

    def set(self, case, data: str, context) -> None:
        case.headers["Authorization"] = f"Bearer {data}"

"""Starts a server, sends it known requests, and reads its figures; see scripts/metrics."""

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

# What may not be missing, with its type.
WANTED = {
    "auth_login_success": "counter",
    "auth_login_failure": "counter",
    "auth_token_refresh": "counter",
    "auth_operation_duration_seconds": "histogram",
    "countersign_http_requests": "counter",
    "countersign_store_operation_duration_seconds": "histogram",
    "countersign_build_info": "gauge",
    "process_cpu_seconds": "counter",
}


def answer(url: str, body: dict | None = None) -> str:
    """Sends GET or POST; the text of the answer, whatever its status."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def addresses(log: str, server: subprocess.Popen) -> tuple[str, str]:
    """Where the server listens, once it does: for clients, and for the operator."""
    for _ in range(300):
        with open(log) as lines:
            found = re.findall(r"listen\w+ on (http://[0-9.:]+)", lines.read())
        if len(found) == 2:
            return found[0], found[1]
        if server.poll() is not None:
            break
        time.sleep(0.1)
    with open(log) as lines:
        sys.exit(f"error: the server does not start; its log:\n{lines.read()}")


def use(url: str) -> None:
    ada = {"email": "ada@example.com", "password": "correct horse battery"}
    answer(f"{url}/auth/register", ada)
    answer(f"{url}/auth/login", ada | {"password": "wrong"})
    tokens = json.loads(answer(f"{url}/auth/login", ada))
    refresh = {"refresh_token": tokens["refresh_token"]}
    answer(f"{url}/auth/refresh", refresh)
    answer(f"{url}/auth/refresh", refresh)
    answer(f"{url}/nothing")


def check(text: str) -> None:
    families = {family.name: family for family in read_openmetrics(text)}
    for name, kind in WANTED.items():
        found = families[name].type if name in families else "missing"
        if found != kind:
            sys.exit(f"error: {name} is {found}, not {kind}")
    values = {(s.name, *sorted(s.labels.items())): s.value for family in families.values() for s in family.samples}
    for sample, expected in {
        ("auth_login_success_total",): 1,
        ("auth_login_failure_total", ("reason", "invalid_credentials")): 1,
        ("auth_token_refresh_total", ("outcome", "rotated")): 1,
        ("auth_token_refresh_total", ("outcome", "repeated")): 1,
        ("auth_operation_duration_seconds_count", ("operation", "login")): 2,
    }.items():
        if values.get(sample) != expected:
            sys.exit(f"error: {sample} is {values.get(sample)}, not {expected}")
    for family in families.values():
        if not family.documentation:
            sys.exit(f"error: {family.name} has no HELP")
    plain = sum(len(family.samples) for family in read_text(text))
    if plain != len(values):
        sys.exit(f"error: {len(values)} series as OpenMetrics, {plain} as text")
    print(f"metrics: {len(families)} families, {plain} series")


with tempfile.TemporaryDirectory(prefix="countersign-metrics.") as folder:
    settings = {
        "COUNTERSIGN_ADDR": "127.0.0.1:0",
        "COUNTERSIGN_OPS_ADDR": "127.0.0.1:0",
        "COUNTERSIGN_DATA_DIR": f"{folder}/data",
        "COUNTERSIGN_ISSUER": "http://countersign.test",
        "BCRYPT_ROUNDS": "4",
    }
    with open(f"{folder}/log", "w") as log:
        server = subprocess.Popen([sys.argv[1], "serve"], cwd=folder, env=settings, stdout=log, stderr=log)
    try:
        public, operator = addresses(f"{folder}/log", server)
        use(public)
        check(answer(f"{operator}/metrics"))
    finally:
        server.terminate()
        server.wait()

"""Password hashes made by passlib, for the tests of the domain room; and the other way round.

    python3 -m venv venv && venv/bin/pip install 'passlib==1.7.4' 'bcrypt<5' argon2-cffi
    venv/bin/python scripts/passlib-vectors.py > crates/domain/tests/data/passlib.json
    cargo run -p countersign-domain --example password_hashes > hashes.json
    venv/bin/python scripts/passlib-vectors.py --check hashes.json

Salts are derived from the case, so that a second run writes the same file.
"""

import hashlib
import json
import logging
import sys
import unicodedata

# passlib 1.7.4 looks for a version number that newer bcrypt packages do not have, and only warns.
logging.getLogger("passlib").setLevel(logging.ERROR)

from passlib.hash import argon2, bcrypt, bcrypt_sha256
from passlib.utils.binary import bcrypt64

LONG = "0123456789aBcDeF" * 64

# 8, 71, 72, 73 and 1024 bytes; text beyond ASCII, alone and across the 72nd byte; NUL where the hash allows it.
PASSWORDS = {
    "8 bytes": "correct!",
    "71 bytes": LONG[:71],
    "72 bytes": LONG[:72],
    "non-ASCII": unicodedata.normalize("NFC", "Grüße, 世界 🦀 Å"),
    "72 bytes, non-ASCII": "é" * 36,
}
LONG_PASSWORDS = {
    "73 bytes": LONG[:73],
    "73 bytes, a character across the 72nd": LONG[:71] + "é",
    "1024 bytes": LONG,
    "1024 bytes, non-ASCII": "世" * 341 + "x",
}
NUL_PASSWORDS = {
    "NUL inside": "before\0after",
    "NUL at the end": "password-then\0",
    "NUL in a long one": LONG[:40] + "\0" + LONG[:60],
}


def salt(name):
    return hashlib.sha256(name.encode()).digest()[:16]


def vector(scheme, case, password, cost, handler, matches=True):
    name = f"{scheme}, cost {cost}, {case}"
    raw = salt(name)
    setting = raw if scheme == "argon2id" else bcrypt64.encode_bytes(raw).decode()
    digest = handler.using(salt=setting).hash(password)
    return {
        "case": name,
        "password": password,
        "salt": raw.hex(),
        "hash": digest,
        "matches": matches,
    }


def vectors():
    everything = PASSWORDS | LONG_PASSWORDS | NUL_PASSWORDS
    for ident in ("2b", "2a", "2y"):
        for case, password in PASSWORDS.items():
            yield vector(ident, case, password, 4, bcrypt.using(ident=ident, rounds=4))
        # bcrypt saw the first 72 bytes only, so this hash vouches for no password.
        case, password = "73 bytes", LONG_PASSWORDS["73 bytes"]
        yield vector(ident, case, password, 4, bcrypt.using(ident=ident, rounds=4), False)
    for version in (2, 1):
        for case, password in everything.items():
            cost = 5 if case == "8 bytes" else 4
            handler = bcrypt_sha256.using(version=version, rounds=cost)
            yield vector(f"bcrypt-sha256 v{version}", case, password, cost, handler)
    yield vector("bcrypt-sha256 v1 2a", "8 bytes", PASSWORDS["8 bytes"], 4, bcrypt_sha256.using(version=1, ident="2a", rounds=4))
    for case in ("8 bytes", "72 bytes"):
        yield vector("2b", case, PASSWORDS[case], 12, bcrypt.using(ident="2b", rounds=12))
    yield vector("bcrypt-sha256 v2", "73 bytes", LONG_PASSWORDS["73 bytes"], 12, bcrypt_sha256.using(rounds=12))
    small = argon2.using(type="ID", rounds=1, memory_cost=64, parallelism=1, digest_size=32)
    lanes = argon2.using(type="ID", rounds=3, memory_cost=256, parallelism=4, digest_size=32)
    usual = argon2.using(type="ID", rounds=2, memory_cost=19 * 1024, parallelism=1, digest_size=32)
    for case, password in everything.items():
        yield vector("argon2id", case, password, "64 KiB", small)
    yield vector("argon2id", "8 bytes", PASSWORDS["8 bytes"], "256 KiB in 4 lanes", lanes)
    yield vector("argon2id", "8 bytes", PASSWORDS["8 bytes"], "19 MiB", usual)


def check(path):
    """Every hash in the file is one of its password, and of no other."""
    handlers = (bcrypt, bcrypt_sha256, argon2)
    with open(path, encoding="utf-8") as file:
        hashes = json.load(file)
    for entry in hashes:
        handler = next(each for each in handlers if each.identify(entry["hash"]))
        assert handler.verify(entry["password"], entry["hash"]), entry
        assert not handler.verify("x" + entry["password"], entry["hash"]), entry
    print(f"passlib verifies all {len(hashes)}")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        check(sys.argv[2])
    else:
        json.dump(list(vectors()), sys.stdout, indent=1, ensure_ascii=True)
        print()

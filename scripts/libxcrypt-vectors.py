#!/usr/bin/env python3
"""Writes crates/bcrypt-lanes/tests/data/libxcrypt.txt: random passwords and what the system's libxcrypt makes of them.

Each line is the password in hexadecimal ("-": empty) and its hash string. The seed is fixed, so that the same file comes out again.
"""
import ctypes, random, sys

crypt = ctypes.CDLL("libcrypt.so.1").crypt
crypt.restype = ctypes.c_char_p
random.seed(20261123)
ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

for length in list(range(81)) * 3:
    password = bytes(random.randrange(1, 256) for _ in range(length))
    # The last character of a salt has two bits to use.
    salt = "".join(random.choice(ALPHABET) for _ in range(21)) + random.choice(".Oeu")
    setting = f"${random.choice(['2a', '2b', '2y'])}${random.choice([4, 4, 4, 5, 6]):02}${salt}"
    result = crypt(password, setting.encode()).decode()
    if not result.startswith(setting):
        sys.exit(f"libxcrypt has no {setting}: {result}")
    print(password.hex() or "-", result)

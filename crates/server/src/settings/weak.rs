//! Secrets that are long enough and yet can be guessed.

/// Least length of a secret, in bytes: the output of SHA-256 (RFC 7518, section 3.2).
pub const LEAST_BYTES: usize = 32;

/// Published as examples, and therefore tried first by whoever looks for forgeable tokens.
const PUBLISHED: &[&str] = &[
    // FastAPI's tutorial on OAuth2 with JWT
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    // python.astrotech.io, FastAPI course
    "8dd0c72c203f1c63bd67d2089b9f3dd069873ef78688cf840c71a2237ec01d1f",
    // Tutorials on Spring Security with JWT
    "404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970",
    // Hasura's documentation on JWT
    "3ek6fd+o0+c7tzbnvfjpmkndi2yaraakzqlk8o2ikoxqu4nf7edah8s3twphwrdwt6r",
    // RFC 7515, appendix A.1
    "aym1sysppbydfgzld3umj1qzkobwvmkoqq-estjqlr_t-1qs0gzh75aktmn3yj0ips4hcguutwjazzr1z9caow",
];

/// Words of placeholders, found with everything but letters and digits taken out. None is shorter than six letters: in
/// 64 random characters one of them turns up by chance less than once in a million.
const PLACEHOLDERS: &[&str] = &[
    "secret",
    "password",
    "passwort",
    "changeme",
    "changethis",
    "changeit",
    "replaceme",
    "replacethis",
    "replacewith",
    "example",
    "placeholder",
    "insertyour",
    "your256bit",
    "yourjwt",
    "yourkey",
    "tobemodified",
    "donotuse",
    "dontuse",
    "insecure",
    "qwerty",
    "asdfgh",
    "countersign",
];

/// Why `secret` is refused, as the rest of a sentence, or nothing where it may be used. The answer never holds any of it.
pub fn weakness(secret: &str) -> Option<&'static str> {
    let bytes = secret.as_bytes();
    if bytes.len() < LEAST_BYTES {
        return Some("is shorter than 32 bytes");
    }
    let lower = secret.to_lowercase();
    if PUBLISHED.contains(&lower.trim()) {
        return Some("is a published example, which anyone can try");
    }
    let plain: String = lower.chars().filter(|c| c.is_alphanumeric()).collect();
    if PLACEHOLDERS.iter().any(|word| plain.contains(word)) {
        return Some("looks like a placeholder, which anyone can guess");
    }
    if distinct(bytes) < 8 {
        return Some("consists of a few characters only");
    }
    if repeats(bytes) {
        return Some("repeats itself");
    }
    if runs(bytes) {
        return Some("is a run of neighbouring characters");
    }
    None
}

fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    for byte in bytes {
        seen[usize::from(*byte)] = true;
    }
    seen.iter().filter(|seen| **seen).count()
}

/// Whether some shorter text, set twice or more often, makes up the whole.
fn repeats(bytes: &[u8]) -> bool {
    (1..=bytes.len() / 2).any(|period| bytes.iter().zip(&bytes[period..]).all(|(a, b)| a == b))
}

/// Whether three of four characters are the last one, the next one or the one before in the character table.
fn runs(bytes: &[u8]) -> bool {
    let near = bytes
        .windows(2)
        .filter(|pair| pair[0].abs_diff(pair[1]) <= 1)
        .count();
    near * 4 >= (bytes.len() - 1) * 3
}

#[cfg(test)]
mod tests {
    use super::weakness;

    #[test]
    fn weak_secrets_are_refused() {
        for (secret, why) in [
            ("", "shorter"),
            ("kq3v9T0xPz", "shorter"),
            ("Zk3v9T0xPzQ7uW1yB5nM8cR2dF6gH4j", "shorter"),
            (
                "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
                "published",
            ),
            (
                "09D25E094FAA6CA2556C818166B7A9563B93F7099F6F0F4CAA6CF63B88E8D3E7",
                "published",
            ),
            (
                "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
                "published",
            ),
            (
                "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
                "published",
            ),
            (
                "your-secret-key-your-secret-key-your-secret-key",
                "placeholder",
            ),
            ("a-string-secret-at-least-256-bits-long", "placeholder"),
            (
                "super-secret-jwt-token-with-at-least-32-characters-long",
                "placeholder",
            ),
            ("Change_Me_Change_Me_Change_Me_1234567", "placeholder"),
            ("please replace me with something long", "placeholder"),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "few characters"),
            (
                "abcabcabdabcabcabdabccabdabcabcabdabcabcabd",
                "few characters",
            ),
            ("Zk3v9T0xPzQ7uW1yZk3v9T0xPzQ7uW1y", "repeats"),
            ("Zk3v9T0xPzQ7Zk3v9T0xPzQ7Zk3v9T0xPzQ7Zk3", "repeats"),
            ("abcdefghijklmnopqrstuvwxyz123456", "run"),
            ("zyxwvutsrqponmlkjihgfedcba987654", "run"),
        ] {
            let found = weakness(secret);
            assert!(
                found.is_some_and(|found| found.contains(why)),
                "{secret}: {found:?}"
            );
        }
    }

    #[test]
    fn random_secrets_pass() {
        // The spellings that common commands print: hexadecimal, base64, a UUID.
        for secret in [
            "1f0b6c1d8a2e4b7f93c5d06e7ab8124f",
            "c8d3a5f0917e4b62f1a09be3d75c248611fd3e09a4b7c25d8e60f3917ab2cd45",
            "Zk3v9T0xPzQ7uW1yB5nM8cR2dF6gH4jL",
            "q1Yc0zH3m0mX8b0Jm4r2a6xkqgk0nV9d7w3sQ5tPfLuZcEiRoyTg4hBvN1KXjD6A",
            "7d1c1f0e-3b52-4f8a-9c61-d40e8a7b2f95",
        ] {
            assert_eq!(weakness(secret), None, "{secret}");
        }
    }
}

//! What a verification and a signature cost beside the bare primitive, and beside the primitive with base64 and JSON. The last line of each algorithm is the ratio
//! that is to stay at or under 1.3.
//!
//! `cargo bench -p countersign-token`

use std::{hint::black_box, time::Instant};

use aws_lc_rs::{
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use countersign_token::{
    Algorithm, Claims, Expectations, KeySet, RevocationSet, SigningKey, TokenCache, Verifier,
};
use criterion::{Criterion, criterion_group, criterion_main};
use serde::Deserialize;
use uuid::Uuid;

const NOW: i64 = 1_800_000_000;
const SECRET: &[u8] = b"a secret for the benchmark only, not less than 32 bytes";

enum Primitive {
    Public(ParsedPublicKey),
    Hmac(Box<hmac::Key>),
}

impl Primitive {
    fn verify(&self, message: &[u8], signature: &[u8]) {
        match self {
            Self::Public(key) => key.verify_sig(message, signature).unwrap(),
            Self::Hmac(key) => hmac::verify(key, message, signature).unwrap(),
        }
    }
}

enum PrivatePrimitive {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    Hs256(Box<hmac::Key>),
}

impl PrivatePrimitive {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::EdDsa(pair) => pair.sign(message).as_ref().into(),
            Self::Es256(pair) => pair.sign(&random, message).unwrap().as_ref().into(),
            Self::Hs256(key) => hmac::sign(key, message).as_ref().into(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }
}

fn keys(algorithm: Algorithm) -> (SigningKey, PrivatePrimitive, Primitive) {
    let from_pkcs8 = |der: &[u8]| SigningKey::from_pkcs8(algorithm, der).unwrap();
    let public = |kind, bytes: &[u8]| Primitive::Public(ParsedPublicKey::new(kind, bytes).unwrap());
    match algorithm {
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let key = from_pkcs8(pair.to_pkcs8().unwrap().as_ref());
            let verify = public(&ED25519, pair.public_key().as_ref());
            (key, PrivatePrimitive::EdDsa(pair), verify)
        }
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let key = from_pkcs8(pair.to_pkcs8v1().unwrap().as_ref());
            let verify = public(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
            (key, PrivatePrimitive::Es256(pair), verify)
        }
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let key = from_pkcs8(pair.as_der().unwrap().as_ref());
            let verify = public(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
            (key, PrivatePrimitive::Rs256(pair), verify)
        }
        Algorithm::Hs256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
            let verify = Primitive::Hmac(Box::new(key.clone()));
            (
                SigningKey::hs256(SECRET).unwrap(),
                PrivatePrimitive::Hs256(Box::new(key)),
                verify,
            )
        }
    }
}

fn claims() -> Claims {
    let id = |number: u128| Uuid::from_u128(0x018f_4d2e_0000_7000_8000_0000_0000_0000 + number);
    Claims {
        iss: "https://auth.example.com".into(),
        sub: id(1),
        aud: "https://api.example.com".into(),
        iat: NOW,
        exp: NOW + 900,
        nbf: None,
        jti: id(2),
        sid: id(3),
        auth_time: NOW,
        amr: vec!["pwd".into()],
        scope: "profile".into(),
        roles: vec!["user".into()],
    }
}

/// What a reader without any rules would have: the same values, by serde's derived code.
#[derive(Deserialize)]
#[allow(dead_code)]
struct PlainClaims {
    iss: String,
    sub: Uuid,
    aud: String,
    iat: i64,
    exp: i64,
    nbf: Option<i64>,
    jti: Uuid,
    sid: Uuid,
    auth_time: i64,
    amr: Vec<String>,
    scope: String,
    roles: Vec<String>,
}

fn verification(criterion: &mut Criterion) {
    for algorithm in ALGORITHMS {
        let (signing_key, _, primitive) = keys(algorithm);
        let keys = KeySet::new(vec![signing_key.verification_key()]);
        let token = signing_key.sign(&claims()).unwrap();
        let verifier = Verifier::new(Expectations {
            issuer: claims().iss,
            audience: "https://api.example.com".into(),
            leeway_seconds: 5,
            max_lifetime_seconds: Some(3600),
        });
        let (cache, revoked) = (TokenCache::new(10_000), RevocationSet::new());
        revoked.end_session(Uuid::nil(), NOW, None);

        let (message, signature) = token.rsplit_once('.').unwrap();
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let bare = || primitive.verify(black_box(message.as_bytes()), &decoded);
        let plain = || {
            let mut parts = black_box(&token).split('.');
            let (_, payload) = (parts.next().unwrap(), parts.next().unwrap());
            let signature = BASE64_URL_SAFE_NO_PAD.decode(parts.next().unwrap());
            primitive.verify(message.as_bytes(), &signature.unwrap());
            let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
            serde_json::from_slice::<PlainClaims>(&payload).unwrap()
        };
        let whole = || verifier.verify(&keys, black_box(&token), NOW).unwrap();
        let cached = || {
            cache
                .verify(&verifier, &keys, black_box(&token), NOW)
                .unwrap()
        };

        let mut group = criterion.benchmark_group(format!("verify {algorithm}"));
        group.bench_function("primitive", |b| b.iter(bare));
        group.bench_function("primitive, base64, JSON", |b| b.iter(plain));
        group.bench_function("Verifier", |b| b.iter(whole));
        group.bench_function("TokenCache, hit", |b| b.iter(cached));
        group.bench_function("TokenCache, hit, and RevocationSet", |b| {
            b.iter(|| revoked.refuses(&cached()))
        });
        group.finish();
        report(&format!("verify {algorithm}"), &plain, &whole);
    }
}

fn signing(criterion: &mut Criterion) {
    for algorithm in ALGORITHMS {
        let (signing_key, primitive, _) = keys(algorithm);
        let claims = claims();
        let token = signing_key.sign(&claims).unwrap();
        let (message, _) = token.rsplit_once('.').unwrap();
        let (header, _) = message.split_once('.').unwrap();
        let bare = || primitive.sign(black_box(message.as_bytes()));
        let plain = || {
            let payload = serde_json::to_vec(black_box(&claims)).unwrap();
            let mut token = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(payload));
            let signature = primitive.sign(token.as_bytes());
            token.push('.');
            BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
            token
        };
        let whole = || signing_key.sign(black_box(&claims)).unwrap();

        let mut group = criterion.benchmark_group(format!("sign {algorithm}"));
        group.bench_function("primitive", |b| b.iter(bare));
        group.bench_function("primitive, base64, JSON", |b| b.iter(plain));
        group.bench_function("SigningKey", |b| b.iter(whole));
        group.finish();
        report(&format!("sign {algorithm}"), &plain, &whole);
    }
}

/// Both in turn, many times, and the least of each: what else the machine does then touches both alike.
#[allow(clippy::disallowed_methods)] // A benchmark measures time.
fn report<A, B>(name: &str, plain: &impl Fn() -> A, whole: &impl Fn() -> B) {
    let (mut least_plain, mut least_whole) = (f64::MAX, f64::MAX);
    for _ in 0..200 {
        for (work, least) in [
            (
                &(|| drop(black_box(plain()))) as &dyn Fn(),
                &mut least_plain,
            ),
            (&(|| drop(black_box(whole()))), &mut least_whole),
        ] {
            let start = Instant::now();
            (0..50).for_each(|_| work());
            *least = least.min(start.elapsed().as_secs_f64() / 50.0);
        }
    }
    println!(
        "{name}: {:.2} µs, against {:.2} µs for primitive, base64 and JSON: ratio {:.2}\n",
        least_whole * 1e6,
        least_plain * 1e6,
        least_whole / least_plain
    );
}

const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::EdDsa,
    Algorithm::Es256,
    Algorithm::Rs256,
    Algorithm::Hs256,
];

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).warm_up_time(std::time::Duration::from_millis(300)).measurement_time(std::time::Duration::from_secs(1));
    targets = verification, signing
}
criterion_main!(benches);

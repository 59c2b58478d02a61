//! What the database holds: nothing that can be used by who copies it, and nothing of a user who is gone.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use countersign_tests::{Backend, Random, Server, Setup, on_each_backend};
use reqwest::Method;
use serde_json::{Value, json};

on_each_backend!(nothing_usable_is_stored, a_deleted_user_leaves_nothing);

const PASSWORDS: [&str; 3] = [
    "first-plain-password",
    "second-plain-password",
    "wrong-plain-password",
];

async fn nothing_usable_is_stored(backend: Backend) {
    // With limits: what they keep is looked at too.
    let mut server = Setup::new(backend).with_limits().start().await;
    let api = server.api();
    let mut tokens = api.new_session("ada@example.com", PASSWORDS[0]).await;
    let mut seen = vec![tokens.access.clone(), tokens.refresh.clone()];
    for _ in 0..3 {
        tokens = api.refresh(&tokens.refresh).await.tokens();
        seen.extend([tokens.access.clone(), tokens.refresh.clone()]);
    }
    api.login("ada@example.com", PASSWORDS[2]).await.expect(401);
    api.change_password(&tokens.access, PASSWORDS[0], PASSWORDS[1])
        .await
        .expect(204);
    let other = api.login("ada@example.com", PASSWORDS[1]).await;
    seen.push(other.header("countersign-device").to_owned());
    let other = other.tokens();
    seen.extend([other.access.clone(), other.refresh.clone()]);
    api.logout(&other.refresh).await.expect(204);
    server.cli(&["keys", "rotate"]).expect(0);
    let root_secret = std::fs::read_to_string(server.folder().join("root-secret")).unwrap();

    let mut needles: Vec<Vec<u8>> = PASSWORDS
        .iter()
        .map(|password| password.as_bytes().to_vec())
        .collect();
    needles.push(root_secret.trim().into());
    for token in &seen {
        needles.push(token.clone().into());
        if let Some(encoded) = token.strip_prefix("cs_rt_") {
            needles.push(encoded.into());
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).unwrap();
            // Without the session's id, which is no secret: what makes the token genuine.
            needles.push(bytes[bytes.len() - 32..].to_vec());
        }
    }
    // How an Ed25519 private key begins in PKCS #8 (RFC 8410), and what PEM and JWK call one.
    needles.push(vec![0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20]);
    needles.push(b"PRIVATE KEY".to_vec());
    needles.push(b"\"d\":".to_vec());

    server.stop().await;
    let dump = server.database.dump().await;
    assert!(
        dump.contains("ada@example.com") && dump.contains("$2b$"),
        "the dump is not one:\n{dump}"
    );
    assert_absent(dump.as_bytes(), &needles, "a row");
    for (name, bytes) in database_files(&server) {
        assert_absent(&bytes, &needles, &name);
    }
    let log = server.cli(&["config", "show"]);
    assert_absent(
        format!("{}{}", log.stdout, log.stderr).as_bytes(),
        &needles,
        "config show",
    );
}

async fn a_deleted_user_leaves_nothing(backend: Backend) {
    // With limits: what they keep is looked at too.
    let mut server = Setup::new(backend).with_limits().start().await;
    let api = server.api();
    let mut random = Random::from_environment();
    let mark = format!("{:x}", random.next());
    let email = format!("Gone.{mark}@Example.com");
    let session = api.new_session(&email, PASSWORDS[0]).await;
    let name = json!({"name": format!("Name {mark}")});
    api.with_token(Method::PATCH, "/auth/me", &session.access, name)
        .await
        .expect(200);
    let request = api
        .request(Method::POST, "/auth/login")
        .header("user-agent", format!("agent-{mark}"));
    let body = json!({"email": email, "password": PASSWORDS[0]});
    countersign_tests::Api::send(request.json(&body))
        .await
        .expect(200);
    let id = api.me(&session.access).await.expect(200)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        server.database.dump().await.to_lowercase().contains(&mark),
        "the dump finds what is there"
    );

    let wrong = json!({"password": PASSWORDS[1]});
    let answer = api
        .with_token(Method::DELETE, "/auth/me", &session.access, wrong)
        .await;
    answer.expect_problem(403, "reauthentication_required");
    let right = json!({"password": PASSWORDS[0]});
    api.with_token(Method::DELETE, "/auth/me", &session.access, right)
        .await
        .expect(204);

    api.me(&session.access)
        .await
        .expect_problem(401, "session_revoked");
    assert_eq!(api.refresh(&session.refresh).await.status, 401);
    api.login(&email, PASSWORDS[0])
        .await
        .expect_problem(401, "invalid_credentials");
    let dump = server.database.dump().await.to_lowercase();
    assert!(!dump.contains(&mark), "left behind:\n{dump}");
    // The announcement that the user's tokens are void may name the id until they have expired, and events do as long as
    // they are kept.
    let rows: Vec<&str> = dump.lines().filter(|line| line.contains(&id)).collect();
    assert!(
        rows.iter()
            .all(|row| row.contains("revocations") || row.contains("audit_events")),
        "left behind: {rows:?}"
    );

    // The address is free again, and brings no session back.
    api.register(&email, PASSWORDS[1]).await.expect(201);
    assert_eq!(api.refresh(&session.refresh).await.status, 401);
    let again: Value = api.login(&email, PASSWORDS[1]).await.expect(200);
    let access = again["access_token"].as_str().unwrap();
    let body = json!({"password": PASSWORDS[1]});
    api.with_token(Method::DELETE, "/auth/me", access, body)
        .await
        .expect(204);

    // SQLite overwrites what it deletes (`secure_delete`), so after a shutdown, which empties the write-ahead log, the
    // file does not hold it either. PostgreSQL keeps dead rows and its log for a time that its operator sets.
    server.stop().await;
    for (name, bytes) in database_files(&server) {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(!text.contains(&mark), "left behind in {name}");
    }
}

/// The files of a SQLite database.
fn database_files(server: &Server) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(server.folder())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = files.filter(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("countersign.db")
    });
    files
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect()
}

/// Panics if one of the needles stands there: as bytes, or in hexadecimal digits of either case.
#[track_caller]
fn assert_absent(hay: &[u8], needles: &[Vec<u8>], place: &str) {
    for needle in needles {
        let lower: String = needle.iter().map(|byte| format!("{byte:02x}")).collect();
        for form in [
            needle.clone(),
            lower.to_uppercase().into_bytes(),
            lower.clone().into_bytes(),
        ] {
            let found = hay.windows(form.len()).any(|window| window == form);
            assert!(
                !found,
                "{place} holds {:?} ({lower})",
                String::from_utf8_lossy(needle)
            );
        }
    }
}

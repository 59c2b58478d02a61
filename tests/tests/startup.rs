//! What a first start leaves behind, and what a start refuses.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use countersign_tests::server::ROOT_SECRET;
use countersign_tests::{Backend, Server, Setup, on_each_backend};

/// `EX_CONFIG`: starting again without a change cannot help.
const WRONG_SETTINGS: Option<i32> = Some(78);

on_each_backend!(
    secrets_are_private_files,
    another_root_secret_is_refused,
    a_missing_root_secret_is_not_made_anew,
    sessions_survive_a_restart,
);

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn secrets_are_private_files(backend: Backend) {
    let server = Server::start(backend).await;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(server.folder()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    assert!(files.contains(&"root-secret".to_owned()), "{files:?}");
    let secret = std::fs::read_to_string(server.folder().join("root-secret")).unwrap();
    assert!(!server.log().contains(secret.trim()));
}

async fn another_root_secret_is_refused(backend: Backend) {
    let mut server = Setup::new(backend)
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .start()
        .await;
    server.stop().await;
    server.set(
        "COUNTERSIGN_SECRET",
        "another/QmVhdXRpZnVsIGlzIGJldHRlciB0aGFuIHVnbHkuIEV4",
    );
    let (code, output) = server.run_refused();
    assert_eq!(code, WRONG_SETTINGS, "{output}");
    assert!(output.contains("COUNTERSIGN_SECRET"), "{output}");
    assert!(!output.contains("panicked"), "{output}");
    server.set("COUNTERSIGN_SECRET", ROOT_SECRET);
    server.launch().await;
}

async fn a_missing_root_secret_is_not_made_anew(backend: Backend) {
    let mut server = Server::start(backend).await;
    server.stop().await;
    let file = server.folder().join("root-secret");
    let secret = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let (code, output) = server.run_refused();
    assert_eq!(code, WRONG_SETTINGS, "{output}");
    assert!(output.contains("root-secret"), "{output}");
    let doctor = server.cli(&["doctor"]).expect(78);
    assert!(doctor.stdout.contains("root-secret"), "{}", doctor.stdout);
    assert!(!file.exists());
    std::fs::write(&file, secret).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    server.launch().await;
}

async fn sessions_survive_a_restart(backend: Backend) {
    let mut server = Server::start(backend).await;
    let first = server
        .api()
        .new_session("ada@example.com", "correct horse battery")
        .await;
    let second = server.api().refresh(&first.refresh).await.tokens();
    let third = server.api().refresh(&second.refresh).await.tokens();
    let ended = server
        .api()
        .login("ada@example.com", "correct horse battery")
        .await
        .tokens();
    server.api().logout(&ended.refresh).await.expect(204);
    for kill in [true, false] {
        if kill {
            server.kill();
        } else {
            server.stop().await;
        }
        server.launch().await;
        let api = server.api();
        api.me(&third.access).await.expect(200);
        api.me(&ended.access)
            .await
            .expect_problem(401, "session_revoked");
        api.refresh(&ended.refresh)
            .await
            .expect_problem(401, "session_revoked");
    }
    server
        .api()
        .refresh(&first.refresh)
        .await
        .expect_problem(401, "refresh_token_reused");
    server
        .api()
        .me(&third.access)
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_are_refused_by_name() {
    for (name, value) in [
        ("BCRYPT_ROUNDS", "40"),
        ("COUNTERSIGN_ADDR", "nowhere"),
        ("COUNTERSIGN_ADR", "127.0.0.1:0"),
        ("JWT_ALGORITHM", "none"),
        ("JWT_ALGORITHM", "HS256"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("COUNTERSIGN_SECRET", "short"),
    ] {
        let server = Setup::new(Backend::Sqlite).set(name, value).prepare().await;
        let (code, output) = server.run_refused();
        assert_eq!(code, WRONG_SETTINGS, "{name}={value}: {output}");
        let named = if value == "HS256" { "JWT_SECRET" } else { name };
        assert!(output.contains(named), "{name}={value}: {output}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_database_is_no_reason_to_give_a_password_away() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let file = Arc::new(countersign_tests::Database::create(Backend::Sqlite, folder.path()).await);
    let setup = Setup::new(Backend::Sqlite).set(
        "DATABASE_URL",
        "postgres://ada:secret-word@127.0.0.1:1/none",
    );
    let (code, output) = setup.prepare_on(folder, file).run_refused();
    assert_eq!(code, Some(69), "{output}");
    assert!(!output.contains("secret-word"), "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_in_the_wrong_folder_makes_no_installation_there() {
    let server = Setup::new(Backend::Sqlite).prepare().await;
    for command in [["user", "list"], ["keys", "list"]] {
        let refused = server.cli(&command).expect(78);
        assert!(
            refused.stderr.contains("there is no database"),
            "{}",
            refused.stderr
        );
    }
    let doctor = server.cli(&["doctor"]).expect(78);
    assert!(
        doctor.stdout.contains("there is no database"),
        "{}",
        doctor.stdout
    );
    assert_eq!(std::fs::read_dir(server.folder()).unwrap().count(), 0);
}

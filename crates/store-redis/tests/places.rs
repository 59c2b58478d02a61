//! Redis behind TLS, behind Sentinels, and as a Cluster that loses a server.

#[path = "support/server.rs"]
mod server;
mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use countersign_domain::rotation::{Dead, EndReason};
use countersign_store::RefreshOutcome;
use countersign_store::contract::kit::{self, at};
use countersign_store_redis::{RedisStore, RedisUrl, Settings};
use server::Server;
use support::{instance, settings};

async fn becomes(store: &RedisStore, trusted: bool) {
    for _ in 0..800 {
        if store.is_trusted() == trusted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!(
        "Redis did not become {}",
        if trusted { "trusted" } else { "distrusted" }
    );
}

fn openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// A certificate authority of our own, and what it vouches for.
fn certificates(folder: &Path) {
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(
        folder,
        &format!("req -x509 {new} -keyout ca.key -out ca.pem -subj /CN=ours"),
    );
    openssl(
        folder,
        &format!("req -x509 {new} -keyout x.key -out other.pem -subj /CN=theirs"),
    );
    openssl(
        folder,
        &format!(
            "req -x509 {new} -keyout server.key -out server.pem -subj /CN=redis -CA ca.pem -CAkey ca.key \
             -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
        ),
    );
}

#[tokio::test]
async fn tls_with_a_private_authority() {
    let folder = tempfile::TempDir::new().unwrap();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (cert, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
    // Without a password nothing but TLS protects it here; the plain port is for the test.
    let tls_port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let port = tls_port.to_string();
    let options = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ];
    let server = Server::start(&options).await;
    let url = format!("rediss://127.0.0.1:{tls_port}");
    let fresh = support::sqlite();
    let with = |ca: Option<&str>| {
        let mut settings: Settings = settings(&url);
        settings.ca_file = ca.map(|name| folder.path().join(name));
        settings
    };
    let trusted = instance(&fresh, with(Some("ca.pem"))).await;
    assert!(trusted.is_trusted());
    let user = kit::user(&trusted).await;
    let session = kit::open(&trusted, user.id, at(0)).await;
    kit::refreshed(&trusted, session.id, 0, at(1)).await;
    assert!(trusted.is_trusted());
    for stranger in [Some("other.pem"), None] {
        let store = instance(&fresh, with(stranger)).await;
        assert!(
            !store.is_trusted(),
            "nobody we know vouches for this server"
        );
    }
    let beneath = fresh.connect().await;
    for unusable in ["no-such-file", "ca.key"] {
        let error = RedisStore::open(beneath.clone(), with(Some(unusable)))
            .await
            .unwrap_err();
        let line = error.to_string();
        assert!(line.contains(unusable) && !line.contains('\n'), "{line}");
    }
    drop(server);
}

/// The replica is behind when it is promoted: it has neither the last rotations nor the sign-out.
#[tokio::test]
async fn sentinel_promotes_a_replica_that_is_behind() {
    let mut master = Server::start(&[]).await;
    let master_port = master.port.to_string();
    let replica = Server::start(&["--replicaof", &format!("127.0.0.1 {master_port}")]).await;
    for _ in 0..200 {
        if replica.cli(&["role"]).contains("connected") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let sentinel = Server::start_sentinel(&format!(
        "sentinel monitor main 127.0.0.1 {master_port} 1\nsentinel down-after-milliseconds main 1000\n\
         sentinel failover-timeout main 3000\n"
    ))
    .await;
    let fresh = support::sqlite();
    let url = format!("redis-sentinel://127.0.0.1:{}/main", sentinel.port);
    let store = instance(&fresh, settings(&url)).await;
    becomes(&store, true).await;
    let user = kit::user(&store).await;
    let (stays, leaves) = (
        kit::open(&store, user.id, at(0)).await.id,
        kit::open(&store, user.id, at(0)).await.id,
    );
    for id in [stays, leaves] {
        kit::refreshed(&store, id, 0, at(60)).await;
    }
    // The sentinel must have seen the replica, and the replica these.
    for _ in 0..400 {
        let seen = sentinel
            .cli(&["sentinel", "replicas", "main"])
            .contains(&replica.port.to_string());
        if seen && replica.cli(&["dbsize"]).trim() >= "3" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    replica.signal("STOP");
    kit::refreshed(&store, stays, 1, at(120)).await;
    kit::refreshed(&store, stays, 2, at(180)).await;
    kit::logout(&store, leaves, at(180)).await;
    master.kill();
    replica.signal("CONT");
    becomes(&store, false).await;
    // Meanwhile, in the database.
    kit::refreshed(&store, stays, 3, at(240)).await;
    becomes(&store, true).await;
    assert!(replica.cli(&["role"]).contains("master"));
    let outcome = kit::refresh(&store, leaves, 1, at(300)).await;
    let logged_out = Dead::Ended(EndReason::Logout);
    assert!(
        matches!(outcome, RefreshOutcome::Dead { dead, .. } if dead == logged_out),
        "{outcome:?}"
    );
    kit::refreshed(&store, stays, 4, at(300)).await;
    // What was used up before the failover stays used up.
    let outcome = kit::refresh(&store, stays, 1, at(360)).await;
    assert!(
        matches!(outcome, RefreshOutcome::Reused { .. }),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn sentinel_that_knows_no_such_master() {
    let sentinel = Server::start_sentinel("").await;
    let url = format!("redis-sentinel://127.0.0.1:{}/main", sentinel.port);
    let fresh = support::sqlite();
    let store = instance(&fresh, settings(&url)).await;
    assert!(!store.is_trusted());
    assert_eq!(
        RedisUrl::parse(&url).unwrap().place(),
        format!("127.0.0.1:{}", sentinel.port)
    );
}

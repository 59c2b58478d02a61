//! nginx and HAProxy with the files of `deploy/`, each on ports, and with a certificate, of one test's own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::{Api, Random};

/// The host name in both files and in the certificate.
pub const HOST: &str = "auth.example.com";

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Haproxy,
}

/// A running proxy. Dropping it stops it and deletes its folder.
#[derive(Debug)]
pub struct Proxy {
    kind: Kind,
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Proxy {
    /// Starts one in front of these two addresses, `IP:PORT`. `extra` is for nginx: a directive and what stands after it
    /// instead, such as one that caches.
    pub async fn start(kind: Kind, upstreams: [&str; 2], extra: &[(&str, &str)]) -> Proxy {
        let folder = crate::server::temporary_folder();
        certify(folder.path());
        let mut random = Random::from_environment();
        let port = free_port(&mut random);
        let mut text = match kind {
            Kind::Nginx => deploy("nginx.conf"),
            Kind::Haproxy => deploy("haproxy.cfg"),
        };
        for (from, to) in substitutions(kind, folder.path(), port, upstreams) {
            text = replaced(&text, &from, &to);
        }
        for (from, to) in extra {
            text = replaced(&text, from, to);
        }
        let child = match kind {
            Kind::Nginx => nginx(folder.path(), &text),
            Kind::Haproxy => haproxy(folder.path(), &text),
        };
        let mut proxy = Proxy {
            kind,
            folder,
            port,
            child,
        };
        proxy.until_it_listens().await;
        proxy
    }

    async fn until_it_listens(&mut self) {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            if let Some(status) = self.child.try_wait().expect("wait") {
                panic!("{:?} ended with {status}: {}", self.kind, self.log());
            }
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{:?} does not listen: {}",
                self.kind,
                self.log()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// A client with this address, in `127.0.0.0/8`, that trusts nothing but the test's certificate.
    pub fn client(&self, address: Ipv4Addr) -> Api {
        let pem = std::fs::read(self.folder.path().join("fullchain.pem")).expect("certificate");
        let certificate = reqwest::Certificate::from_pem(&pem).expect("certificate");
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([certificate])
            .local_address(IpAddr::from(address))
            .resolve(HOST, SocketAddr::from(([127, 0, 0, 1], self.port)))
            .timeout(Duration::from_secs(30))
            .build()
            .expect("client");
        Api::with_client(&format!("https://{HOST}:{}", self.port), http)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- log of {:?}\n{}---", self.kind, self.log());
        }
        // nginx has workers, which go when their master is asked to, and not when it is killed.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        for _ in 0..500 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port below the ephemeral range on which nobody listens, so that no outgoing connection takes it meanwhile.
pub fn free_port(random: &mut Random) -> u16 {
    for _ in 0..64 {
        let port = 5_000 + random.below(5_500) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// A file of `deploy/`.
pub fn deploy(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "deploy", name]
        .iter()
        .collect();
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Replaces what must be there: a file that has changed must not be run with half of what the test means.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no `{from}` in:\n{text}");
    text.replace(from, to)
}

fn substitutions(
    kind: Kind,
    folder: &Path,
    port: u16,
    upstreams: [&str; 2],
) -> Vec<(String, String)> {
    let mut all = vec![
        (
            "/etc/ssl/countersign".into(),
            folder.to_str().expect("UTF-8").into(),
        ),
        ("127.0.0.1:8081".into(), upstreams[0].into()),
        ("127.0.0.1:8082".into(), upstreams[1].into()),
    ];
    all.extend(match kind {
        // Not every machine that tests has IPv6.
        Kind::Nginx => vec![
            ("listen [::]:443 ssl http2;".into(), String::new()),
            (
                "listen 443 ssl".into(),
                format!("listen 127.0.0.1:{port} ssl"),
            ),
        ],
        Kind::Haproxy => vec![(
            "bind :443 ssl".to_owned(),
            format!("bind 127.0.0.1:{port} ssl"),
        )],
    });
    all
}

/// Makes a certificate for [`HOST`], and the file with both that HAProxy wants.
fn certify(folder: &Path) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-subj", &format!("/CN={HOST}")])
        .args(["-addext", &format!("subjectAltName=DNS:{HOST}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "privkey.pem", "-out", "fullchain.pem"])
        .current_dir(folder)
        .output()
        .expect("run openssl; on Debian: apt-get install openssl");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("made just now");
    let both = read("fullchain.pem") + &read("privkey.pem");
    std::fs::write(folder.join("site.pem"), both).expect("write");
}

/// Runs nginx in the foreground with this as the one file of `conf.d`.
fn nginx(folder: &Path, text: &str) -> Child {
    std::fs::write(folder.join("countersign.conf"), text).expect("write");
    let root = rustix::process::getuid().is_root();
    let user = if root { "user root;" } else { "" };
    // Where Debian's `nginx.conf` would name folders of the system's own nginx.
    let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("{what}_temp_path {what};\n"))
        .collect();
    let main = format!(
        "{user} daemon off; worker_processes 2; pid nginx.pid; error_log log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off;\n{places} include countersign.conf; }}\n"
    );
    std::fs::write(folder.join("main.conf"), main).expect("write");
    let mut command = Command::new(program("nginx"));
    command.arg("-p").arg(folder).args(["-c", "main.conf"]);
    command.arg("-e").arg(folder.join("log"));
    foreground(command, folder)
}

fn haproxy(folder: &Path, text: &str) -> Child {
    std::fs::write(folder.join("haproxy.cfg"), text).expect("write");
    let mut command = Command::new(program("haproxy"));
    command.arg("-db").arg("-f").arg(folder.join("haproxy.cfg"));
    foreground(command, folder)
}

fn foreground(mut command: Command, folder: &Path) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .expect("log");
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("log"))
        .stderr(log);
    let started = command.spawn();
    started.unwrap_or_else(|error| panic!("{command:?}: {error}; `scripts/test` installs it"))
}

/// Debian keeps both where the `PATH` of users other than root does not look.
fn program(name: &str) -> PathBuf {
    let there = Path::new("/usr/sbin").join(name);
    if there.exists() { there } else { name.into() }
}

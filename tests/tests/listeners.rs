//! The ways a connection reaches the api: plain HTTP, TLS, a Unix-domain socket.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rolecall_tests::process::Role;
use rolecall_tests::{Installation, Process, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

const PATIENCE: Duration = Duration::from_secs(30);

/// A certificate for `localhost` and its key, in PEM.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    /// A caller who trusts this certificate and no other, and keeps no connection.
    fn trusting(&self) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(self.certificate.as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
        client.tls_certs_only([root]).build().unwrap()
    }
}

/// An installation that listens with TLS, its files, and the certificate in them.
struct Secured {
    rolecall: Installation,
    pair: Pair,
}

impl Secured {
    async fn create(name: &str) -> Self {
        let mut rolecall = Installation::new(name).await;
        let [certificate, key] =
            ["api.crt", "api.key"].map(|file| rolecall.dir().join(file).display().to_string());
        rolecall.set("api.tls_listen", "127.0.0.1:0");
        rolecall.set("api.tls_certificate_file", certificate);
        rolecall.set("api.tls_key_file", key);
        let pair = Pair::new();
        let secured = Self { rolecall, pair };
        secured.write(&secured.pair.certificate, &secured.pair.key);
        secured
    }

    /// Each file by renaming, as whoever renews certificates does.
    fn write(&self, certificate: &str, key: &str) {
        for (file, text) in [("api.crt", certificate), ("api.key", key)] {
            let made = self.rolecall.dir().join("made");
            std::fs::write(&made, text).unwrap();
            std::fs::rename(made, self.rolecall.dir().join(file)).unwrap();
        }
    }
}

fn tls_url(api: &Process) -> String {
    format!("https://localhost:{}", api.address("api-tls").expect("it listens with TLS").port())
}

fn is_told_to_use_tls(answer: &reqwest::Response) -> bool {
    answer.headers().contains_key("strict-transport-security")
}

#[tokio::test]
async fn the_same_api_answers_with_tls_and_only_there_insists_on_it() {
    let secured = Secured::create("tls").await;
    let api = secured.rolecall.start(Role::Api).await;
    let caller = secured.pair.trusting();
    // Somebody who never begins his handshake is in nobody's way.
    let _silent = TcpStream::connect(api.address("api-tls").unwrap()).await.unwrap();
    for (url, is_tls) in [(tls_url(&api), true), (api.url(), false)] {
        let request = caller.get(format!("{url}/api/v2/hosts"));
        let answer = request.try_clone().unwrap().send().await.unwrap();
        assert_eq!((answer.status().as_u16(), is_told_to_use_tls(&answer)), (401, is_tls), "{url}");
        let request = request.basic_auth(&secured.rolecall.user, Some(&secured.rolecall.password));
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), is_told_to_use_tls(&answer)), (200, is_tls), "{url}");
        assert_eq!(answer.version() == reqwest::Version::HTTP_2, is_tls, "{url}");
    }
    assert!(Pair::new().trusting().get(tls_url(&api)).send().await.is_err(), "a stranger's certificate");
    assert_eq!(api.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart_and_a_broken_one_never() {
    let secured = Secured::create("renewal").await;
    let api = secured.rolecall.start(Role::Api).await;
    let (url, next) = (format!("{}/livez", tls_url(&api)), Pair::new());
    assert!(next.trusting().get(&url).send().await.is_err());

    secured.write(&next.certificate, "no key at all");
    eventually("the broken pair to be told", PATIENCE, async || {
        api.log_text().contains("the one before it stays").then_some(())
    })
    .await;
    assert!(api.log_text().contains("api.tls_key_file: "), "{}", api.log_tail());
    secured.pair.trusting().get(&url).send().await.expect("the old certificate is shown");

    secured.write(&next.certificate, &next.key);
    let caller = next.trusting();
    eventually("the new certificate", PATIENCE, async || caller.get(&url).send().await.ok()).await;
    assert!(secured.pair.trusting().get(&url).send().await.is_err());
}

#[tokio::test]
async fn what_cannot_be_listened_on_is_refused_with_every_fault_at_once() {
    let mut secured = Secured::create("refused").await;
    secured.write("nothing", &Pair::new().key);
    let taken = secured.rolecall.dir().join("api.sock");
    std::fs::write(&taken, "somebody's").unwrap();
    secured.rolecall.set("api.unix_socket", taken.display().to_string());
    let log = refusal(&secured.rolecall).await;
    for fault in ["api.tls_certificate_file: ", "holds no certificate", "api.unix_socket: ", "is no socket"] {
        assert!(log.contains(fault), "{fault}: {log}");
    }
    assert!(taken.exists());

    // Settings alone decide this, so that the worker and `config check` know as well.
    secured.rolecall.set("api.listen", "0.0.0.0:0");
    let log = refusal(&secured.rolecall).await;
    for word in ["api.listen: 0.0.0.0:0", "api.tls_listen", "127.0.0.1:0", "api.allow_plain_http = true"] {
        assert!(log.contains(word), "{word}: {log}");
    }
    assert!(!secured.rolecall.run(&["config", "check"]).status.success());
}

async fn refusal(rolecall: &Installation) -> String {
    let process = rolecall.spawn(Role::Api);
    assert!(!process.ended().await.success());
    process.log_text()
}

#[tokio::test]
async fn plain_http_for_all_is_there_for_those_who_ask_for_it() {
    let mut rolecall = Installation::new("plain").await;
    rolecall.set("api.listen", "0.0.0.0:0");
    rolecall.set("api.allow_plain_http", "true");
    rolecall.start(Role::Api).await;
}

async fn with_socket(name: &str) -> (Installation, PathBuf) {
    let mut rolecall = Installation::new(name).await;
    let path = rolecall.dir().join("api.sock");
    rolecall.set("api.unix_socket", path.display().to_string());
    (rolecall, path)
}

/// The status of an answer over the socket; none without an answer.
async fn asked(path: &Path) -> Option<u16> {
    let client = reqwest::Client::builder().no_proxy().unix_socket(path).build().unwrap();
    let answer = client.get("http://localhost/api/v2/hosts").send().await.ok()?;
    assert!(!is_told_to_use_tls(&answer));
    Some(answer.status().as_u16())
}

#[tokio::test]
async fn a_socket_answers_and_is_gone_after_the_stop() {
    let (rolecall, path) = with_socket("socket").await;
    let api = rolecall.start(Role::Api).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o660);
    assert_eq!(asked(&path).await, Some(401));
    let own = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    let who = format!("somebody connected over the socket uid={own}");
    let log = eventually("the uid in the log", PATIENCE, async || {
        api.log_text().contains(&who).then(|| api.log_text())
    });
    log.await;
    assert_eq!(api.stop().await.code(), Some(0));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_is_taken_from_the_dead_and_not_from_the_living() {
    let (mut rolecall, path) = with_socket("stale").await;
    rolecall.set("api.unix_socket_mode", "0600");
    let killed = rolecall.start(Role::Api).await;
    killed.kill();
    assert!(path.exists());

    let api = rolecall.start(Role::Api).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let log = refusal(&rolecall).await;
    assert!(log.contains("api.unix_socket: ") && log.contains("is taken by another process"), "{log}");
    assert_eq!(asked(&path).await, Some(401));
    assert_eq!(api.stop().await.code(), Some(0));
    assert!(!path.exists());
}

/// Reads until the other side closes; how long that took.
async fn closed(stream: &mut (impl AsyncReadExt + Unpin)) -> Duration {
    let start = Instant::now();
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    read.expect("the connection is closed").ok();
    start.elapsed()
}

#[tokio::test]
async fn connections_that_say_nothing_are_closed_and_make_room() {
    let (mut rolecall, path) = with_socket("silent").await;
    rolecall.set("api.idle_seconds", "2");
    let api = rolecall.start(Role::Api).await;
    let address = api.address("api").unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    let mut local = UnixStream::connect(&path).await.unwrap();
    let all = futures_util::future::join3(closed(&mut silent), closed(&mut half), closed(&mut local)).await;
    println!("closed after {all:?}");
    assert_eq!(api.stop().await.code(), Some(0));

    // One place, which somebody has who says nothing.
    rolecall.set("api.max_connections", "1");
    let api = rolecall.spawn(Role::Api);
    let address = eventually("the address", PATIENCE, async || api.address("api")).await;
    let _silent = TcpStream::connect(address).await.unwrap();
    api.ready().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_431() {
    let rolecall = Installation::new("heads").await;
    let api = rolecall.start(Role::Api).await;
    let many = (0..120).map(|number| format!("x-{number}: a\r\n")).collect::<Vec<_>>().concat();
    for headers in [format!("x: {}\r\n", "a".repeat(200_000)), many] {
        let mut stream = TcpStream::connect(api.address("api").unwrap()).await.unwrap();
        let head = format!("GET /livez HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        // It may close before it has read all.
        _ = stream.write_all(head.as_bytes()).await;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.expect("an answer");
        assert_eq!(&status, b"HTTP/1.1 431");
    }
}

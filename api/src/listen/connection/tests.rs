use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_util::task::TaskTracker;

use super::*;

const IDLE: Duration = Duration::from_secs(30);

/// A connection that is being served, on a clock that only moves when everybody waits.
struct Served {
    stream: DuplexStream,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Served {
    fn new() -> Self {
        let (stream, other) = duplex(1024 * 1024);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let slow = async || {
            tokio::time::sleep(10 * IDLE).await;
            "at last"
        };
        let router = Router::new()
            .route("/", get(async |info: ConnectInfo<Peer>| format!("{:?}", info.0.address)))
            .route("/slow", get(slow))
            .route("/body", post(async |body: Bytes| body.len().to_string()));
        let peer = Peer { address: Some([192, 0, 2, 1].into()), unix: None, encrypted: false };
        let token = stop.clone();
        tasks.spawn(async move { serve(other, peer, router, IDLE, &token).await });
        tasks.close();
        Self { stream, stop, tasks }
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Everything until the other side closes.
    async fn rest(&mut self) -> String {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).await.unwrap();
        self.tasks.wait().await;
        text
    }
}

fn get_of(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[tokio::test(start_paused = true)]
async fn who_sends_nothing_or_half_a_head_is_cut() {
    for sent in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let start = tokio::time::Instant::now();
        let mut served = Served::new();
        served.send(sent).await;
        let mut bytes = Vec::new();
        served.stream.read_to_end(&mut bytes).await.unwrap();
        let took = start.elapsed();
        assert!(took >= IDLE && took <= IDLE + GOODBYE, "{sent:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_byte_now_and_then_does_not_keep_a_connection() {
    let mut served = Served::new();
    let start = tokio::time::Instant::now();
    served.send("GET / HTTP/1.1\r\n").await;
    while served.stream.write_all(b"a").await.is_ok() {
        tokio::time::sleep(IDLE / 10).await;
        assert!(start.elapsed() < 2 * IDLE);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_may_take_longer_and_a_kept_connection_ends_after() {
    let start = tokio::time::Instant::now();
    let mut served = Served::new();
    served.send(&get_of("/slow")).await;
    assert!(served.rest().await.ends_with("at last"));
    assert!(start.elapsed() >= 11 * IDLE, "{:?}", start.elapsed());

    let mut served = Served::new();
    for _ in 0..5 {
        served.send(&get_of("/")).await;
        tokio::time::sleep(IDLE * 2 / 3).await;
    }
    let answers = served.rest().await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 5, "{answers}");
    assert_eq!(answers.matches("Some(192.0.2.1)").count(), 5, "{answers}");
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_what_is_under_way_is_answered_and_what_is_idle_closed() {
    let start = tokio::time::Instant::now();
    let (mut busy, mut idle) = (Served::new(), Served::new());
    busy.send(&get_of("/slow")).await;
    idle.send(&get_of("/")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    idle.stop.cancel();
    busy.stop.cancel();
    assert!(idle.rest().await.contains("200 OK"));
    assert!(start.elapsed() < IDLE, "{:?}", start.elapsed());
    assert!(busy.rest().await.ends_with("at last"));
}

#[tokio::test(start_paused = true)]
async fn heads_have_a_limit_in_bytes_and_in_lines() {
    let line = |number: usize, bytes: usize| format!("x-{number}: {}\r\n", "a".repeat(bytes));
    let of = |lines: usize, bytes: usize| (0..lines).map(|number| line(number, bytes)).collect::<String>();
    for (path, lines, status) in [
        ("/".to_owned(), of(1, 100_000), "200 OK"),
        ("/".to_owned(), of(90, 1_000), "200 OK"),
        ("/".to_owned(), of(1, 140_000), "431 Request Header Fields Too Large"),
        ("/".to_owned(), of(140, 1_000), "431 Request Header Fields Too Large"),
        ("/".to_owned(), of(120, 1), "431 Request Header Fields Too Large"),
        (format!("/{}", "a".repeat(70_000)), String::new(), "414 URI Too Long"),
    ] {
        let mut served = Served::new();
        served.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).await;
        let answer = served.rest().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{status}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_arrives_is_read() {
    let mut served = Served::new();
    served.send("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n").await;
    served.send(&"a".repeat(200_000)).await;
    assert!(served.rest().await.ends_with("200000"));
}

#[tokio::test(start_paused = true)]
async fn http_2_has_the_same_limits() {
    let Served { stream, tasks, .. } = Served::new();
    let start = tokio::time::Instant::now();
    let made = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = made.unwrap();
    let mut ask = async |path: &str, header: String| {
        let request =
            Request::get(format!("http://a{path}")).header("x", header).body(Body::empty()).unwrap();
        sender.send_request(request).await.unwrap().status().as_u16()
    };
    let ask = async {
        assert_eq!(ask("/", "a".repeat(100_000)).await, 200);
        assert_eq!(ask("/", "a".repeat(140_000)).await, 431);
        assert_eq!(ask("/slow", String::new()).await, 200);
        assert!(start.elapsed() >= 10 * IDLE, "{:?}", start.elapsed());
        // Kept, and asked nothing more.
        tasks.wait().await;
        assert!(start.elapsed() >= 11 * IDLE, "{:?}", start.elapsed());
    };
    let ((), ended) = tokio::join!(ask, connection);
    ended.unwrap();
}

//! `rolecall healthcheck`: one question over plain HTTP, for containers that have no curl.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Below the timeouts that orchestrators give a probe.
const PATIENCE: Duration = Duration::from_secs(4);

/// The longest status line that is read.
const MAX_LINE_BYTES: u64 = 1_024;

/// Succeeds if the answer is 200. Anything else, no answer included, fails and says what came.
pub fn run(url: &str) -> anyhow::Result<()> {
    let (authority, path) = parts(url).context("the URL must have the form http://host:port/path")?;
    let status = super::block_on(async {
        tokio::time::timeout(PATIENCE, ask(authority, path))
            .await
            .with_context(|| format!("{url}: no answer within {} s", PATIENCE.as_secs()))?
            .with_context(|| format!("{url}: no answer"))
    })?;
    if status.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    bail!("{url}: {status}")
}

/// `host:port` and the path. The listeners of api and worker speak HTTP only, and always on a port of their own.
fn parts(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = authority.rsplit_once(':')?;
    let is_plain = url.bytes().all(|b| b.is_ascii_graphic());
    (is_plain && !host.is_empty() && port.parse::<u16>().is_ok()).then_some((authority, path))
}

/// The status line of the answer.
async fn ask(authority: &str, path: &str) -> anyhow::Result<String> {
    let path = if path.is_empty() { "/" } else { path };
    let mut stream = TcpStream::connect(authority).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream).take(MAX_LINE_BYTES).read_line(&mut line).await?;
    if !line.starts_with("HTTP/1.") {
        bail!("the answer is not HTTP");
    }
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_urls_with_a_port_are_taken() {
        assert_eq!(parts("http://127.0.0.1:5000/readyz"), Some(("127.0.0.1:5000", "/readyz")));
        assert_eq!(parts("http://[::1]:5000"), Some(("[::1]:5000", "")));
        for url in [
            "",
            "https://h:1/",
            "http://h/",
            "http://:1/",
            "http://h:x/",
            "http://h:1/a b",
            "http://h:1/\r\n",
        ] {
            assert_eq!(parts(url), None, "{url:?}");
        }
    }

    async fn answering(answer: &'static str) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio_util::task::TaskTracker::new().spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n") {
                stream.read_line(&mut request).await.unwrap();
            }
            assert!(request.starts_with("GET /readyz HTTP/1.1\r\n"), "{request}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn the_status_line_is_what_counts() {
        let address = answering("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
        let line = ask(&address.to_string(), "/readyz").await.unwrap();
        assert_eq!(line, "HTTP/1.1 503 Service Unavailable");
        let address = answering("* OK IMAP ready\r\n").await;
        assert!(ask(&address.to_string(), "/readyz").await.is_err());
    }
}

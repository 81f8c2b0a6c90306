//! Requests as bytes: what no HTTP library would send.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rolecall_tests::Answer;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// Sends these bytes on a connection of its own and reads one answer with a `Content-Length`.
pub async fn exchange(url: &str, bytes: &[u8]) -> Answer {
    let work = async {
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
        // A server that has refused already may have closed its side.
        let _ = stream.write_all(bytes).await;
        read(&mut stream).await
    };
    timeout(PATIENCE, work).await.expect("an answer in time")
}

async fn read(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    loop {
        if let Some(answer) = parse(&bytes) {
            return answer;
        }
        let count =
            stream.read_buf(&mut bytes).await.expect("the connection holds until the answer is there");
        assert!(count > 0, "the answer broke off: {}", String::from_utf8_lossy(&bytes));
    }
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head in ASCII");
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
    let headers: HeaderMap = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value.trim()).unwrap())
        })
        .collect();
    let length = headers.get("content-length").map_or(0, |value| value.to_str().unwrap().parse().unwrap());
    let body = bytes.get(end + 4..end + 4 + length)?;
    let text = String::from_utf8(body.to_vec()).expect("a body in UTF-8");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Some(Answer { status, headers, body })
}

//! Servers that misbehave: a listener of the test's own between us and PostgreSQL, or in its place.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::scene;

/// Accepts and never says a word, until the guard is dropped.
pub async fn silent() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Answers every connection's first message with these bytes and hangs up; `then_pass` makes it hang up on the
/// first connection only and pass the others to the real server.
pub async fn answering(bytes: impl Into<Vec<u8>>, then_pass: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bytes = bytes.into();
    TaskTracker::new().spawn(async move {
        let mut first = true;
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            if first || !then_pass {
                first = false;
                let mut request = [0; 1024];
                // A client that is gone already is not waited for.
                if client.read(&mut request).await.is_ok_and(|read| read > 0) {
                    client.write_all(&bytes).await.ok();
                }
            } else {
                let mut server = TcpStream::connect(("127.0.0.1", scene::port())).await.unwrap();
                TaskTracker::new()
                    .spawn(async move { copy_bidirectional(&mut client, &mut server).await.ok() });
            }
        }
    });
    address
}

/// PostgreSQL's message for a fatal error ("Message Formats" in its manual).
pub fn fatal(sqlstate: &str, message: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C{sqlstate}\0M{message}\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap();
    [&b"E"[..], &length.to_be_bytes(), fields.as_bytes()].concat()
}

/// Passes everything on in both directions until the client sends `word`; that goes to the server, whose answer
/// is waited for and never delivered: the connection breaks.
pub async fn losing_the_answer_to(word: &'static [u8]) -> SocketAddr {
    passing_until(word, false).await
}

/// The same, but the connection stays open and nothing comes any more.
pub async fn falling_silent_after(word: &'static [u8]) -> SocketAddr {
    passing_until(word, true).await
}

async fn passing_until(word: &'static [u8], stay: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    TaskTracker::new().spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", scene::port())).await.unwrap();
        pass(&mut client, &mut server, word).await.ok();
        if stay {
            std::future::pending::<()>().await;
        }
    });
    address
}

async fn pass(client: &mut TcpStream, server: &mut TcpStream, word: &[u8]) -> std::io::Result<()> {
    let (mut asked, mut answered) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let sent = &asked[..read?];
                server.write_all(sent).await?;
                if sent.is_empty() {
                    return Ok(());
                }
                if sent.windows(word.len()).any(|part| part == word) {
                    return server.read(&mut answered).await.map(drop);
                }
            }
            read = server.read(&mut answered) => {
                client.write_all(&answered[..read?]).await?;
            }
        }
    }
}

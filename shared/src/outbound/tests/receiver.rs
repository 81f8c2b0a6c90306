//! A receiver on this machine.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// What it does with a request that it has read.
#[derive(Debug, Clone)]
pub(super) enum Manner {
    /// Answers with this, and closes.
    Says(String),
    /// Says this, and goes on for ever, as fast as it is read.
    Floods(String),
    /// Keeps silent with the connection open.
    Hangs,
}

impl Manner {
    pub(super) fn status(status: &str) -> Self {
        Self::Says(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"))
    }
}

/// Counts connections, and keeps what came.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    /// Connections that have ended.
    ended: Arc<tokio::sync::Semaphore>,
}

impl Receiver {
    pub(super) async fn start(manner: Manner) -> Self {
        Self::start_with(manner, None).await
    }

    pub(super) async fn start_with(manner: Manner, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            requests: Arc::default(),
            ended: Arc::new(tokio::sync::Semaphore::new(0)),
        };
        let (connections, requests, ended) =
            (receiver.connections.clone(), receiver.requests.clone(), receiver.ended.clone());
        let tasks = TaskTracker::new();
        tasks.clone().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (manner, requests, ended, tls) =
                    (manner.clone(), requests.clone(), ended.clone(), tls.clone());
                tasks.spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &manner, &requests).await;
                            }
                        }
                        None => serve(stream, &manner, &requests).await,
                    }
                    ended.add_permits(1);
                });
            }
        });
        receiver
    }

    pub(super) fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/hook?a=b", self.address.port())
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits until a connection has ended, on both sides.
    pub(super) async fn one_ended(&self) {
        let ended = tokio::time::timeout(std::time::Duration::from_secs(20), self.ended.acquire()).await;
        ended.expect("a connection ends").unwrap().forget();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    manner: &Manner,
    requests: &Mutex<Vec<String>>,
) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    // Every request here has the body `{}`.
    while !request.ends_with(b"\r\n\r\n{}") {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
            Ok(_) | Err(_) => return,
        }
    }
    requests.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
    match manner {
        Manner::Says(answer) => {
            _ = stream.write_all(answer.as_bytes()).await;
            _ = stream.shutdown().await;
        }
        Manner::Floods(answer) => {
            let mut sent = stream.write_all(answer.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 1024]).await;
            }
        }
        // Until the other side has enough of it.
        Manner::Hangs => while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {},
    }
}

//! Stands between the product and the server, and loses what passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rolecall_shared::config;
use rolecall_tests::control::ControlDatabase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

pub(crate) struct Proxy {
    /// The writer's, through the proxy; without TLS, so that it can read along.
    pub settings: config::Control,
    swallowed: Arc<AtomicUsize>,
    freeze: watch::Sender<()>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Cuts the connection instead of passing on the answer to the row that decides who takes a password, the first
    /// `times` times. The server has committed by then.
    pub(crate) async fn start(database: &ControlDatabase, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (login, rest) = database.writer_url.rsplit_once('@').unwrap();
        let (server, name) = rest.split_once('/').unwrap();
        let url = format!("{login}@127.0.0.1:{port}/{name}?sslmode=disable");
        let settings = config::Control { url: url.into(), ..database.settings() };
        let swallowed = Arc::new(AtomicUsize::new(0));
        let freeze = watch::Sender::new(());
        let (server, counter, frozen) = (server.to_owned(), swallowed.clone(), freeze.clone());
        #[expect(clippy::disallowed_methods, reason = "ends with the proxy")]
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                connections.spawn(relay(client, server, times, counter.clone(), frozen.subscribe()));
            }
        });
        Self { settings, swallowed, freeze, _task: AbortOnDropHandle::new(task) }
    }

    /// How many answers were lost.
    pub(crate) fn swallowed(&self) -> usize {
        self.swallowed.load(Ordering::SeqCst)
    }

    /// Stops passing anything on for the connections that exist, without closing them. New ones are served.
    pub(crate) fn freeze(&self) {
        self.freeze.send_replace(());
    }
}

async fn relay(
    mut client: TcpStream,
    mut server: TcpStream,
    times: usize,
    swallowed: Arc<AtomicUsize>,
    mut frozen: watch::Receiver<()>,
) {
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    let mut deciding = false;
    loop {
        tokio::select! {
            biased;
            _ = frozen.changed() => std::future::pending().await,
            read = client.read(&mut asked) => {
                let Ok(n @ 1..) = read else { return };
                let asks = |text: &[u8]| asked[..n].windows(text.len()).any(|window| window == text);
                deciding = asks(b"INSERT INTO secrets_taken") && swallowed.load(Ordering::SeqCst) < times;
                server.write_all(&asked[..n]).await.unwrap();
            }
            read = server.read(&mut answered) => {
                let Ok(n @ 1..) = read else { return };
                // `Z` (ready for query, idle) ends the answer: the transaction is committed.
                if deciding && answered[..n].windows(6).any(|window| window == b"Z\0\0\0\x05I") {
                    swallowed.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                if !deciding && client.write_all(&answered[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}

//! Taking connections from a listener, up to the limit, until the process stops.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Peer, connection};

/// After an error of the process, such as no more open files: trying again at once would spend a core on it.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// A listener of any kind.
pub(crate) trait Listener: Send + Sync + 'static {
    /// A connection as the kernel hands it over.
    type Raw: Send;
    /// A connection on which HTTP is spoken.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection. Nothing that depends on the other side happens here.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Raw>> + Send;

    /// Whatever comes before HTTP; none if it did not come to that. Runs in the connection's own task.
    fn open(&self, raw: Self::Raw) -> impl Future<Output = Option<(Self::Stream, Peer)>> + Send;
}

/// What all listeners of one process share.
#[derive(Clone)]
pub(crate) struct Acceptor {
    router: Router,
    idle: Duration,
    /// Open connections, over all listeners.
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Cancelled when the grace time is over.
    cut: CancellationToken,
}

impl Acceptor {
    pub(crate) fn new(
        router: Router,
        max_connections: usize,
        idle: Duration,
        stop: CancellationToken,
    ) -> Self {
        let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
        Self { router, idle, places, tasks: TaskTracker::new(), stop, cut: CancellationToken::new() }
    }

    /// Serves what comes until the process is told to stop; the listener is closed then. While all places are taken,
    /// one connection waits here for a place, and whoever comes after it waits in the kernel.
    ///
    /// A place is asked for when there is a connection for it: a listener to which nobody connects would otherwise keep
    /// one from the others.
    pub(crate) async fn serve(&self, listener: Option<impl Listener>) {
        let Some(listener) = listener.map(Arc::new) else { return };
        let next = async || {
            let raw = accept(listener.as_ref()).await;
            let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
            Some((place, raw))
        };
        while let Some(Some((place, raw))) = self.stop.run_until_cancelled(next()).await {
            let (this, listener) = (self.clone(), Arc::clone(&listener));
            self.tasks.spawn(async move {
                let served = async {
                    // A process that stops waits for nobody's handshake.
                    if let Some(Some((stream, peer))) =
                        this.stop.run_until_cancelled(listener.open(raw)).await
                    {
                        connection::serve(stream, peer, this.router.clone(), this.idle, &this.stop).await;
                    }
                };
                this.cut.run_until_cancelled(served).await;
                drop(place);
            });
        }
    }

    /// Waits until the last connection has ended; after `grace` the rest is dropped, and the answer is false.
    pub(crate) async fn ended(&self, grace: Duration) -> bool {
        self.tasks.close();
        let in_time = tokio::time::timeout(grace, self.tasks.wait()).await.is_ok();
        self.cut.cancel();
        in_time
    }
}

/// The next connection; errors are of one connection, which is gone, or of the process, which may recover.
async fn accept<L: Listener>(listener: &L) -> L::Raw {
    loop {
        match listener.accept().await {
            Ok(raw) => return raw,
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    [ConnectionAborted, ConnectionRefused, ConnectionReset].contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::listen::Plain;

    /// Whether somebody is answered, once those before him have made room.
    async fn is_answered(listener: std::net::SocketAddr) -> bool {
        let mut stream = TcpStream::connect(listener).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.starts_with("HTTP/1.1 404")
    }

    #[tokio::test]
    async fn one_place_is_enough_for_two_listeners() {
        let idle = Duration::from_millis(50);
        let stop = CancellationToken::new();
        let acceptor = Acceptor::new(Router::new(), 1, idle, stop.clone());
        let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (one, two) = (bind().await, bind().await);
        let (first, second) = (one.local_addr().unwrap(), two.local_addr().unwrap());
        let callers = async {
            let _silent = TcpStream::connect(first).await.unwrap();
            for listener in [first, first, second, second, first] {
                assert!(is_answered(listener).await);
            }
            stop.cancel();
        };
        let serving = async {
            tokio::join!(acceptor.serve(Some(Plain(one))), acceptor.serve(Some(Plain(two))), callers)
        };
        tokio::time::timeout(Duration::from_secs(30), serving).await.expect("everybody gets a place");
        assert!(acceptor.ended(Duration::from_secs(30)).await);
    }
}

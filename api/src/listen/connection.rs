//! One connection, from its first byte to its last.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::Peer;

/// The longest head of a request in HTTP/1, a long password for HTTP Basic included. Also what one connection may
/// keep in memory besides the requests on it.
const MAX_HEAD_BYTES: usize = 128 * 1024;
/// The same in HTTP/2, where it is counted without compression.
const MAX_HEADER_LIST_BYTES: u32 = 128 * 1024;

/// How long a connection that was idle for too long may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Serves HTTP/1 and HTTP/2 until the other side closes, nothing was under way for `idle`, or the process stops and
/// what is under way is answered.
///
/// Time alone is measured against requests that are whole, from their head to the last byte of their answer: that
/// covers a connection that never says anything, one that sends its head byte by byte and one that is kept for later,
/// in both versions of HTTP. hyper's own limit covers the middle one only, and only in HTTP/1.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    idle: Duration,
    stop: &CancellationToken,
) {
    let (count, changes) = watch::channel(0);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let under_way = UnderWay::new(&count);
        let (router, peer) = (router.clone(), peer.clone());
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let response = router.oneshot(request).await?;
            Ok::<_, std::convert::Infallible>(response.map(|body| Held { body, _under_way: under_way }))
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(MAX_HEAD_BYTES);
    builder.http2().max_header_list_size(MAX_HEADER_LIST_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = quiet(changes, idle) => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(GOODBYE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        // Whoever sends nonsense or hangs up is no fault of ours.
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Until nothing was under way for so long.
async fn quiet(mut changes: watch::Receiver<usize>, idle: Duration) {
    loop {
        let is_busy = *changes.borrow_and_update() > 0;
        let next = changes.changed();
        // A request that began and ended meanwhile is a change as well, although the number is what it was.
        let moved = if is_busy { Ok(next.await) } else { tokio::time::timeout(idle, next).await };
        if !matches!(moved, Ok(Ok(()))) {
            return;
        }
    }
}

/// Counts a request for as long as it lives.
struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// The body of an answer: its request is under way until it is sent or given up.
struct Held {
    body: Body,
    _under_way: UnderWay,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;

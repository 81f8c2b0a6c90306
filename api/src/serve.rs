//! The listener, from start to graceful stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{App, router};

/// Serves the API on a bound listener until `stop` is cancelled, then stops gracefully.
///
/// Stopping: no new connection is taken, whoever waits for a ticket gets what is known, event streams end, and
/// requests under way are finished, all within `api.grace`. What is left then is dropped: a submit that was not
/// answered may have been accepted, which its `Idempotency-Key` sorts out.
pub async fn run(parts: crate::Parts, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
    let grace = parts.settings.api.grace;
    let app = Arc::new(App::new(parts, stop.clone()));
    app.start();

    // Without this the small answers of a keep-alive connection wait for the other side's delayed ACK.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
    });
    let service = router::router(&app).into_make_service_with_connect_info::<SocketAddr>();
    let serve = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    let served = tokio::select! {
        served = async { serve.await } => served,
        () = grace_is_over(&stop, grace) => {
            tracing::warn!("requests were still under way when the grace time ended");
            Ok(())
        }
    };
    // An accept loop that ended by itself leaves the tasks running: they end with this token.
    stop.cancel();
    app.tasks.close();
    if tokio::time::timeout(grace, app.tasks.wait()).await.is_err() {
        tracing::warn!("tasks were still under way when the grace time ended");
    }
    // Requests that were under way may have been refused since the task ended.
    app.authenticator.refusals.flush(&app.control).await;
    served
}

async fn grace_is_over(stop: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(grace).await;
}

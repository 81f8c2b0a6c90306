//! The listeners, from start to graceful stop.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::listen::{Acceptor, Listeners, Plain, Tls};
use crate::{App, router};

/// Serves the API on what is bound until `stop` is cancelled, then stops gracefully.
///
/// Stopping: no new connection is taken, whoever waits for a ticket gets what is known, event streams end, and
/// requests under way are finished, all within `api.grace`. What is left then is dropped: a submit that was not
/// answered may have been accepted, which its `Idempotency-Key` sorts out.
pub async fn run(
    parts: crate::Parts,
    listeners: Listeners,
    stop: CancellationToken,
) -> Result<(), rustls::Error> {
    let settings = Arc::clone(&parts.settings);
    let api = &settings.api;
    let Listeners { plain, tls, unix } = listeners;
    let tls = tls.map(|(listener, certificate)| (listener, Arc::new(certificate)));
    let watch = tls.as_ref().map(|(_, certificate)| Arc::clone(certificate).watch());
    let tls = tls.map(|(listener, certificate)| Tls::new(listener, certificate)).transpose()?;

    let app = Arc::new(App::new(parts, stop.clone()));
    app.start();
    if let Some(watch) = watch {
        app.tasks.spawn(stop.clone().run_until_cancelled_owned(watch));
    }
    let acceptor = Acceptor::new(router::router(&app), api.max_connections, api.idle, stop.clone());
    tokio::join!(acceptor.serve(Some(Plain(plain))), acceptor.serve(tls), acceptor.serve(unix));
    if !acceptor.ended(api.grace).await {
        tracing::warn!("requests were still under way when the grace time ended");
    }
    app.tasks.close();
    if tokio::time::timeout(api.grace, app.tasks.wait()).await.is_err() {
        tracing::warn!("tasks were still under way when the grace time ended");
    }
    // Requests that were under way may have been refused since the task ended.
    app.authenticator.refusals.flush(&app.control).await;
    Ok(())
}

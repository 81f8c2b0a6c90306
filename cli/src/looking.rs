//! Logging in to targets to see what can be done there: what `rolecall doctor` and `rolecall targets check` share.

use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};
use rolecall_shared::config::Settings;
use rolecall_shared::domain::Target;
use rolecall_shared::seal::KeyRing;
use rolecall_shared::target::{CheckReport, Connector, Purpose, TargetError, Verdict};

/// Targets that are asked at once. Each takes at most `target.connect_timeout` and a few `statement_timeout`s.
const AT_ONCE: usize = 8;

/// What a target answered.
pub struct Look {
    pub report: CheckReport,
    /// Roles that ours cannot change although it has CREATEROLE.
    pub beyond_reach: u64,
}

/// Asks targets, some at once; the answers come in their order.
pub fn look_at(
    settings: &Settings,
    keys: KeyRing,
    targets: Vec<Target>,
) -> impl Stream<Item = (Target, Result<Look, TargetError>)> {
    let connector = Arc::new(Connector::new(&settings.target, settings.default_login.clone(), keys));
    stream::iter(targets)
        .map(move |target| {
            let connector = Arc::clone(&connector);
            async move {
                let look = look(&connector, &target).await;
                (target, look)
            }
        })
        .buffered(AT_ONCE)
}

async fn look(connector: &Connector, target: &Target) -> Result<Look, TargetError> {
    let session = connector.open(target, &target.key.database, Purpose::Read).await?;
    let look = match session.check().await {
        Ok(report) => session.count_beyond_reach().await.map(|beyond_reach| Look { report, beyond_reach }),
        Err(error) => Err(error),
    };
    session.close().await;
    look
}

/// Why a target did not answer, and what to do about it.
pub fn refusal(error: &TargetError) -> (String, &'static str) {
    match &error.verdict {
        Verdict::Login { cause } => (cause.clone(), "give the target a log-in that the server lets in"),
        Verdict::Host { cause } => {
            (cause.clone(), "see whether the server runs and can be reached from here")
        }
        Verdict::Permanent { detail, .. } => (detail.clone(), "see what the server's log says"),
        Verdict::Exists | Verdict::TryAgain => ("the server asks to try again".to_owned(), "try again"),
    }
}

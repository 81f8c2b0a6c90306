//! Attempts: a few in a row at one endpoint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::Either;
use jiff::Timestamp;
use rolecall_shared::control::webhooks::{Due, Ended, Verdict};
use rolecall_shared::domain::webhook::EndpointScope;
use rolecall_shared::failpoints::{Failpoint, reach};
use rolecall_shared::outbound::{Attempt, Post};
use rolecall_shared::seal::{EndpointKeys, MessageId, OpenError, sign_webhook};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::record::Outcome;
use super::verdict::{self, Judged};
use crate::Worker;

/// How long an attempt that is under way when the process stops may still take.
const LAST_CHANCE: Duration = Duration::from_secs(2);
/// When keys that cannot be opened are tried again: somebody has to bring the seal key back, or rotate.
const WITHOUT_KEYS: Duration = Duration::from_mins(1);

/// Sends events of one endpoint one after the other, and hands on what came of each. The first that is not taken ends it,
/// and so does time: the others are given back.
pub(super) async fn run(
    worker: Arc<Worker>,
    chain: Vec<Due>,
    permit: OwnedSemaphorePermit,
    outcomes: mpsc::Sender<Outcome>,
    stop: CancellationToken,
) {
    let began = Instant::now();
    let mut goes_on = true;
    let mut permit = Some(permit);
    let last = chain.len().saturating_sub(1);
    for (number, due) in chain.iter().enumerate() {
        goes_on = goes_on
            && !stop.is_cancelled()
            && (number == 0 || began.elapsed() < worker.settings.webhooks.timeout);
        let outcome =
            if goes_on { attempted(&worker, due, &stop).await } else { Outcome::given_back(&worker, due) };
        goes_on = goes_on && outcome.ended.verdict == Verdict::Delivered;
        let permit = if number == last { permit.take() } else { None };
        // Nobody listens any more only when everything ends; the lease ends too.
        outcomes.send(Outcome { permit, ..outcome }).await.ok();
    }
}

async fn attempted(worker: &Worker, due: &Due, stop: &CancellationToken) -> Outcome {
    let (at, began) = (worker.clock.now(), Instant::now());
    let cut_short = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_CHANCE).await;
    };
    let tried = tokio::select! {
        tried = attempt(worker, due, at) => tried,
        () = cut_short => Tried::postponed("the worker stopped", Duration::ZERO),
    };
    let ended = Ended {
        delivery: due.delivery,
        lease: due.lease,
        at,
        duration: began.elapsed(),
        status: tried.status,
        error: tried.error,
        verdict: tried.judged.verdict,
    };
    let is_gone = tried.judged.is_gone && due.url.is_none();
    Outcome { ended, gone: is_gone.then_some(due.endpoint.id), permit: None }
}

struct Tried {
    status: Option<u16>,
    error: Option<String>,
    judged: Judged,
}

impl Tried {
    fn postponed(error: &str, after: Duration) -> Self {
        Self::not_sent(error, Verdict::Postponed { after })
    }

    fn not_sent(error: &str, verdict: Verdict) -> Self {
        Self { status: None, error: Some(error.to_owned()), judged: Judged { verdict, is_gone: false } }
    }
}

async fn attempt(worker: &Worker, due: &Due, at: Timestamp) -> Tried {
    if !may_hear(worker, due, at) {
        return Tried::not_sent("its account may not hear of this any more", Verdict::GivenUp);
    }
    let answer = match send(worker, due, at).await {
        Ok(answer) => answer,
        Err(why) => {
            tracing::error!(webhook = %due.endpoint.id, why, "a webhook cannot be signed");
            return Tried::postponed(why, WITHOUT_KEYS);
        }
    };
    let judged = verdict::judge(&answer, due.tries, &worker.settings.webhooks);
    let (status, error) = phrased(&answer);
    tracing::debug!(webhook = %due.endpoint.id, event = due.name, status, error, "told");
    Tried { status, error, judged }
}

/// To the endpoint's URL, or for a notification rule through its channel.
async fn send(worker: &Worker, due: &Due, at: Timestamp) -> Result<Attempt, &'static str> {
    let id = MessageId::from(due.event);
    let sending = if let Some(rule) = &due.endpoint.rule {
        Either::Left(worker.notifier.deliver(rule, &id, &due.body))
    } else {
        Either::Right(worker.outbound.post(signed(worker, due, at)?))
    };
    reach(Failpoint::BeforeSend);
    let answer = sending.await;
    reach(Failpoint::AfterSend);
    Ok(answer)
}

/// Whoever hears of everybody's events must still have the right to. The account of the configuration has every one.
fn may_hear(worker: &Worker, due: &Due, now: Timestamp) -> bool {
    let endpoint = &due.endpoint;
    let is_bootstrap = || {
        let bootstrap = worker.settings.account.as_ref();
        bootstrap.is_some_and(|account| account.user == endpoint.account)
    };
    match endpoint.scope {
        EndpointScope::Own => true,
        EndpointScope::All => match &due.account {
            Some(account) => account.is_open(now) && endpoint.filter.may_hear_all(&account.rights()).is_ok(),
            None => is_bootstrap() || endpoint.rule.is_some(),
        },
    }
}

fn signed(worker: &Worker, due: &Due, at: Timestamp) -> Result<Post, &'static str> {
    let endpoint = &due.endpoint;
    let open = |sealed: &[u8]| {
        EndpointKeys::open(&worker.keys, sealed, endpoint.id).map_err(|error| match error {
            OpenError::KeyMissing(_) => "the seal key of its signing keys is missing; rotate them",
            OpenError::Broken => "its signing keys cannot be opened; rotate them",
        })
    };
    let current = open(&endpoint.keys.sealed)?;
    let old = endpoint.old_keys.as_ref().filter(|(_, until)| at < *until);
    // Without the old ones the new ones sign alone.
    let old = old.and_then(|(keys, _)| open(&keys.sealed).ok());
    let keys = current.both().into_iter().chain(old.iter().flat_map(EndpointKeys::both));
    let headers = sign_webhook(keys, &MessageId::from(due.event), at, due.body.as_bytes());
    let url = due.url.as_ref().unwrap_or(&endpoint.url);
    let url =
        worker.outbound.parse_url(url).map_err(|_| "its URL may not be reached under the settings of now")?;
    let mut pairs = vec![("content-type", Zeroizing::new("application/json".to_owned()))];
    pairs.extend(headers.pairs().map(|(name, value)| (name, Zeroizing::new(value.to_owned()))));
    let timeout = worker.settings.webhooks.timeout;
    Ok(Post { url, headers: pairs, body: due.body.clone().into_bytes(), timeout })
}

/// Nothing of the answer but its status.
fn phrased(answer: &Attempt) -> (Option<u16>, Option<String>) {
    match &answer.result {
        Ok(200..=299) => (answer.result.as_ref().ok().copied(), None),
        Ok(status @ 300..=399) => (Some(*status), Some("a redirect, which is not followed".to_owned())),
        Ok(status) => (Some(*status), Some(format!("the answer was {status}"))),
        Err(trouble) => (None, Some(trouble.to_string())),
    }
}

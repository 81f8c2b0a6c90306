//! Hashing passwords: off the async threads, only so many at once, and after everything else the machine has to do.
//!
//! Who has proven nothing lately waits in the line of the address, and of each line only the first one waits for a
//! thread: addresses take turns, and a thousand guesses from one are served no sooner than one from another. Those who
//! were right a while ago have threads that no stranger waits for.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rolecall_shared::credentials::{hash_password, verify_password};
use rolecall_shared::domain::{Code, Failure};
use secrecy::SecretString;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::attempts::Place;
use crate::turns::Turns;

/// How long somebody waits for a turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many strangers wait at one address; who comes later is told so at once. It bounds the connections a flood holds.
const MAX_WAITING: usize = 32;
/// The nice value of a hash: with all cores busy, a tenth of the time that another thread gets.
const NICE: i32 = 10;
/// After a stranger's hash its place rests for as long as that took, and not longer than this.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// Who is asking.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    /// Somebody who has proven nothing lately.
    Stranger(Place),
    /// Somebody with credentials that were right lately, or who was let in already.
    Known,
}

/// The lines, and the places at their heads. Each hash takes 19 MiB and a core for tens of milliseconds: half the cores
/// may be at it for strangers, half of the time, and as many for those who are known.
pub(crate) struct Hashing {
    lines: Turns<Place, ()>,
    strangers: Arc<Semaphore>,
    known: Arc<Semaphore>,
}

impl Default for Hashing {
    fn default() -> Self {
        let half = thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        let places = || Arc::new(Semaphore::new(half));
        Self { lines: Turns::default(), strangers: places(), known: places() }
    }
}

impl Hashing {
    /// The hash of a new password, or what is wrong with it. For somebody who was let in.
    pub(crate) async fn hash(&self, password: SecretString) -> Result<String, Failure> {
        let hashed = self.run(Who::Known, move || hash_password(&password)).await?;
        hashed.map_err(|fault| Failure::field("password", fault))
    }

    /// Whether the password is the one that was hashed; without a hash no, after as long.
    pub(super) async fn verify(
        &self,
        who: Who,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<bool, Failure> {
        self.run(who, move || verify_password(&password, hash.as_deref())).await
    }

    async fn run<T: Send + 'static>(
        &self,
        who: Who,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let place = self.place(who).await?;
        // A thread of its own, since a nice value cannot be taken back; making one costs a thousandth of the hash. It
        // keeps the place, also when whoever asked has hung up.
        let (tell, told) = oneshot::channel();
        let hash = move || {
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::debug!(%error, "passwords are hashed at the usual priority");
            }
            let start = Instant::now();
            let _ = tell.send(work());
            if let Who::Stranger(_) = who {
                // Low priority leaves the core to others, but not its caches and the memory's bandwidth.
                thread::sleep(start.elapsed().min(LONGEST_REST));
            }
            drop(place);
        };
        thread::Builder::new().name("hashing".into()).spawn(hash).map_err(Failure::internal)?;
        told.await.map_err(Failure::internal)
    }

    async fn place(&self, who: Who) -> Result<OwnedSemaphorePermit, Failure> {
        let place = match who {
            Who::Known => patiently(Arc::clone(&self.known).acquire_owned()).await?,
            Who::Stranger(place) => {
                let line = self.lines.of(place);
                if line.len() > MAX_WAITING {
                    return Err(busy());
                }
                let wait = async {
                    let _turn = line.turn().await;
                    Arc::clone(&self.strangers).acquire_owned().await
                };
                patiently(wait).await?
            }
        };
        place.map_err(Failure::internal)
    }
}

/// Waits for one's turn, and not for long.
pub(super) async fn patiently<T>(turn: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, turn).await.map_err(|_| busy())
}

fn busy() -> Failure {
    Failure::new(Code::TooManyRequests, "Too many log-ins at once.").retry_after(PATIENCE)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use futures_util::future::join_all;
    use tokio_util::task::TaskTracker;

    use super::*;

    fn address(last: u8) -> Who {
        Who::Stranger(Place::of(Some(std::net::IpAddr::V4([192, 0, 2, last].into()))))
    }

    fn with_places(count: usize) -> Hashing {
        Hashing { strangers: Arc::new(Semaphore::new(count)), ..Hashing::default() }
    }

    /// One place; the first hash of all holds it until the sender is dropped.
    fn held() -> (Arc<Hashing>, mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
        let hashing = Arc::new(with_places(1));
        let (release, released) = mpsc::channel::<()>();
        let first = {
            let hashing = Arc::clone(&hashing);
            TaskTracker::new().spawn(async move {
                let hold = move || released.recv().unwrap_or_default();
                hashing.run(address(0), hold).await.unwrap();
            })
        };
        (hashing, release, first)
    }

    #[tokio::test]
    async fn addresses_take_turns_however_many_wait_at_one() {
        let (hashing, release, first) = held();
        tokio::task::yield_now().await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let run = |last: u8| {
            let order = Arc::clone(&order);
            let hashing = &hashing;
            async move { hashing.run(address(last), move || order.lock().unwrap().push(last)).await }
        };
        let all = [1, 1, 1, 1, 2, 3, 2].map(run);
        let release = async { drop(release) };
        let (results, ()) = tokio::join!(join_all(all), release);
        first.await.unwrap();
        assert!(results.iter().all(Result::is_ok));
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 1, 2, 1, 1]);
    }

    #[tokio::test]
    async fn a_line_has_an_end_and_the_known_are_not_in_it() {
        let (hashing, release, first) = held();
        tokio::task::yield_now().await;
        let waiting: Vec<_> = (0..MAX_WAITING).map(|_| hashing.run(address(0), || ())).collect();
        let (results, ()) = tokio::join!(join_all(waiting), async {
            assert!(hashing.run(address(0), || ()).await.is_err());
            assert!(hashing.run(Who::Known, || ()).await.is_ok());
            drop(release);
        });
        first.await.unwrap();
        assert!(results.iter().all(Result::is_ok), "so many may wait");
        assert!(hashing.run(address(0), || ()).await.is_ok(), "there is room again");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_long() {
        let hashing = with_places(0);
        let failure = hashing.run(address(1), || ()).await.unwrap_err();
        assert_eq!((failure.code(), failure.retry_delay()), (Code::TooManyRequests, Some(PATIENCE)));
    }

    #[tokio::test]
    async fn a_hash_comes_after_everything_else() {
        let nice = Hashing::default().run(Who::Known, || rustix::process::getpriority_process(None)).await;
        let own = rustix::process::getpriority_process(None).unwrap();
        assert_eq!(nice.unwrap().unwrap(), (own + NICE).min(19));
    }
}

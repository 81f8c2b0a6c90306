//! Hashing passwords, off the async threads and only so many at once.

use std::thread::available_parallelism;
use std::time::Duration;

use rolecall_shared::credentials::{hash_password, verify_password};
use rolecall_shared::domain::{Code, Failure};
use secrecy::SecretString;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;

/// How long somebody waits for a place.
const PATIENCE: Duration = Duration::from_secs(5);

/// The places. Each hash takes 19 MiB and a core for tens of milliseconds: half the cores are left for everything else.
pub(crate) struct Hashing(Semaphore);

impl Default for Hashing {
    fn default() -> Self {
        Self(Semaphore::new(available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))))
    }
}

impl Hashing {
    /// The hash of a new password, or what is wrong with it.
    pub(crate) async fn hash(&self, password: SecretString) -> Result<String, Failure> {
        let _place = self.place().await?;
        let hashed = spawn_blocking(move || hash_password(&password)).await.map_err(Failure::internal)?;
        hashed.map_err(|fault| Failure::field("password", fault))
    }

    /// Whether the password is the one that was hashed; without a hash no, after as long.
    pub(super) async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool, Failure> {
        let _place = self.place().await?;
        let verify = move || verify_password(&password, hash.as_deref());
        spawn_blocking(verify).await.map_err(Failure::internal)
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>, Failure> {
        patiently(self.0.acquire()).await?.map_err(|_| busy())
    }
}

/// Waits for one's turn, and not for long.
pub(super) async fn patiently<T>(turn: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, turn).await.map_err(|_| busy())
}

fn busy() -> Failure {
    Failure::new(Code::TooManyRequests, "Too many log-ins at once.").retry_after(PATIENCE)
}

//! Names of the users of this machine.

use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{Uid, User};
use tokio::sync::Semaphore;

/// The most look-ups at once, those included that nobody waits for any more.
const AT_ONCE: usize = 4;
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the system's name services, which may be a file or a server far away that does not answer.
#[derive(Debug)]
pub(super) struct Users(Arc<Semaphore>);

impl Default for Users {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Users {
    /// The name of a user; none if there is none, or no answer in time.
    pub(super) async fn name(&self, uid: u32) -> Option<String> {
        let work = async {
            let permit = Arc::clone(&self.0).acquire_owned().await.ok()?;
            let found = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                User::from_uid(Uid::from_raw(uid))
            });
            match found.await.ok()? {
                Ok(user) => user.map(|user| user.name).filter(|name| !name.is_empty()),
                Err(error) => {
                    tracing::warn!(uid, %error, "cannot look up the name of a user");
                    None
                }
            }
        };
        tokio::time::timeout(PATIENCE, work).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn users_are_found_by_number() {
        let users = Users::default();
        assert_eq!(users.name(0).await.as_deref(), Some("root"));
        assert_eq!(users.name(3_999_999_999).await, None);
    }
}

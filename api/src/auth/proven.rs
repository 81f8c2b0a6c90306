//! Which credentials were proven lately, so that a burst does not hash each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use rolecall_shared::seal::random_bytes;
use sha2::Sha256;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Identity;

/// How long a proof counts at most. What changes before that ends it at once, see [`Proven::forget`].
pub(super) const LIFETIME: Duration = Duration::from_mins(1);
/// How long it is remembered that credentials were right, which proves nothing: it only spares them the limits for those
/// who were never right, so that nobody is locked out by a flood from the same address.
const LATELY: Duration = Duration::from_mins(15);
const CAPACITY: usize = 4096;

/// HMAC-SHA-256 of credentials under a key that lives as long as the process: what is kept cannot be tried against a
/// word list by somebody who sees it.
pub(super) type Digest = [u8; 32];

/// What stands for which credentials were looked at; a proof that was begun before a change is not kept after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

/// Proofs of the last minute.
pub(super) struct Proven {
    key: Zeroizing<[u8; 64]>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    epoch: u64,
    /// Whether changes are heard of; while they are not, nothing is kept.
    hears: bool,
    proofs: HashMap<Digest, (Arc<Identity>, Instant)>,
    /// Until when these count as right lately.
    right: HashMap<Digest, Instant>,
}

impl Proven {
    pub(super) fn new() -> Self {
        Self { key: random_bytes(), kept: Mutex::default() }
    }

    /// Of the parts of credentials, the scheme first.
    pub(super) fn digest(&self, parts: &[&str]) -> Digest {
        let mut mac = Hmac::<Sha256>::new((&*self.key).into());
        for part in parts {
            // The length says where a part ends.
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    pub(super) fn find(&self, digest: &Digest) -> Option<Arc<Identity>> {
        let kept = self.kept();
        kept.proofs.get(digest).filter(|(_, until)| *until > Instant::now()).map(|(who, _)| Arc::clone(who))
    }

    /// These credentials were right just now. To be said where [`Self::were_right`] is asked, and nowhere else: what has no
    /// limit to be spared would only take the room.
    pub(super) fn are_right(&self, digest: Digest) {
        let now = Instant::now();
        let right = &mut self.kept().right;
        make_room(right, |until| *until > now);
        right.insert(digest, now + LATELY);
    }

    /// Whether these credentials were right in the last quarter of an hour; a change does not end that. It counts once:
    /// until they are right again.
    pub(super) fn were_right(&self, digest: &Digest) -> bool {
        self.kept().right.remove(digest).is_some_and(|until| until > Instant::now())
    }

    /// To be asked before the control database is.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.kept().epoch)
    }

    /// Keeps a proof for `lifetime`, unless something has changed since `begun`.
    pub(super) fn keep(&self, digest: Digest, identity: Arc<Identity>, lifetime: Duration, begun: Epoch) {
        let mut kept = self.kept();
        if !kept.hears || kept.epoch != begun.0 {
            return;
        }
        let now = Instant::now();
        make_room(&mut kept.proofs, |(_, until)| *until > now);
        kept.proofs.insert(digest, (identity, now + lifetime.min(LIFETIME)));
    }

    /// An account or a token has changed: everybody proves who they are once more.
    pub(super) fn forget(&self) {
        let mut kept = self.kept();
        kept.epoch += 1;
        kept.proofs.clear();
    }

    /// Whether changes are heard of from now on. What was kept is forgotten: changes may have been missed.
    pub(super) fn hear(&self, hears: bool) {
        self.forget();
        self.kept().hears = hears;
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for one more: what has ended goes first.
fn make_room<V>(map: &mut HashMap<Digest, V>, counts: impl Fn(&V) -> bool) {
    if map.len() >= CAPACITY {
        map.retain(|_, value| counts(value));
    }
    if map.len() >= CAPACITY {
        map.clear();
    }
}

#[cfg(test)]
mod tests {
    use rolecall_shared::domain::Rights;

    use super::*;
    use crate::auth::Via;

    fn somebody() -> Arc<Identity> {
        Arc::new(Identity {
            account: "ci".into(),
            owner: "ci".into(),
            rights: Rights::all(),
            is_admin: false,
            via: Via::Basic,
        })
    }

    fn proven() -> Proven {
        let proven = Proven::new();
        proven.hear(true);
        proven
    }

    fn keep(proven: &Proven, parts: &[&str]) {
        proven.keep(proven.digest(parts), somebody(), LIFETIME, proven.epoch());
    }

    #[test]
    fn a_proof_is_for_these_credentials_in_this_process() {
        let proven = proven();
        keep(&proven, &["basic", "ci", "secret"]);
        let knows = |parts: &[&str]| proven.find(&proven.digest(parts)).is_some();
        assert!(knows(&["basic", "ci", "secret"]));
        assert!(!knows(&["basic", "ci", "secreT"]) && !knows(&["basic", "cis", "ecret"]));
        assert!(!knows(&["token", "ci", "secret"]) && !knows(&["basic", "cisecret"]));
        assert_ne!(proven.digest(&["ci"]), Proven::new().digest(&["ci"]));
    }

    #[tokio::test(start_paused = true)]
    async fn it_counts_for_a_minute_at_most() {
        let proven = proven();
        let (long, short) = (proven.digest(&["a"]), proven.digest(&["b"]));
        proven.keep(long, somebody(), Duration::from_hours(1), proven.epoch());
        proven.keep(short, somebody(), Duration::from_secs(10), proven.epoch());
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(proven.find(&long).is_some() && proven.find(&short).is_none());
        tokio::time::advance(LIFETIME).await;
        assert!(proven.find(&long).is_none());
    }

    #[test]
    fn a_change_ends_every_proof_also_those_under_way() {
        let proven = proven();
        keep(&proven, &["a"]);
        let begun = proven.epoch();
        proven.forget();
        assert!(proven.find(&proven.digest(&["a"])).is_none());
        proven.keep(proven.digest(&["b"]), somebody(), LIFETIME, begun);
        assert!(proven.find(&proven.digest(&["b"])).is_none(), "it was read before the change");
    }

    #[tokio::test(start_paused = true)]
    async fn that_they_were_right_outlives_the_proof_and_a_change_and_counts_once() {
        let proven = proven();
        let (one, two) = (proven.digest(&["a"]), proven.digest(&["b"]));
        keep(&proven, &["a"]);
        assert!(!proven.were_right(&one), "nobody has said so");
        proven.are_right(one);
        proven.are_right(two);
        proven.forget();
        assert!(proven.find(&one).is_none());
        assert!(proven.were_right(&one) && !proven.were_right(&one));
        proven.are_right(one);
        assert!(proven.were_right(&one));
        assert!(!proven.were_right(&proven.digest(&["c"])));
        tokio::time::advance(LATELY + Duration::from_secs(1)).await;
        assert!(!proven.were_right(&two));
    }

    #[test]
    fn without_hearing_of_changes_nothing_is_kept() {
        let proven = proven();
        keep(&proven, &["a"]);
        proven.hear(false);
        assert!(proven.find(&proven.digest(&["a"])).is_none());
        keep(&proven, &["a"]);
        assert!(proven.find(&proven.digest(&["a"])).is_none());
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let proven = proven();
        for n in 0..3 * CAPACITY {
            keep(&proven, &["ci", &n.to_string()]);
            proven.are_right(proven.digest(&["ci", &n.to_string()]));
        }
        assert!(proven.kept().proofs.len() <= CAPACITY && proven.kept().right.len() <= CAPACITY);
    }
}

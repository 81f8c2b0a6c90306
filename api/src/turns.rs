//! One at a time per key, in this process.
//!
//! Owns the lines in which those stand who want the same at the same moment. What the first one finds out is kept for the
//! others as long as anybody stands there, and no longer. It must never be what a promise rests on: other processes have
//! lines of their own. Tested below.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::MutexGuard;

type Place<V> = Arc<tokio::sync::Mutex<V>>;
type Places<K, V> = Arc<Mutex<HashMap<K, Place<V>>>>;

/// The lines of one process.
#[derive(Debug)]
pub(crate) struct Turns<K, V> {
    places: Places<K, V>,
}

impl<K, V> Default for Turns<K, V> {
    fn default() -> Self {
        Self { places: Arc::default() }
    }
}

/// A place in a line; dropping it leaves the line.
#[derive(Debug)]
pub(crate) struct Line<K: Hash + Eq, V: Default> {
    key: K,
    place: Place<V>,
    places: Places<K, V>,
}

impl<K: Hash + Eq + Clone, V: Default> Turns<K, V> {
    /// Joins the line for a key.
    pub(crate) fn of(&self, key: K) -> Line<K, V> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Arc::clone(places.entry(key.clone()).or_default());
        drop(places);
        Line { key, place, places: Arc::clone(&self.places) }
    }
}

impl<K: Hash + Eq, V: Default> Line<K, V> {
    /// How many stand in it, this one and the one whose turn it is included.
    pub(crate) fn len(&self) -> usize {
        // One more is the map's.
        Arc::strong_count(&self.place).saturating_sub(1)
    }

    /// Waits for one's turn, which lasts as long as what is answered; it shows what those before have left.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, V> {
        self.place.lock().await
    }
}

impl<K: Hash + Eq, V: Default> Drop for Line<K, V> {
    fn drop(&mut self) {
        // Under the lock of the map: nobody joins between the count and the removal, and of two who leave at once the
        // second counts nobody.
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        drop(std::mem::take(&mut self.place));
        if places.get(&self.key).is_some_and(|place| Arc::strong_count(place) == 1) {
            places.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_who_sees_what_was_left() {
        let turns = Turns::<&str, u32>::default();
        let (one, two, other) = (turns.of("a"), turns.of("a"), turns.of("b"));
        let mut first = one.turn().await;
        assert!(two.turn().now_or_never().is_none(), "somebody is at it");
        assert_eq!(other.turn().now_or_never().as_deref(), Some(&0), "another line");
        *first += 1;
        drop(first);
        assert_eq!(two.turn().now_or_never().as_deref(), Some(&1));
        // Whoever leaves in the middle leaves the turn to the next.
        let held = two.turn().await;
        drop(held);
        drop(two);
        assert_eq!(one.turn().now_or_never().as_deref(), Some(&1));
    }

    #[tokio::test]
    async fn nothing_stays_when_everybody_has_left() {
        let turns = Turns::<u8, bool>::default();
        let (one, two) = (turns.of(1), turns.of(1));
        *one.turn().await = true;
        drop(one);
        assert_eq!(turns.places.lock().unwrap().len(), 1);
        drop(two);
        assert!(turns.places.lock().unwrap().is_empty());
        assert_eq!(turns.of(1).turn().now_or_never().as_deref(), Some(&false));
    }
}

//! Many callers, few questions: what is asked while a question is under way goes into the next one.
//!
//! A burst of requests looks up the same few targets and hosts at the same moment. Each for itself they would wait in
//! line for the connections of the pool until `control.timeout` refused them, although the database is well.
//!
//! No answer is older than its call: the question it comes from began afterwards.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::timeout;

use super::error::{Error, unavailable};
use crate::domain::{Code, Failure};

/// What came of a question that was put for others too.
enum Shared<V> {
    Answered(Option<V>),
    /// The database is away, for everybody.
    Away,
    /// A fault of one of those who asked; let each ask for itself.
    AskAlone,
}

type Line<K, V> = Vec<(K, oneshot::Sender<Shared<V>>)>;

/// The line of those who wait for the next question.
pub(super) struct Gathering<K, V> {
    line: Mutex<Line<K, V>>,
    /// Held while a question is under way.
    asking: tokio::sync::Mutex<()>,
    limit: Duration,
}

impl<K, V> fmt::Debug for Gathering<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering").finish_non_exhaustive()
    }
}

impl<K: Ord + Clone, V: Clone> Gathering<K, V> {
    /// Nobody keeps a caller waiting for longer than `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self { line: Mutex::default(), asking: tokio::sync::Mutex::default(), limit }
    }

    /// What belongs to the key. `question` looks up several keys at once and leaves out what it does not find.
    pub(super) async fn ask<F>(&self, key: &K, question: impl Fn(Vec<K>) -> F) -> Result<Option<V>, Failure>
    where
        F: Future<Output = Result<BTreeMap<K, V>, Failure>>,
    {
        match timeout(self.limit, self.shared(key, &question)).await {
            Ok(Ok(Shared::Answered(answer))) => Ok(answer),
            Ok(Ok(Shared::Away)) => Err(unavailable("the question that was put for several went unanswered")),
            Ok(Ok(Shared::AskAlone)) => Ok(question(vec![key.clone()]).await?.remove(key)),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Error::TimedOut.into()),
        }
    }

    async fn shared<F>(&self, key: &K, question: &impl Fn(Vec<K>) -> F) -> Result<Shared<V>, Failure>
    where
        F: Future<Output = Result<BTreeMap<K, V>, Failure>>,
    {
        loop {
            let (sender, mut answer) = oneshot::channel();
            self.line().push((key.clone(), sender));
            let turn = tokio::select! {
                biased;
                answer = &mut answer => match answer {
                    Ok(shared) => return Ok(shared),
                    // Whoever asked for us has hung up.
                    Err(_) => continue,
                },
                turn = self.asking.lock() => turn,
            };
            match answer.try_recv() {
                Ok(shared) => return Ok(shared),
                Err(TryRecvError::Closed) => {}
                Err(TryRecvError::Empty) => {
                    let result = self.put(key, question).await;
                    drop(turn);
                    return result;
                }
            }
        }
    }

    /// Puts the question of everybody in the line, whose first is the caller.
    async fn put<F>(&self, key: &K, question: &impl Fn(Vec<K>) -> F) -> Result<Shared<V>, Failure>
    where
        F: Future<Output = Result<BTreeMap<K, V>, Failure>>,
    {
        let line = mem::take(&mut *self.line());
        let mut keys: Vec<K> = line.iter().map(|(key, _)| key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        let is_alone = keys.len() == 1;
        // Those who have hung up meanwhile need no answer.
        match question(keys).await {
            Ok(found) => {
                for (key, sender) in line {
                    sender.send(Shared::Answered(found.get(&key).cloned())).ok();
                }
                Ok(Shared::Answered(found.get(key).cloned()))
            }
            Err(failure) if failure.code() == Code::ControlDatabaseUnavailable => {
                // Those who came meanwhile would learn the same, later.
                let came_meanwhile = mem::take(&mut *self.line());
                for (_, sender) in line.into_iter().chain(came_meanwhile) {
                    sender.send(Shared::Away).ok();
                }
                Err(failure)
            }
            Err(failure) => {
                for (_, sender) in line {
                    sender.send(Shared::AskAlone).ok();
                }
                if is_alone { Err(failure) } else { Ok(Shared::AskAlone) }
            }
        }
    }

    fn line(&self) -> std::sync::MutexGuard<'_, Line<K, V>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// Answers each question with its number; each waits for a permit.
    struct Database {
        asked: AtomicUsize,
        permits: Semaphore,
        fails: Option<(Code, u32)>,
    }

    impl Database {
        fn new(permits: usize, fails: Option<(Code, u32)>) -> Self {
            Self { asked: AtomicUsize::new(0), permits: Semaphore::new(permits), fails }
        }

        async fn find(&self, keys: Vec<u32>) -> Result<BTreeMap<u32, usize>, Failure> {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            self.permits.acquire().await.unwrap().forget();
            match self.fails {
                Some((code, at)) if keys.contains(&at) => Err(Failure::new(code, "refused")),
                _ => Ok(keys.into_iter().filter(|key| *key < 100).map(|key| (key, number)).collect()),
            }
        }
    }

    /// Lets calls come while another question is under way, so that they share the next one.
    async fn together<T>(
        gathering: &Gathering<u32, usize>,
        calls: impl IntoIterator<Item: Future<Output = T>>,
    ) -> Vec<T> {
        let turn = gathering.asking.lock().await;
        let mut answers = std::pin::pin!(join_all(calls));
        assert!(futures_util::poll!(&mut answers).is_pending());
        drop(turn);
        answers.await
    }

    #[tokio::test]
    async fn a_burst_is_one_question_and_each_gets_its_own_answer() {
        let (gathering, database) = (Gathering::new(LIMIT), Database::new(10, None));
        let ask = async |key: u32| gathering.ask(&key, |keys| database.find(keys)).await.unwrap();
        let answers = together(&gathering, [1, 2, 1, 500].map(ask)).await;
        assert!(answers[0].is_some() && answers[0] == answers[1] && answers[1] == answers[2]);
        assert_eq!(answers[3], None);
        assert_eq!(database.asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_answer_is_never_older_than_its_call() {
        let (gathering, database) = (Gathering::new(LIMIT), Database::new(0, None));
        let ask = || gathering.ask(&1, |keys| database.find(keys));
        let mut first = std::pin::pin!(ask());
        assert!(futures_util::poll!(&mut first).is_pending());
        // These come while the first question is under way.
        let mut later = std::pin::pin!(join_all([ask(), ask()]));
        assert!(futures_util::poll!(&mut later).is_pending());
        database.permits.add_permits(2);
        assert_eq!(first.await.unwrap(), Some(0));
        let later: Vec<_> = later.await.into_iter().map(Result::unwrap).collect();
        assert_eq!(later, [Some(1), Some(1)], "another question, one for both");
    }

    #[tokio::test]
    async fn who_hangs_up_takes_nobody_along() {
        let (gathering, database) = (Gathering::new(LIMIT), Database::new(0, None));
        let ask = || gathering.ask(&1, |keys| database.find(keys));
        let mut first = Box::pin(ask());
        let mut second = std::pin::pin!(ask());
        // In the line together; the first asks for both, and is dropped in the middle.
        let turn = gathering.asking.lock().await;
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(turn);
        assert!(futures_util::poll!(&mut first).is_pending());
        drop(first);
        database.permits.add_permits(1);
        assert!(second.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_database_that_is_away_is_asked_once_for_everybody() {
        let database = Database::new(10, Some((Code::ControlDatabaseUnavailable, 1)));
        let gathering = Gathering::new(LIMIT);
        let ask = |_| gathering.ask(&1, |keys| database.find(keys));
        let answers = together(&gathering, (0..5).map(ask)).await;
        for answer in answers {
            assert_eq!(answer.unwrap_err().code(), Code::ControlDatabaseUnavailable);
        }
        assert_eq!(database.asked.load(Ordering::SeqCst), 1);
        let silent = Database::new(0, None);
        let gathering = Gathering::new(Duration::from_millis(20));
        let failure = gathering.ask(&1, |keys| silent.find(keys)).await.unwrap_err();
        assert_eq!(failure.code(), Code::ControlDatabaseUnavailable);
    }

    #[tokio::test]
    async fn one_unreadable_row_is_the_fault_of_one() {
        let (gathering, database) = (Gathering::new(LIMIT), Database::new(10, Some((Code::Internal, 7))));
        let ask = async |key: u32| gathering.ask(&key, |keys| database.find(keys)).await;
        let [one, seven, two] = <[_; 3]>::try_from(together(&gathering, [1, 7, 2].map(ask)).await).unwrap();
        assert!(one.unwrap().is_some() && two.unwrap().is_some());
        assert_eq!(seven.unwrap_err().code(), Code::Internal);
    }
}

//! Callers: each submits one job after another and does not let go of one before it is accepted, so that the order of
//! its 202s is known; meanwhile it waits for the ends and takes the passwords.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use reqwest::Method;
use rolecall_tests::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::chance::Chance;
use crate::town::{Counts, PATIENCE, Town};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Reset,
    SearchPath,
}

impl Operation {
    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Reset => "password_reset",
            Self::SearchPath => "search_path_set",
        }
    }
}

/// A job that was accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) ticket: String,
    pub(crate) operation: Operation,
    pub(crate) role: String,
    /// Among the scene's.
    pub(crate) place: usize,
    pub(crate) end: Option<End>,
}

/// How a job ended, as its caller was told.
#[derive(Debug)]
pub(crate) struct End {
    /// The outcome, or what there was instead.
    pub(crate) outcome: String,
    pub(crate) password: Password,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Password {
    None,
    HandedOut(String),
    /// Taken by a call whose answer did not arrive.
    Lost,
}

pub(crate) struct Caller {
    town: Arc<Town>,
    number: usize,
    chance: Chance,
    /// Its roles, and where they are.
    roles: Vec<(String, usize)>,
    accepted: Vec<Accepted>,
    following: JoinSet<(usize, End)>,
    /// Jobs whose passwords were lost, to be reset.
    lost: VecDeque<usize>,
}

impl Caller {
    pub(crate) fn new(town: Arc<Town>, number: usize, chance: Chance) -> Self {
        let (roles, accepted) = (Vec::new(), Vec::new());
        Self { town, number, chance, roles, accepted, following: JoinSet::new(), lost: VecDeque::new() }
    }

    /// Submits until there is nothing more to submit and every job has ended; all its jobs, in the order of its 202s.
    pub(crate) async fn run(mut self) -> Vec<Accepted> {
        let town = Arc::clone(&self.town);
        while let Ok(permit) = town.budget.acquire().await {
            permit.forget();
            self.submit_any().await;
            while let Some(ended) = self.following.try_join_next() {
                self.ended(ended.unwrap());
            }
            self.reset_lost().await;
        }
        while let Some(ended) = self.following.join_next().await {
            self.ended(ended.unwrap());
            self.reset_lost().await;
        }
        self.accepted
    }

    fn ended(&mut self, (index, end): (usize, End)) {
        Counts::add(&self.town.counts.ended);
        if end.password == Password::Lost {
            Counts::add(&self.town.counts.lost);
            self.lost.push_back(index);
        }
        self.accepted[index].end = Some(end);
    }

    async fn reset_lost(&mut self) {
        while let Some(index) = self.lost.pop_front() {
            let job = &self.accepted[index];
            let (role, place) = (job.role.clone(), job.place);
            self.submit(Operation::Reset, role, place, &json!({})).await;
        }
    }

    async fn submit_any(&mut self) {
        if self.roles.is_empty() || self.chance.below(10) < 5 {
            let place = self.chance.below(self.town.places.len());
            let role = format!("c{}_{}_{}", self.number, self.roles.len(), self.town.id);
            self.roles.push((role.clone(), place));
            // One in five needs grants in another database, after the commit.
            let kind = *self.chance.one_of(&["devqa", "devqa", "devlead", "dba", "readonly"]);
            self.submit(Operation::Create, role, place, &json!({ "kind": kind })).await;
        } else {
            let (role, place) = self.chance.one_of(&self.roles).clone();
            if self.chance.below(2) == 0 {
                self.submit(Operation::Reset, role, place, &json!({})).await;
            } else {
                let schemas = json!({ "schemas": ["app", "public"] });
                self.submit(Operation::SearchPath, role, place, &schemas).await;
            }
        }
    }

    /// Asks until it is accepted, under one key.
    async fn submit(&mut self, operation: Operation, role: String, place: usize, more: &Value) {
        let mut job = json!({
            "operation": match operation {
                Operation::Create => "create_role",
                Operation::Reset => "reset_password",
                Operation::SearchPath => "set_search_path",
            },
            "username": role, "env": "dev", "database": self.town.places[place].database,
        });
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let key = format!("caller-{}-{}", self.number, self.accepted.len());
        let ask = |client: &Client| {
            client.request(Method::POST, "/api/v2/jobs").header("Idempotency-Key", &key).json(&job)
        };
        // 200: it was accepted by a try whose answer was lost, and has ended meanwhile.
        let answer = self.town.insist(self.accepted.len(), ask, &[200, 202]).await.answer;
        let index = self.accepted.len();
        self.following.spawn(follow(Arc::clone(&self.town), index, answer.id(), operation));
        self.accepted.push(Accepted { ticket: answer.id(), operation, role, place, end: None });
        Counts::add(&self.town.counts.accepted);
    }
}

/// Waits for the end of a job and takes its password.
async fn follow(town: Arc<Town>, index: usize, ticket: String, operation: Operation) -> (usize, End) {
    let path = format!("/api/v2/tickets/{ticket}");
    let ask = |client: &Client| client.request(Method::GET, &format!("{path}?wait=10"));
    let begun = Instant::now();
    let mut shown = town.insist(index, ask, &[200]).await.answer;
    while !shown.is_final() && begun.elapsed() < PATIENCE {
        shown = town.insist(index, ask, &[200]).await.answer;
    }
    let outcome = match shown.find("outcome") {
        Some(outcome) => outcome.to_owned(),
        None => shown.to_string(),
    };
    let password = if outcome == operation.outcome() && operation != Operation::SearchPath {
        town.take(index, &path).await
    } else {
        Password::None
    };
    (index, End { outcome, password })
}

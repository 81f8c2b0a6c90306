//! A caller of the native API.

mod answer;

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::eventually;

pub use answer::Answer;

/// How long a job may take to end.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// One account on one api. Every method answers what came back, refusals included; [`Answer::expect`] and
/// [`Answer::expect_problem`] judge.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    user: String,
    password: String,
}

impl Client {
    /// A caller with HTTP Basic. No proxy of the environment is asked.
    pub fn new(url: &str, user: &str, password: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
        Self { http, url: url.to_owned(), user: user.to_owned(), password: password.to_owned() }
    }

    /// The same api, as somebody else.
    #[must_use]
    pub fn as_account(&self, user: &str, password: &str) -> Self {
        Self { user: user.to_owned(), password: password.to_owned(), ..self.clone() }
    }

    /// The same account, on another api.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// A request to a path of the api, with the account's credentials, to be changed and sent with [`send`].
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.basic_auth(&self.user, Some(&self.password))
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::PUT, path).json(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// Submits a job.
    pub async fn submit(&self, job: &Value) -> Answer {
        self.post("/api/v2/jobs", job).await
    }

    /// Submits a job under an `Idempotency-Key`; again while a ticket store that has just been started is not whole, as
    /// the answer says.
    pub async fn submit_once(&self, key: &str, job: &Value) -> Answer {
        let submit = async || {
            let request = self.request(Method::POST, "/api/v2/jobs").header("Idempotency-Key", key);
            let answer = send(request.json(job)).await;
            (!answer.is_problem(503, "ticket_not_yet_rebuilt")).then_some(answer)
        };
        eventually("tickets to be rebuilt", PATIENCE, submit).await
    }

    /// Submits jobs in one request, each of which must be accepted; their tickets in the same order.
    pub async fn submit_all(&self, jobs: &[Value]) -> Vec<String> {
        let answer = self.post("/api/v2/jobs/batch", &json!({ "items": jobs })).await.expect(202);
        let ticket = |item: &Value| item["ticket"].as_str().map(str::to_owned);
        let tickets: Option<Vec<_>> = answer.list("items").iter().map(ticket).collect();
        tickets.unwrap_or_else(|| panic!("not every job was accepted: {answer}"))
    }

    /// The same, of an api that may die of it: none if it does not answer.
    pub async fn try_submit_once(&self, key: &str, job: &Value) -> Option<Answer> {
        try_send(self.request(Method::POST, "/api/v2/jobs").header("Idempotency-Key", key).json(job)).await
    }

    /// Submits a job that must be accepted, and waits for its end, whatever that is.
    pub async fn run(&self, job: &Value) -> Answer {
        let accepted = self.submit(job).await.expect(202);
        self.wait(&accepted.id()).await
    }

    /// The ticket as it is now.
    pub async fn ticket(&self, id: &str) -> Answer {
        self.get(&format!("/api/v2/tickets/{id}")).await
    }

    /// The ticket in its final state, long-polled for at most [`PATIENCE`].
    pub async fn wait(&self, id: &str) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.get(&format!("/api/v2/tickets/{id}?wait=20")).await.expect(200);
            if answer.is_final() {
                return answer;
            }
            assert!(start.elapsed() < PATIENCE, "ticket {id} does not end:\n{answer}");
        }
    }

    /// Cancels a job.
    pub async fn cancel(&self, id: &str) -> Answer {
        self.delete(&format!("/api/v2/tickets/{id}")).await
    }

    /// Takes the password of a job.
    pub async fn take_secret(&self, id: &str) -> Answer {
        send(self.request(Method::POST, &format!("/api/v2/tickets/{id}/secret"))).await
    }

    /// The same, of an api that may die of it: none if it does not answer.
    pub async fn try_take_secret(&self, id: &str) -> Option<Answer> {
        try_send(self.request(Method::POST, &format!("/api/v2/tickets/{id}/secret"))).await
    }

    /// Registers or changes a target.
    pub async fn put_target(&self, env: &str, database: &str, body: &Value) -> Answer {
        self.put(&target_path(env, database), body).await
    }

    /// A registered target.
    pub async fn target(&self, env: &str, database: &str) -> Answer {
        self.get(&target_path(env, database)).await
    }

    /// An act on a target: `pause`, `resume` or `check`.
    pub async fn target_act(&self, env: &str, database: &str, act: &str) -> Answer {
        send(self.request(Method::POST, &format!("{}/{act}", target_path(env, database)))).await
    }

    /// A role as it stands on the target.
    pub async fn role(&self, env: &str, database: &str, role: &str) -> Answer {
        self.get(&format!("{}/roles/{role}", target_path(env, database))).await
    }

    /// The newest page of the audit; the query is one like `role=ada&limit=50`.
    pub async fn audit(&self, query: &str) -> Answer {
        self.get(&format!("/api/v2/audit?{query}")).await
    }
}

fn target_path(env: &str, database: &str) -> String {
    format!("/api/v2/targets/{env}/{database}")
}

/// Sends a request and reads its answer to the end.
pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    match exchange(request).await {
        Ok(answer) => answer,
        Err(error) => panic!("the api does not answer: {error:?}"),
    }
}

/// The same, of an api that may be gone: none if there is no answer, or half of one.
pub async fn try_send(request: reqwest::RequestBuilder) -> Option<Answer> {
    exchange(request).await.ok()
}

async fn exchange(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, headers, body })
}

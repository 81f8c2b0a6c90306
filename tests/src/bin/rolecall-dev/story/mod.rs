//! The steps of the demonstration, each with its requests, the answers, and what must be true afterwards.
//!
//! A step that differs is shown as such and the story goes on; only what nothing can follow ends it.

mod afterwards;
mod first_role;
mod kinds;
mod registry;

use reqwest::Method;
use rolecall_tests::client::send;
use rolecall_tests::{Answer, Client, Target};
use serde_json::Value;

use crate::screen::Screen;

pub use registry::targets;

/// Who tells it, and to whom.
struct Story<'a> {
    screen: &'a Screen,
    client: &'a Client,
    targets: &'a [Target; 2],
}

/// A role that was made, with the password that was handed out.
struct Made {
    name: String,
    password: String,
}

/// All steps, in order.
pub async fn tell(screen: &Screen, client: &Client, targets: &[Target; 2]) {
    let story = Story { screen, client, targets };
    story.register_targets().await;
    let Some(app) = story.make_the_first_role().await else { return };
    let Some(readonly) = story.make_the_other_kinds().await else { return };
    story.only_read(&readonly).await;
    story.make_it_again(&app).await;
    let Some(app) = story.reset_password(app).await else { return };
    story.set_search_path(&app).await;
    story.refuse_sql().await;
    story.show_the_audit().await;
}

impl Story<'_> {
    /// One request, shown with those fields of the answer that matter here.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>, fields: &[&str]) -> Answer {
        self.call_preferring(method, path, body, fields, None).await
    }

    /// A job that is submitted and waited for in one request.
    async fn submit_and_wait(&self, job: &Value) -> Answer {
        let fields = ["ticket", "state", "outcome", "role", "missing", "problem", "code", "detail"];
        self.call_preferring(Method::POST, "/api/v2/jobs", Some(job), &fields, Some("wait=30")).await
    }

    async fn call_preferring(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        fields: &[&str],
        prefer: Option<&str>,
    ) -> Answer {
        let line = prefer.map_or_else(|| path.to_owned(), |prefer| format!("{path} (Prefer: {prefer})"));
        self.screen.request(method.as_str(), &line, body);
        let mut request = self.client.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(prefer) = prefer {
            request = request.header("Prefer", prefer);
        }
        let answer = send(request).await;
        self.screen.answer(&answer, fields);
        answer
    }

    /// Takes the password of a ticket; the password itself is not shown.
    async fn take_secret(&self, id: &str) -> Option<String> {
        let path = format!("/api/v2/tickets/{id}/secret");
        let answer =
            self.call(Method::POST, &path, None, &["user", "host", "port", "database", "code"]).await;
        let password = answer.find("password").map(str::to_owned);
        let is_strong = password.as_ref().is_some_and(|password| password.len() == 22);
        self.check(
            answer.status == 200 && is_strong,
            "200: a password of 22 random characters, not shown here",
        );
        password
    }

    /// A real log-in to a target, which must work.
    async fn log_in(&self, target: &Target, role: &Made) -> Option<tokio_postgres::Client> {
        let uri = format!("postgresql://{}@{}/{}", role.name, target.host(), target.database);
        self.screen.act(&format!("log in to {uri}"));
        let session = target.login(&role.name, &role.password, &target.database).await;
        let refusal = session.as_ref().err().map(|error| format!(" ({error})")).unwrap_or_default();
        self.check(session.is_ok(), &format!("PostgreSQL accepts the password of {}{refusal}", role.name));
        session.ok()
    }

    fn check(&self, is_so: bool, what: &str) {
        self.screen.check(is_so, what);
    }
}

/// What one query answers, as text; none for NULL, no row or an error.
async fn ask(session: &tokio_postgres::Client, query: &str) -> Option<String> {
    session.query_opt(query, &[]).await.ok()??.get(0)
}

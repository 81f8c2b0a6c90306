//! What happens to roles that are there: used, ordered again, a new password, another search path; and the audit.

use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;

use super::{Made, Story, ask};

impl Story<'_> {
    pub(super) async fn only_read(&self, role: &Made) {
        self.screen.step("The readonly role reads and cannot write");
        let Some(session) = self.log_in(&self.targets[0], role).await else { return };
        let select = "SELECT count(*)::text FROM public.orders";
        self.screen.act(select);
        let count = ask(&session, select).await;
        self.check(count.as_deref() == Some("3"), "three orders are read");
        let insert = "INSERT INTO public.orders (customer) VALUES ('mallory')";
        for (statement, expected, why) in [
            (insert.to_owned(), SqlState::READ_ONLY_SQL_TRANSACTION, "its transactions are read-only"),
            // A batch is one transaction, so the setting stands before it begins.
            (format!("BEGIN READ WRITE; {insert}"), SqlState::INSUFFICIENT_PRIVILEGE, "it lacks the right"),
        ] {
            self.screen.act(&statement);
            let refused =
                session.batch_execute(&statement).await.err().and_then(|error| error.code().cloned());
            self.check(refused == Some(expected), &format!("refused: {why}"));
        }
    }

    pub(super) async fn make_it_again(&self, role: &Made) {
        self.screen.step("The same order again changes nothing");
        let job = json!({
            "operation": "create_role", "kind": "app", "env": "dev", "database": "myapp_dev",
            "servername": "web01", "port": 8080,
        });
        let ended = self.submit_and_wait(&job).await;
        self.check(ended.find("outcome") == Some("already_exists"), "its outcome is already_exists");
        if let Some(id) = ended.find("ticket") {
            let path = format!("/api/v2/tickets/{id}/secret");
            let none = self.call(Method::POST, &path, None, &["code"]).await;
            self.check(none.is_problem(404, "no_secret"), "404 no_secret: there is no new password");
        }
        self.check(
            self.targets[0].accepts(&role.name, &role.password).await,
            "the first password still works",
        );
    }

    pub(super) async fn reset_password(&self, role: Made) -> Option<Made> {
        self.screen.step("The password is reset");
        let job = json!({
            "operation": "reset_password", "env": "dev", "database": "myapp_dev", "username": role.name,
        });
        let ended = self.submit_and_wait(&job).await;
        self.check(ended.find("outcome") == Some("password_reset"), "its outcome is password_reset");
        let password = self.take_secret(ended.find("ticket")?).await?;
        self.screen.act("log in with the old password and with the new one");
        let target = &self.targets[0];
        self.check(!target.accepts(&role.name, &role.password).await, "the old password is refused");
        self.check(target.accepts(&role.name, &password).await, "the new password works");
        Some(Made { password, ..role })
    }

    pub(super) async fn set_search_path(&self, role: &Made) {
        self.screen.step("A search path is set");
        let job = json!({
            "operation": "set_search_path", "env": "dev", "database": "myapp_dev", "username": role.name,
            "schemas": ["$user", "public"],
        });
        let ended = self.submit_and_wait(&job).await;
        self.check(ended.find("outcome") == Some("search_path_set"), "its outcome is search_path_set");
        let Some(session) = self.log_in(&self.targets[0], role).await else { return };
        let path = ask(&session, "SHOW search_path").await;
        self.check(path.as_deref() == Some("\"$user\", public"), "the server says: \"$user\", public");
    }

    pub(super) async fn refuse_sql(&self) {
        self.screen.step("SQL in a name is refused at the door");
        let job = json!({
            "operation": "create_role", "kind": "devqa", "env": "dev", "database": "myapp_dev",
            "username": "evil; DROP ROLE ada; --",
        });
        let answer = self.call(Method::POST, "/api/v2/jobs", Some(&job), &["code", "errors"]).await;
        let is_named = answer.faulty_fields() == ["username"];
        self.check(answer.is_problem(422, "invalid_request") && is_named, "422 invalid_request: username");
    }

    pub(super) async fn show_the_audit(&self) {
        self.screen.step("All of it stands in the audit");
        let path = "/api/v2/audit?limit=100";
        self.screen.request("GET", path, None);
        let answer = self.client.get(path).await;
        let events = answer.at("items").as_array().cloned().unwrap_or_default();
        self.screen.answer_in_words(&answer, &format!("{} events, shown from the oldest on", events.len()));
        let text = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let rows: Vec<_> = events
            .iter()
            .rev()
            .map(|event| {
                let time = text(event, "at").chars().skip(11).take(8).collect();
                let target = [text(event, "env"), text(event, "database")].join("/");
                let who = text(event, "account");
                vec![time, text(event, "event"), target, text(event, "role"), text(event, "outcome"), who]
            })
            .collect();
        self.screen.table(&["time", "event", "target", "role", "outcome", "account"], &rows);

        let count = |event: &str| events.iter().filter(|e| e["event"] == event).count();
        self.check(count("target.added") == 3, "three targets were added");
        // Six kinds, the one that was there, the reset, the search path.
        self.check(count("ticket.succeeded") == 9, "nine jobs succeeded");
        self.check(count("secret.taken") == 7, "seven passwords were taken");
    }
}

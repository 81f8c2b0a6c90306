//! One role, slowly: submitted, waited for, its password taken, used, and refused a second time.

use reqwest::Method;
use serde_json::json;

use super::{Made, Story, ask};

impl Story<'_> {
    pub(super) async fn make_the_first_role(&self) -> Option<Made> {
        self.screen.step("A role for an application is ordered; the answer is a ticket");
        let job = json!({
            "operation": "create_role", "kind": "app", "env": "dev", "database": "myapp_dev",
            "servername": "web01", "port": 8080, "deadline": "15m", "metadata": { "pipeline": "4711" },
        });
        let fields = ["ticket", "state", "code", "detail", "errors"];
        let accepted = self.call(Method::POST, "/api/v2/jobs", Some(&job), &fields).await;
        self.check(accepted.status == 202, "202: the ticket exists and RabbitMQ has confirmed the job");
        let id = accepted.find("ticket")?.to_owned();
        let location = format!("/api/v2/tickets/{id}");
        self.check(accepted.header("location") == Some(&location), "Location names the ticket");

        self.screen.step("The ticket is polled to its end");
        let mut ended = accepted;
        // Each look waits up to ten seconds for a change; six of them are more than enough.
        for _ in 0..6 {
            let path = format!("{location}?wait=10");
            ended = self
                .call(
                    Method::GET,
                    &path,
                    None,
                    &["state", "outcome", "role", "problem", "waiting_reason", "code"],
                )
                .await;
            if ended.is_final() {
                break;
            }
        }
        self.check(ended.find("state") == Some("succeeded"), "the job succeeded");
        self.check(ended.find("outcome") == Some("created"), "its outcome is created");

        self.screen.step("Its password is taken, once");
        let password = self.take_secret(&id).await?;
        let role = Made { name: "web01_8080".to_owned(), password };

        self.screen.step("The password works on the target");
        let [target, _] = self.targets;
        let session = self.log_in(target, &role).await?;
        let user = ask(&session, "SELECT current_user::text").await;
        self.check(user.as_deref() == Some("web01_8080"), "current_user is web01_8080");
        let path = ask(&session, "SHOW search_path").await;
        self.check(path.as_deref() == Some("public"), "search_path is public");
        let limit =
            ask(&session, "SELECT rolconnlimit::text FROM pg_roles WHERE rolname = current_user").await;
        self.check(limit.as_deref() == Some("200"), "its connection limit is 200");

        self.screen.step("Taking the password a second time is refused");
        let path = format!("{location}/secret");
        let again = self.call(Method::POST, &path, None, &["code", "taken_by", "taken_at"]).await;
        self.check(again.is_problem(410, "secret_taken"), "410 secret_taken: it says who was faster");
        Some(role)
    }
}

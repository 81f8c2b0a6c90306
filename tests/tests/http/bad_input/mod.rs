//! Everything that is refused: by a 4xx problem with a documented code, that names the faulty fields and repeats
//! nothing of what was sent.

mod bodies;
mod credentials;
mod headers;
mod injections;
mod jobs;
mod limits;
mod names;
mod paths;
mod registrations;

use reqwest::{Method, RequestBuilder};
use rolecall_tests::{Client, Running, Target};
use serde_json::{Value, json};

use crate::case::{documented_codes, judge_all};

/// A running Rolecall whose host 1 is paused: what is accepted by mistake runs nowhere.
struct Scene {
    rolecall: Running,
    client: Client,
    target: Target,
}

impl Scene {
    async fn new(name: &str) -> Self {
        let rolecall = Running::start(name).await;
        let (client, target) = (rolecall.client.clone(), rolecall.target(1).clone());
        client.target_act("dev", &target.database, "pause").await.expect(200);
        Self { rolecall, client, target }
    }

    fn submit(&self, job: &Value) -> RequestBuilder {
        self.client.request(Method::POST, "/api/v2/jobs").json(job)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.request(Method::GET, path)
    }

    /// The header's value, for requests that are written as bytes.
    fn authorization(&self) -> String {
        let request = self.get("/").build().unwrap();
        request.headers()["authorization"].to_str().unwrap().to_owned()
    }

    /// A good job of each naming, and of each operation on a role that is there.
    fn create(&self, kind: &str, naming: &Value) -> Value {
        let mut job = json!({ "operation": "create_role", "kind": kind, "env": "dev",
                              "database": self.target.database });
        job.as_object_mut().unwrap().extend(naming.as_object().unwrap().clone());
        job
    }

    fn devqa(&self) -> Value {
        self.create("devqa", &json!({ "username": "ada" }))
    }

    fn app(&self) -> Value {
        self.create("app", &json!({ "servername": "web01", "port": 8080 }))
    }

    fn k8s(&self) -> Value {
        self.create("app-k8s", &json!({ "env_prefix": "dv", "farmname": "gears" }))
    }

    fn reset(&self) -> Value {
        json!({ "operation": "reset_password", "username": "ada", "env": "dev",
                "database": self.target.database })
    }

    fn search_path(&self) -> Value {
        json!({ "operation": "set_search_path", "username": "ada", "schemas": ["public"], "env": "dev",
                "database": self.target.database })
    }
}

#[tokio::test]
async fn jobs_are_refused_field_by_field() {
    let scene = Scene::new("bad-jobs").await;
    let documented = documented_codes(&scene.client).await;
    judge_all(jobs::cases(&scene), &documented).await;
    judge_all(names::cases(&scene), &documented).await;
    judge_all(limits::cases(&scene), &documented).await;
    assert_eq!(limits::waiting(&scene).await, 0, "nothing of it was kept");
    limits::what_is_within_is_accepted(&scene).await;
}

#[tokio::test]
async fn bodies_headers_paths_and_registrations_are_refused() {
    let scene = Scene::new("bad-requests").await;
    let documented = documented_codes(&scene.client).await;
    judge_all(bodies::cases(&scene), &documented).await;
    bodies::the_size_limit_is_exact(&scene, &documented).await;
    bodies::a_batch_has_a_problem_per_item(&scene, &documented).await;
    judge_all(headers::cases(&scene), &documented).await;
    headers::a_reused_key_is_told(&scene).await;
    judge_all(paths::cases(&scene), &documented).await;
    paths::oddities_in_bytes(&scene, &documented).await;
    paths::an_inactive_target_takes_no_jobs(&scene).await;
    let before = scene.client.get("/api/v2/targets").await.expect(200).body;
    judge_all(registrations::cases(&scene), &documented).await;
    assert_eq!(scene.client.get("/api/v2/targets").await.expect(200).body, before, "nothing was registered");
}

#[tokio::test]
async fn nobody_gets_in_without_credentials() {
    let scene = Scene::new("bad-credentials").await;
    let documented = documented_codes(&scene.client).await;
    credentials::every_route_asks(&scene, &documented).await;
    credentials::every_fault_is_the_same_answer(&scene, &documented).await;
}

#[tokio::test]
async fn no_text_of_a_caller_becomes_sql() {
    injections::run(&Scene::new("injections").await).await;
}

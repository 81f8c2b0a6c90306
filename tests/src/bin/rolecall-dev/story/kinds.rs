//! One role of each of the other five kinds.

use serde_json::{Value, json};

use super::{Made, Story, ask};

/// An order, and what must come of it.
struct Order {
    kind: &'static str,
    /// What the request names the role by.
    parts: Value,
    name: &'static str,
    env: &'static str,
    database: &'static str,
    /// Connection limit and rights on the server.
    facts: &'static str,
}

fn orders() -> [Order; 5] {
    let order = |kind, parts, name, (env, database), facts| Order { kind, parts, name, env, database, facts };
    let [dev, qa, uat] = [("dev", "myapp_dev"), ("qa", "myapp_qa"), ("uat", "myapp_dev")];
    [
        order("app-k8s", json!({ "env_prefix": "uat", "farmname": "shop" }), "uat_shop", uat, "200"),
        order("devqa", json!({ "username": "ada" }), "ada", qa, "20"),
        order("devlead", json!({ "username": "grace" }), "grace", dev, "20"),
        order("readonly", json!({ "username": "reports" }), "reports", dev, "20"),
        order("dba", json!({ "username": "edsger" }), "edsger", dev, "20 CREATEDB CREATEROLE"),
    ]
}

impl Story<'_> {
    /// Answers the readonly role.
    pub(super) async fn make_the_other_kinds(&self) -> Option<Made> {
        let mut readonly = None;
        for order in orders() {
            let Order { kind, parts, name, env, database, facts: expected } = order;
            self.screen.step(&format!("A role of the kind {kind}, this time waited for in the same request"));
            let mut job =
                json!({ "operation": "create_role", "kind": kind, "env": env, "database": database });
            for (field, value) in parts.as_object().into_iter().flatten() {
                job[field] = value.clone();
            }
            let ended = self.submit_and_wait(&job).await;
            let is_created = ended.status == 200 && ended.find("outcome") == Some("created");
            self.check(is_created, &format!("200: {name} is created"));
            let password = self.take_secret(ended.find("ticket")?).await?;

            let role = Made { name: name.to_owned(), password };
            let [first, second] = self.targets;
            let mut target = if env == "uat" { second.clone() } else { first.clone() };
            database.clone_into(&mut target.database);
            let session = self.log_in(&target, &role).await?;
            let facts = ask(
                &session,
                "SELECT rolconnlimit || CASE WHEN rolcreatedb THEN ' CREATEDB' ELSE '' END \
                 || CASE WHEN rolcreaterole THEN ' CREATEROLE' ELSE '' END \
                 FROM pg_roles WHERE rolname = current_user",
            )
            .await;
            let is_so = facts.as_deref() == Some(expected);
            self.check(is_so, &format!("connection limit and rights on the server: {expected}"));
            if kind == "readonly" {
                readonly = Some(role);
            }
        }
        readonly
    }
}

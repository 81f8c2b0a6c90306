//! What lists allow: at the door, and in the worker, where the role's mark counts.

use rolecall_tests::Running;
use serde_json::{Value, json};

use crate::people::with_rights;

fn create(rolecall: &Running, kind: &str, name: &str) -> Value {
    let target = rolecall.target(1);
    json!({ "operation": "create_role", "kind": kind, "username": rolecall.role(name), "env": "dev",
            "database": target.database })
}

fn devqa(rolecall: &Running, name: &str) -> Value {
    create(rolecall, "devqa", name)
}

fn reset(rolecall: &Running, name: &str) -> Value {
    json!({ "operation": "reset_password", "username": rolecall.role(name), "env": "dev",
            "database": rolecall.target(1).database })
}

#[tokio::test]
async fn a_role_that_exists_is_changed_by_who_may_change_its_kind() {
    let rolecall = Running::start("kinds").await;
    let database = &rolecall.target(1).database;
    let pattern = |kind: &str| format!("*:dev/{database}:{kind}");
    let qa = with_rights(&rolecall, &rolecall.client, "qa", &[&pattern("devqa")]);
    let lead = with_rights(&rolecall, &rolecall.client, "lead", &[&pattern("devlead")]);
    let all = with_rights(&rolecall, &rolecall.client, "all", &[&pattern("*")]);

    qa.run(&devqa(&rolecall, "ada")).await.expect_outcome("created");
    let other_kind = create(&rolecall, "devlead", "bob");
    qa.submit(&other_kind).await.expect_problem(403, "forbidden");

    let ended = qa.run(&reset(&rolecall, "ada")).await.expect_outcome("password_reset");
    let secret = qa.take_secret(&ended.id()).await.expect(200);
    assert!(rolecall.target(1).accepts(secret.text("user"), secret.text("password")).await);
    let refused = lead.run(&reset(&rolecall, "ada")).await;
    assert_eq!((refused.text("state"), refused.text("problem.code")), ("failed", "forbidden"));
    assert!(rolecall.target(1).accepts(secret.text("user"), secret.text("password")).await, "untouched");

    // One without a mark is of no kind: it takes the right for every kind.
    let plain = rolecall.role("plain");
    let superuser = rolecall.target(1).superuser(database).await;
    superuser.batch_execute(&format!("CREATE ROLE {plain} LOGIN")).await.expect("made");
    let dba = rolecall.stack.get("STACK_DBA_USER");
    let grant = format!("GRANT {plain} TO {dba} WITH ADMIN OPTION");
    superuser.batch_execute(&grant).await.expect("granted");
    let refused = qa.run(&reset(&rolecall, "plain")).await;
    assert_eq!(refused.text("problem.code"), "forbidden", "{refused}");
    all.run(&reset(&rolecall, "plain")).await.expect_outcome("password_reset");
}

#[tokio::test]
async fn a_ticket_is_seen_by_who_may_read_and_its_password_by_its_owner_alone() {
    let rolecall = Running::start("owners").await;
    let owner = with_rights(&rolecall, &rolecall.client, "owner", &["submit:*/*:*", "reveal:*/*:*"]);
    let reader = with_rights(&rolecall, &rolecall.client, "reader", &["read:*/*:*", "reveal:*/*:*"]);
    let stranger = with_rights(&rolecall, &rolecall.client, "stranger", &["submit:*/*:*", "reveal:*/*:*"]);
    let ended = owner.run(&devqa(&rolecall, "ada")).await.expect_outcome("created");
    let id = ended.id();
    assert_eq!(reader.ticket(&id).await.expect(200).id(), id);
    reader.take_secret(&id).await.expect_problem(403, "forbidden");
    reader.cancel(&id).await.expect_problem(403, "forbidden");
    rolecall.client.take_secret(&id).await.expect_problem(403, "forbidden");
    stranger.ticket(&id).await.expect_problem(404, "ticket_not_found");
    stranger.take_secret(&id).await.expect_problem(404, "ticket_not_found");
    owner.take_secret(&id).await.expect(200);
    // Without `reveal` one's own password stays where it is.
    let blind = with_rights(&rolecall, &rolecall.client, "blind", &["submit:*/*:*"]);
    let ended = blind.run(&devqa(&rolecall, "bob")).await.expect_outcome("created");
    blind.take_secret(&ended.id()).await.expect_problem(403, "forbidden");
}

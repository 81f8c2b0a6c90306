//! Which roles of a server Rolecall made, for whom and by which ticket, and which it did not.

use rolecall_tests::Running;
use serde_json::{Value, json};

#[tokio::test]
async fn roles_say_who_made_them() {
    let rolecall = Running::start("origins").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let database = &target.database;
    let [made, met, by_hand, forged] = ["made", "met", "hand", "forged"].map(|role| rolecall.role(role));
    let superuser = target.superuser(database).await;
    superuser
        .batch_execute(&format!("CREATE ROLE {by_hand}; CREATE ROLE {met}; CREATE ROLE {forged}"))
        .await
        .unwrap();
    let ticket = client.run(&target.create_role(&made)).await.expect_outcome("created");
    client.run(&target.create_role(&met)).await.expect_outcome("already_exists");
    // Who may comment on a role can write our mark on it; history does not know of it.
    let comment = format!("COMMENT ON ROLE {forged} IS 'rolecall:1:{}:devqa'", ticket.id());
    superuser.batch_execute(&comment).await.unwrap();

    let facts = |role: &Value| {
        ["made_by", "account", "ticket", "kind", "made_through", "made_at"].map(|field| role[field].clone())
    };
    let through = json!({ "env": "dev", "database": database });
    let finished = ticket.at("finished_at").clone();
    let ours =
        [json!("rolecall"), json!(rolecall.user), json!(ticket.id()), json!("devqa"), through, finished];
    let theirs = || {
        let null = Value::Null;
        [json!("somebody_else"), null.clone(), null.clone(), null.clone(), null.clone(), null]
    };
    let unconfirmed =
        [json!("unconfirmed"), Value::Null, json!(ticket.id()), json!("devqa"), Value::Null, Value::Null];
    let expected = [(&made, ours.clone()), (&met, theirs()), (&by_hand, theirs()), (&forged, unconfirmed)];
    let mut cursor = String::new();
    let mut listed: Vec<Value> = Vec::new();
    loop {
        let page =
            client.get(&format!("/api/v2/targets/dev/{database}/roles?limit=200{cursor}")).await.expect(200);
        listed.extend_from_slice(page.list("items"));
        let Some(next) = page.find("next_cursor") else { break };
        cursor = format!("&cursor={next}");
    }
    for (name, expected) in &expected {
        let role = listed.iter().find(|role| role["name"] == json!(name)).unwrap();
        assert_eq!(facts(role), *expected, "{name} in the list");
        assert_eq!(facts(&client.role("dev", database, name).await.expect(200).body), *expected, "{name}");
    }

    // Another target of the server shows the role, and not through which target it was made to who may not read that.
    client.put_target("qa", database, &target.registration()).await.expect(201);
    let password = rolecall.make_account("reader", &["--access", "read:qa/*:*"]);
    let reader = client.as_account("reader", &password);
    let seen = reader.role("qa", database, &made).await.expect(200);
    let mut less = ours;
    less[4] = Value::Null;
    assert_eq!(facts(&seen.body), less);
}

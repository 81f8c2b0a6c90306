//! Many jobs at once: nothing is refused, nothing is lost, and the order of a host is the order of submission.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_tests::process::Role;
use rolecall_tests::{Installation, Running, eventually};
use serde_json::{Value, json};

use crate::scene::{
    SOON, audited, count, create, make, reset, set_search_path, submit_at_once, take, wait_all,
};

#[tokio::test]
async fn of_twenty_equal_creates_one_creates() {
    let rolecall = Running::start("equal-creates").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let role = rolecall.role("twin");
    let job = create("devqa", &role, target);
    let tickets = submit_at_once(client, &vec![job; 20]).await;
    let ended = wait_all(client, &tickets).await;
    assert_eq!((count(&ended, "created"), count(&ended, "already_exists")), (1, 19));

    for (ticket, ended) in tickets.iter().zip(&ended) {
        if ended.find("outcome") == Some("created") {
            assert!(target.accepts(&role, &take(client, ticket).await).await);
        } else {
            client.take_secret(ticket).await.expect_problem(404, "no_secret");
        }
    }
    let audited = audited(client, "ticket.succeeded").await;
    assert_eq!(audited.iter().collect::<BTreeSet<_>>(), tickets.iter().collect(), "one row for each");
    assert_eq!(audited.len(), 20);
}

#[tokio::test]
async fn of_twenty_equal_resets_the_last_settled_counts() {
    let rolecall = Running::start("equal-resets").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let role = make(&rolecall, "ada", target).await;
    let tickets = submit_at_once(client, &vec![reset(&role.name, target); 20]).await;
    let ended = wait_all(client, &tickets).await;
    assert_eq!(count(&ended, "password_reset"), 20);

    let mut passwords = BTreeMap::new();
    for ticket in &tickets {
        passwords.insert(ticket.clone(), take(client, ticket).await);
    }
    let distinct: BTreeSet<_> = passwords.values().chain([&role.password]).collect();
    assert_eq!(distinct.len(), 21, "each has a password of its own");

    let settled = audited(client, "ticket.succeeded").await;
    let last = passwords.remove(settled.last().unwrap()).unwrap();
    assert!(target.accepts(&role.name, &last).await, "the last settled one's password works");
    for (ticket, password) in &passwords {
        assert!(!target.accepts(&role.name, password).await, "{ticket} was overtaken");
    }
    assert!(!target.accepts(&role.name, &role.password).await);
}

#[tokio::test]
async fn five_hundred_creates_at_once_are_all_kept_and_all_done() {
    // Other suites load the servers meanwhile, and a busy machine is no reason to refuse a job of this one.
    let rolecall = Installation::builder("burst")
        .set("api.confirm_timeout_milliseconds", "10000")
        .set("control.timeout_milliseconds", "10000")
        .start()
        .await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let roles: Vec<_> = (0..500).map(|n| rolecall.role(&format!("burst{n}"))).collect();
    let jobs: Vec<_> = roles.iter().map(|role| create("devqa", role, target)).collect();
    let tickets = submit_at_once(client, &jobs).await;
    let ended = wait_all(client, &tickets).await;
    assert_eq!(count(&ended, "created"), 500);
    for n in (0..500).step_by(25) {
        assert!(target.accepts(&roles[n], &take(client, &tickets[n]).await).await, "{}", roles[n]);
    }
}

#[tokio::test]
async fn a_batch_of_a_thousand_over_two_hosts() {
    let rolecall = Installation::builder("batch").set("target.scram_iterations", "16").start().await;
    let client = &rolecall.client;
    let jobs: Vec<Value> = (0..1000)
        .map(|n| create("devqa", &rolecall.role(&format!("item{n}")), rolecall.target(1 + n % 2)))
        .collect();
    let answer = client.post("/api/v2/jobs/batch", &json!({ "items": jobs })).await.expect(202);
    assert_eq!((answer.at("accepted"), answer.at("refused")), (&json!(1000), &json!(0)));
    let tickets: Vec<_> =
        answer.list("items").iter().map(|item| item["ticket"].as_str().unwrap().to_owned()).collect();
    let ended = wait_all(client, &tickets).await;
    assert_eq!(count(&ended, "created"), 1000);

    // Each got its own ticket, each host its half, in the order of the items.
    let settled = audited(client, "ticket.succeeded").await;
    for number in [1, 2] {
        let target = rolecall.target(number);
        let of_host = |ticket: &&String| {
            let at = tickets.iter().position(|t| t == *ticket).unwrap();
            1 + at % 2 == number
        };
        let item = |ticket| tickets.iter().position(|t| t == ticket).unwrap();
        let done: Vec<_> = settled.iter().filter(of_host).map(item).collect();
        let submitted: Vec<_> = (number - 1..1000).step_by(2).collect();
        assert_eq!(done, submitted, "host {number} keeps the order of the items");
        for n in [number - 1, 498 + number - 1, 998 + number - 1] {
            let role = jobs[n]["username"].as_str().unwrap();
            assert!(target.accepts(role, &take(client, &tickets[n]).await).await, "{role}");
        }
    }
}

#[tokio::test]
async fn jobs_of_a_host_are_done_in_the_order_of_submission() {
    let rolecall = Running::start("order").await;
    let client = &rolecall.client;
    let mut submitted = [Vec::new(), Vec::new()];
    let mut paths = Vec::new();
    for n in 0..20 {
        let target = rolecall.target(1 + n % 2);
        let (role, schema) = (rolecall.role(&format!("order{n}")), format!("schema{n}"));
        for job in [
            create("devqa", &role, target),
            reset(&role, target),
            set_search_path(&role, &[&schema, "public"], target),
        ] {
            submitted[n % 2].push(client.submit(&job).await.expect(202).id());
        }
        paths.push((role, target, schema));
    }
    for tickets in &submitted {
        let ended = wait_all(client, tickets).await;
        for (n, ended) in ended.into_iter().enumerate() {
            ended.expect_outcome(["created", "password_reset", "search_path_set"][n % 3]);
        }
    }
    let settled = audited(client, "ticket.succeeded").await;
    for tickets in &submitted {
        let done: Vec<_> = settled.iter().filter(|ticket| tickets.contains(ticket)).collect();
        assert_eq!(done, tickets.iter().collect::<Vec<_>>());
    }
    for (n, (role, target, schema)) in paths.iter().enumerate() {
        let [created, reset] = [0, 1].map(|step| &submitted[n % 2][n / 2 * 3 + step]);
        assert!(!target.accepts(role, &take(client, created).await).await, "{role}: reset afterwards");
        let password = take(client, reset).await;
        let session = target.login(role, &password, &target.database).await.unwrap();
        let path: String = session.query_one("SHOW search_path", &[]).await.unwrap().get(0);
        assert_eq!(path, format!("{schema}, public"));
    }
}

#[tokio::test]
async fn a_worker_that_is_killed_again_and_again_loses_no_job() {
    // Small batches, so that the work lasts longer than it takes to see that it goes on.
    let mut rolecall = Installation::builder("killed").set("worker.batch", "2").start().await;
    let target = rolecall.target(1).clone();
    let roles: Vec<_> = (0..200).map(|n| rolecall.role(&format!("k{n}"))).collect();
    let jobs: Vec<_> = roles.iter().map(|role| create("devqa", role, &target)).collect();
    let tickets = submit_at_once(&rolecall.client, &jobs).await;
    let mut made = 0;
    for _ in 0..3 {
        // In the middle of the work: more is done than before, and not all.
        let count = "SELECT count(*)::text FROM pg_roles WHERE rolname LIKE 'k%' || $1";
        made = eventually("some more roles", SOON, async || {
            let now: usize = target.text(count, &[&rolecall.id]).await?.parse().ok()?;
            (now > made).then_some(now)
        })
        .await;
        rolecall.worker.kill();
        // Not waited for: by the time it says that it is ready it may have done everything.
        rolecall.worker = rolecall.spawn(Role::Worker);
    }
    let ended = wait_all(&rolecall.client, &tickets).await;
    assert_eq!(count(&ended, "created"), 200);
    let audited = audited(&rolecall.client, "ticket.succeeded").await;
    assert_eq!(audited.len(), 200, "one row for each job");
    for (role, ticket) in roles.iter().zip(&tickets) {
        assert!(target.accepts(role, &take(&rolecall.client, ticket).await).await, "{role}");
    }
}

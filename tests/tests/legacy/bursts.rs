//! Many calls at once, with the settings that everybody has: no 5xx, none refused, and every password that is answered
//! works.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use rolecall_tests::process::Role;
use rolecall_tests::{Client, Running, Target};

use crate::scene::{audited, call, password};

/// How many answers have each status word, and the passwords among them.
async fn at_once(
    clients: &[&Client],
    name: &str,
    role: &str,
    target: &Target,
    count: usize,
) -> (BTreeMap<String, usize>, Vec<String>) {
    let calls = (0..count).map(|n| call(clients[n % clients.len()], name, role, target));
    let (mut words, mut passwords) = (BTreeMap::new(), Vec::new());
    for answer in join_all(calls).await {
        let body = answer.expect(200);
        *words.entry(body["status"].as_str().unwrap().to_owned()).or_default() += 1;
        passwords.extend(body["password"].as_str().map(str::to_owned));
    }
    (words, passwords)
}

#[tokio::test]
async fn of_five_hundred_equal_creates_one_gets_the_password() {
    let rolecall = Running::start("legacy-equal").await;
    let target = rolecall.target(1);
    let role = rolecall.role("twin");
    let (words, passwords) = at_once(&[&rolecall.client], "devqa", &role, target, 500).await;
    assert_eq!((words["user created"], words["user already exists"]), (1, 499));
    assert_eq!(passwords.len(), 1);
    assert!(target.accepts(&role, &passwords[0]).await);
    assert_eq!(audited(&rolecall.client, "secret.taken").await, 1);
}

#[tokio::test]
async fn who_looks_stands_in_line() {
    let rolecall =
        rolecall_tests::Installation::builder("legacy-looks").set("api.target_reads", "2").start().await;
    let target = rolecall.target(1);
    let role = rolecall.role("ada");
    password(&rolecall.client, "devqa", &role, target).await;
    let finds = join_all((0..100).map(|_| call(&rolecall.client, "find", &role, target))).await;
    assert!(finds.iter().all(|found| found.expect(200)["found"] == true));
    let lists = join_all((0..20).map(|_| call(&rolecall.client, "all", "", target))).await;
    assert!(lists.iter().all(|list| list.expect(200)["users"].is_array()));
}

#[tokio::test]
async fn equal_creates_meet_over_all_processes() {
    let rolecall = Running::start("legacy-two").await;
    let target = rolecall.target(1);
    let other = rolecall.start(Role::Api).await;
    let clients = [&rolecall.client, &rolecall.client.at(&other.url())];
    let role = rolecall.role("twin");
    let (words, passwords) = at_once(&clients, "devqa", &role, target, 200).await;
    assert_eq!((words["user created"], words["user already exists"]), (1, 199));
    assert!(target.accepts(&role, &passwords[0]).await);
}

#[tokio::test]
async fn a_burst_of_an_account_proves_who_it_is_once() {
    let rolecall = Running::start("legacy-account").await;
    let target = rolecall.target(1);
    let rights = ["--access", "submit:*/*:*", "--access", "reveal:*/*:*"];
    let ci = rolecall.client.as_account("ci", &rolecall.make_account("ci", &rights));
    let role = rolecall.role("twin");
    let (words, passwords) = at_once(&[&ci], "devqa", &role, target, 500).await;
    assert_eq!((words["user created"], words["user already exists"]), (1, 499));
    assert!(target.accepts(&role, &passwords[0]).await);
}

#[tokio::test]
async fn five_hundred_distinct_creates_all_get_one_that_works() {
    let rolecall = Running::start("legacy-distinct").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let roles: Vec<_> = (0..500).map(|n| rolecall.role(&format!("d{n}"))).collect();
    let made = join_all(roles.iter().map(|role| password(client, "devqa", role, target))).await;
    let logins = stream::iter(roles.iter().zip(&made)).map(async |(role, password)| {
        assert!(target.accepts(role, password).await, "{role}");
    });
    logins.buffer_unordered(16).collect::<Vec<_>>().await;
    assert_eq!(made.len(), 500);
}

#[tokio::test]
async fn equal_resets_are_each_one_of_its_own_and_the_last_counts() {
    let rolecall = Running::start("legacy-resets").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let role = rolecall.role("ada");
    let first = password(client, "devqa", &role, target).await;
    let (words, mut passwords) = at_once(&[client], "reset", &role, target, 20).await;
    assert_eq!(words, BTreeMap::from([("password reset".to_owned(), 20)]));
    passwords.sort_unstable();
    passwords.dedup();
    assert_eq!(passwords.len(), 20);
    let mut working = 0;
    for password in &passwords {
        working += usize::from(target.accepts(&role, password).await);
    }
    assert_eq!(working, 1);
    assert!(!target.accepts(&role, &first).await);
    assert_eq!(audited(client, "secret.taken").await, 21);
}

//! Accounts, API tokens, sessions, and hearing of their changes.

use std::time::Duration;

use rolecall_shared::control::{
    Account, AccountChange, AccountEnd, ApiToken, Control, EventFilter, MAX_TOKENS, NewAccount,
};
use rolecall_shared::domain::{AccountKind, Code, Event, EventName, Grants, Pattern};
use rolecall_tests::control::ControlDatabase;
use rolecall_tests::stack::Stack;
use uuid::Uuid;

use crate::{actor, at};

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";
const SOON: Duration = Duration::from_secs(10);

pub(super) fn new(name: &str, kind: AccountKind) -> NewAccount {
    NewAccount {
        name: name.into(),
        password_hash: Some(HASH.into()),
        kind,
        grants: Grants { access: vec![pattern("submit:dev/app:app")], deny: Vec::new() },
        expires_at: None,
    }
}

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap()
}

async fn add(control: &Control, name: &str, kind: AccountKind) -> Account {
    control.add_account(&new(name, kind), &actor("root"), at(1)).await.unwrap();
    control.find_account(name).await.unwrap().unwrap()
}

async fn events(control: &Control) -> Vec<Event> {
    let recorded = control.list_events(&EventFilter::default(), None, 100).await.unwrap();
    recorded.into_iter().map(|recorded| recorded.event).collect()
}

#[tokio::test]
async fn an_account_is_added_once_with_its_audit_row() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    assert!(!control.has_accounts().await.unwrap());
    assert_eq!(control.find_account("ci").await.unwrap(), None);
    let account = add(&control, "ci", AccountKind::Basic).await;
    let again = control.add_account(&new("ci", AccountKind::Basic), &actor("mallory"), at(2)).await;
    assert_eq!(again.unwrap_err().code(), Code::AccountExists);
    let unix = NewAccount { password_hash: None, ..new("ci", AccountKind::Admin) };
    let again = control.add_account(&unix, &actor("mallory"), at(2)).await;
    assert_eq!(again.unwrap_err().code(), Code::AccountExists, "one name is one account");

    assert!(control.has_accounts().await.unwrap());
    assert_eq!((account.password_hash.as_deref(), account.created_at), (Some(HASH), at(1)));
    assert!(account.is_open(at(1)) && account.last_login_at.is_none());
    assert!(!format!("{account:?}").contains("argon2id"));
    assert_eq!(control.find_account("CI").await.unwrap(), None, "compared byte by byte");
    let events = events(&control).await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].name, &events[0].actor), (EventName::AccountAdded, &actor("root")));
    assert!(!format!("{events:?}").contains("argon2id"));
}

#[tokio::test]
async fn an_account_is_closed_by_its_end_and_by_being_disabled() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    add(&control, "ci", AccountKind::Basic).await;
    let change = async |change: AccountChange| {
        control.change_account("ci", &change, &actor("root"), at(5)).await.unwrap()
    };
    let ending =
        change(AccountChange { end: Some(AccountEnd::At(at(10))), ..AccountChange::default() }).await;
    assert!(ending.is_open(at(9)) && !ending.is_open(at(10)));
    let disabled = change(AccountChange { disabled: Some(true), ..AccountChange::default() }).await;
    assert!(!disabled.is_open(at(6)) && disabled.expires_at == Some(at(10)), "what is not named stays");
    let again = change(AccountChange {
        disabled: Some(false),
        end: Some(AccountEnd::Never),
        ..AccountChange::default()
    });
    assert!(again.await.is_open(at(100)));
    control.account_was_here("ci", at(50)).await.unwrap();
    control.account_was_here("ci", at(40)).await.unwrap();
    assert_eq!(control.find_account("ci").await.unwrap().unwrap().last_login_at, Some(at(50)));
}

#[tokio::test]
async fn a_change_says_in_the_audit_what_it_was() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let before = add(&control, "ci", AccountKind::Basic).await;
    let access = Some(vec![pattern("*:dev/*:*")]);
    let widened = AccountChange { access, ..AccountChange::default() };
    let now = control.change_account("ci", &widened, &actor("root"), at(2)).await.unwrap();
    let stored = control.find_account("ci").await.unwrap().unwrap();
    assert_eq!((&stored, stored.generation), (&now, before.generation), "its sessions go on");
    let new_password = AccountChange { password_hash: Some(format!("{HASH}x")), ..AccountChange::default() };
    control.change_account("ci", &new_password, &actor("root"), at(3)).await.unwrap();
    let stored = control.find_account("ci").await.unwrap().unwrap();
    assert_ne!(stored.generation, before.generation, "its sessions end");

    let events = events(&control).await;
    assert_eq!(events[1].detail["changed"]["access"]["to"][0], "*:dev/*:*");
    assert_eq!(events[0].detail["password_changed"], true);
    assert!(!format!("{events:?}").contains("argon2id"));
    let missing = control.change_account("qa", &widened, &actor("root"), at(3)).await;
    assert_eq!(missing.unwrap_err().code(), Code::AccountNotFound);
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    add(&control, "ada", AccountKind::Admin).await;
    add(&control, "ci", AccountKind::Basic).await;
    let changes = || {
        [
            AccountChange { kind: Some(AccountKind::Basic), ..AccountChange::default() },
            AccountChange { disabled: Some(true), ..AccountChange::default() },
            AccountChange { end: Some(AccountEnd::At(at(3))), ..AccountChange::default() },
        ]
    };
    for change in changes() {
        let refused = control.change_account("ada", &change, &actor("root"), at(5)).await;
        assert_eq!(refused.unwrap_err().code(), Code::LastAdmin);
    }
    let removed = control.remove_account(None, "ada", &actor("root"), at(5)).await;
    assert_eq!(removed.unwrap_err().code(), Code::LastAdmin);
    assert!(control.find_account("ada").await.unwrap().unwrap().is_open(at(5)), "nothing was changed");

    // Two at once, each of whom sees the other one: one of them stays.
    add(&control, "bob", AccountKind::Admin).await;
    let root = actor("root");
    let (ada, bob) = tokio::join!(
        control.remove_account(None, "ada", &root, at(6)),
        control.remove_account(None, "bob", &root, at(6)),
    );
    assert!(ada.is_ok() != bob.is_ok(), "{ada:?} {bob:?}");
    control.remove_account(None, "ci", &actor("root"), at(7)).await.unwrap();
}

fn token(account: &str, name: &str) -> ApiToken {
    ApiToken {
        id: Uuid::now_v7(),
        account: account.into(),
        name: name.into(),
        scope: Some(vec![pattern("submit:dev/app:app")]),
        created_at: at(1),
        expires_at: Some(at(100)),
        last_used_at: None,
        revoked_at: None,
    }
}

#[tokio::test]
async fn a_token_is_found_by_its_hash_until_it_is_revoked() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    add(&control, "ci", AccountKind::Basic).await;
    let (one, hash) = (token("ci", "deploy"), [7_u8; 32]);
    control.add_api_token(&one, &hash, &actor("ci")).await.unwrap();
    assert_eq!(control.use_api_token(&[8; 32], at(2)).await.unwrap(), None);
    let (found, account) = control.use_api_token(&hash, at(2)).await.unwrap().unwrap();
    assert_eq!((&found, account.name.as_str()), (&one, "ci"));
    assert!(found.is_open(at(99)) && !found.is_open(at(100)));
    let listed = control.list_api_tokens(Some("ci"), None, 10).await.unwrap();
    assert_eq!(listed, [ApiToken { last_used_at: Some(at(2)), ..one.clone() }]);

    let others = control.revoke_api_token(one.id, Some("qa"), &actor("qa"), at(3)).await;
    assert_eq!(others.unwrap_err().code(), Code::TokenNotFound);
    for _ in 0..2 {
        let revoked = control.revoke_api_token(one.id, Some("ci"), &actor("ci"), at(3)).await.unwrap();
        assert_eq!(revoked.revoked_at, Some(at(3)));
    }
    assert!(!control.use_api_token(&hash, at(4)).await.unwrap().unwrap().0.is_open(at(4)));
    let names: Vec<_> = events(&control).await.iter().map(|event| event.name).collect();
    assert_eq!(names, [EventName::TokenRevoked, EventName::TokenAdded, EventName::AccountAdded]);

    control.remove_account(None, "ci", &actor("root"), at(5)).await.unwrap();
    assert_eq!(control.use_api_token(&hash, at(6)).await.unwrap(), None, "it went with its account");
}

#[tokio::test]
async fn an_account_has_so_many_tokens_and_no_more() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    add(&control, "ci", AccountKind::Basic).await;
    let hash = |n: i64| -> Vec<u8> { n.to_be_bytes().repeat(4) };
    let mut last = None;
    for n in 0..MAX_TOKENS {
        let token = token("ci", "deploy");
        control.add_api_token(&token, &hash(n), &actor("ci")).await.unwrap();
        last = Some(token.id);
    }
    let more = control.add_api_token(&token("ci", "more"), &hash(-1), &actor("ci")).await;
    assert_eq!(more.unwrap_err().code(), Code::TooManyTokens);
    control.revoke_api_token(last.unwrap(), None, &actor("ci"), at(3)).await.unwrap();
    control.add_api_token(&token("ci", "more"), &hash(-1), &actor("ci")).await.unwrap();
    let nobody = control.add_api_token(&token("qa", "x"), &hash(-2), &actor("qa")).await;
    assert_eq!(nobody.unwrap_err().code(), Code::AccountNotFound);
}

#[tokio::test]
async fn an_identity_token_opens_one_session_and_a_session_ends_once() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let opened = Event::new(EventName::SessionOpened, at(1), actor("ci"));
    control.open_session_once(("github", "jti-1", at(60)), &opened).await.unwrap();
    let again = control.open_session_once(("github", "jti-1", at(60)), &opened).await;
    assert_eq!(again.unwrap_err().code(), Code::IdentityTokenUsed);
    control.open_session_once(("gitlab", "jti-1", at(60)), &opened).await.unwrap();
    // What is over is forgotten: it would not be taken any more.
    let later = Event::new(EventName::SessionOpened, at(61), actor("ci"));
    control.open_session_once(("github", "jti-1", at(120)), &later).await.unwrap();

    let id = Uuid::new_v4();
    assert!(!control.is_session_revoked(id).await.unwrap());
    for _ in 0..2 {
        control.revoke_session(id, at(90), &actor("ci"), at(70)).await.unwrap();
    }
    assert!(control.is_session_revoked(id).await.unwrap());
    let names: Vec<_> = events(&control).await.iter().map(|event| event.name).collect();
    assert_eq!(names.iter().filter(|name| **name == EventName::SessionRevoked).count(), 1);
    assert_eq!(names.iter().filter(|name| **name == EventName::SessionOpened).count(), 3);
}

#[tokio::test]
async fn changes_are_heard_of() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let mut heard = control.caller_changes().await.unwrap();
    add(&control, "ci", AccountKind::Basic).await;
    let token = token("ci", "deploy");
    control.add_api_token(&token, &[7; 32], &actor("ci")).await.unwrap();

    let next = async |heard: &mut rolecall_shared::control::Notices| {
        tokio::time::timeout(SOON, heard.next()).await.expect("it is told").unwrap();
    };
    let change = AccountChange { disabled: Some(true), ..AccountChange::default() };
    control.change_account("ci", &change, &actor("root"), at(3)).await.unwrap();
    next(&mut heard).await;
    control.revoke_api_token(token.id, None, &actor("root"), at(3)).await.unwrap();
    next(&mut heard).await;
    control.revoke_session(Uuid::new_v4(), at(90), &actor("ci"), at(4)).await.unwrap();
    next(&mut heard).await;

    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()";
    database.superuser().await.batch_execute(end).await.unwrap();
    let ended = tokio::time::timeout(SOON, heard.next()).await.expect("it is told");
    assert_eq!(ended.unwrap_err().code(), Code::ControlDatabaseUnavailable);
}

//! Accounts.

use rolecall_shared::control::EventFilter;
use rolecall_shared::domain::{Code, EventName};
use rolecall_tests::control::ControlDatabase;
use rolecall_tests::stack::Stack;

use crate::{actor, at};

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";

#[tokio::test]
async fn an_account_is_added_once_with_its_audit_row() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    assert!(!control.has_accounts().await.unwrap());
    assert_eq!(control.find_account("ci").await.unwrap(), None);
    control.add_account("ci", HASH, &actor("root"), at(1)).await.unwrap();
    let taken = control.add_account("ci", HASH, &actor("mallory"), at(2)).await.unwrap_err();
    assert_eq!(taken.code(), Code::AccountExists);

    assert!(control.has_accounts().await.unwrap());
    let account = control.find_account("ci").await.unwrap().unwrap();
    assert_eq!((account.password_hash.as_str(), account.disabled, account.created_at), (HASH, false, at(1)));
    assert!(!format!("{account:?}").contains("argon2id"));
    assert_eq!(control.find_account("CI").await.unwrap(), None, "compared byte by byte");
    let events = control.list_events(&EventFilter::default(), None, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].event.name, &events[0].event.actor), (EventName::AccountAdded, &actor("root")));
    assert!(!format!("{events:?}").contains("argon2id"));

    let superuser = database.superuser().await;
    for change in ["disabled_at = now()", "disabled_at = NULL, expires_at = now()"] {
        superuser.batch_execute(&format!("UPDATE accounts SET {change}")).await.unwrap();
        assert!(control.find_account("ci").await.unwrap().unwrap().disabled, "{change}");
    }
    superuser.batch_execute("UPDATE accounts SET expires_at = now() + interval '1 hour'").await.unwrap();
    assert!(!control.find_account("ci").await.unwrap().unwrap().disabled);
}

//! Targets and hosts.

use std::time::Duration;

use rolecall_shared::control::{Control, EventFilter, NewTarget, Put, Switch};
use rolecall_shared::domain::{
    Code, DatabaseName, Event, EventName, Login, LoginPassword, SslMode, Target, TargetKey,
};
use rolecall_tests::control::ControlDatabase;
use rolecall_tests::stack::Stack;
use serde_json::json;
use tokio_postgres::{AsyncMessage, NoTls};

use crate::{actor, at, host, key, until_lock_waits};

fn new_target(key: &TargetKey) -> NewTarget {
    NewTarget {
        key: key.clone(),
        host: host("db1:5432"),
        login: Login::Own { user: "dba".into(), password: LoginPassword::Sealed(b"sealed-bytes".to_vec()) },
        sslmode: SslMode::VerifyFull,
        ca_file: Some("/etc/ca.pem".into()),
        lock_database: DatabaseName::parse("postgres").unwrap(),
        active: true,
        notes: "the first; 'quoted'".into(),
    }
}

async fn put(control: &Control, target: &NewTarget, seconds: i64) -> Target {
    match control.put_target(target, None, &actor("ops"), at(seconds)).await.unwrap() {
        Put::Added(now) | Put::Changed { now, .. } | Put::Unchanged(now) => now,
    }
}

async fn events(control: &Control) -> Vec<Event> {
    let events = control.list_events(&EventFilter::default(), None, 1000).await.unwrap();
    events.into_iter().rev().map(|recorded| recorded.event).collect()
}

#[tokio::test]
async fn a_target_comes_changes_and_goes_with_its_audit() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let dev = key("dev", "app");
    let first = new_target(&dev);
    let Put::Added(added) = control.put_target(&first, Some(0), &actor("ops"), at(1)).await.unwrap() else {
        panic!("not added");
    };
    assert_eq!((added.revision, added.created_at, added.updated_at), (1, at(1), at(1)));
    assert_eq!(control.find_target(&dev).await.unwrap().as_ref(), Some(&added));
    let again = control.put_target(&first, Some(1), &actor("ops"), at(2)).await.unwrap();
    assert_eq!(again, Put::Unchanged(added.clone()));

    let second = NewTarget {
        login: Login::Own { user: "dba".into(), password: LoginPassword::Sealed(b"other-bytes".to_vec()) },
        notes: "changed".into(),
        ..first.clone()
    };
    let changed = control.put_target(&second, Some(1), &actor("eve"), at(3)).await.unwrap();
    let Put::Changed { before, now } = changed else { panic!("not changed") };
    assert_eq!(before, added);
    assert_eq!((now.revision, now.created_at, now.updated_at), (2, at(1), at(3)));
    assert_eq!(control.find_target(&dev).await.unwrap().as_ref(), Some(&now));

    assert_eq!(control.remove_target(&dev, Some(2), &actor("ops"), at(4)).await.unwrap(), Some(now));
    assert_eq!(control.remove_target(&dev, Some(2), &actor("ops"), at(5)).await.unwrap(), None);
    assert_eq!(control.find_target(&dev).await.unwrap(), None);

    let events = events(&control).await;
    let names: Vec<_> = events.iter().map(|event| event.name).collect();
    assert_eq!(names, [EventName::TargetAdded, EventName::TargetChanged, EventName::TargetRemoved]);
    assert!(events.iter().all(|event| event.target.as_ref() == Some(&dev) && event.host.is_some()));
    assert_eq!(
        events[1].detail,
        json!({
            "before": { "notes": "the first; 'quoted'", "login_password": "sealed" },
            "after": { "notes": "changed", "login_password": "sealed" },
        })
    );
    assert_eq!(
        (&events[1].actor, &events[0].detail["after"]["sslmode"]),
        (&actor("eve"), &json!("verify-full"))
    );
    assert_eq!(events[2].detail["before"]["host"], json!("db1:5432"));
    // Neither as text nor as the numbers or the hexadecimal digits of the bytes.
    let text = format!("{events:?}");
    assert!(!text.contains("-bytes") && !text.contains("115, 101") && !text.contains("7365616c65"), "{text}");
}

#[tokio::test]
async fn every_log_in_reads_back() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let own = |password| Login::Own { user: "o'dba".into(), password };
    for (n, login) in [
        Login::Default,
        own(LoginPassword::Sealed(vec![0, 255, 1])),
        own(LoginPassword::Env("DBA_PASSWORD".into())),
        own(LoginPassword::File("/run/secrets/a:b".into())),
        Login::Default,
    ]
    .into_iter()
    .enumerate()
    {
        let target = NewTarget { login: login.clone(), ca_file: None, ..new_target(&key("dev", "app")) };
        let written = put(&control, &target, i64::try_from(n).unwrap()).await;
        assert_eq!(written.login, login);
        assert_eq!(control.find_target(&target.key).await.unwrap(), Some(written));
    }
}

#[tokio::test]
async fn a_revision_that_moved_on_is_refused() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let dev = key("dev", "app");
    let target = new_target(&dev);
    let absent = control.put_target(&target, Some(1), &actor("ops"), at(1)).await.unwrap_err();
    assert_eq!(absent.code(), Code::RevisionMismatch);
    put(&control, &target, 1).await;
    for expected in [0, 2, -1] {
        let changed = NewTarget { active: false, ..target.clone() };
        let failure = control.put_target(&changed, Some(expected), &actor("ops"), at(2)).await.unwrap_err();
        assert_eq!(failure.code(), Code::RevisionMismatch);
        assert_eq!(failure.context(), Some(&json!({ "revision": 1 })));
        let failure = control.remove_target(&dev, Some(expected), &actor("ops"), at(2)).await.unwrap_err();
        assert_eq!(failure.code(), Code::RevisionMismatch);
    }
    assert!(control.find_target(&dev).await.unwrap().unwrap().active);
    assert_eq!(events(&control).await.len(), 1);
}

#[tokio::test]
async fn lists_are_in_order_and_in_pages() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    // Bytes decide, not a language's sorting: "B" < "a" < "a b" < "a_".
    let keys = [
        key("dev", "B"),
        key("dev", "a"),
        key("dev", "a b"),
        key("dev", "a_"),
        key("dev-2", "a"),
        key("e", "é"),
    ];
    for key in keys.iter().rev() {
        put(&control, &new_target(key), 1).await;
    }
    let all = control.list_targets(None, 100).await.unwrap();
    assert_eq!(all.iter().map(|target| &target.key).collect::<Vec<_>>(), keys.iter().collect::<Vec<_>>());
    assert!(all.is_sorted_by_key(|target| target.key.clone()), "the program sorts them the same way");
    let page = control.list_targets(Some(&keys[2]), 2).await.unwrap();
    assert_eq!(page, all[3..5]);
    assert_eq!(control.targets_of_host(&host("db1:5432")).await.unwrap(), all);
    assert!(control.targets_of_host(&host("db1:5433")).await.unwrap().is_empty());

    // Pairs, not any environment with any database.
    let wanted = [keys[1].clone(), keys[4].clone(), key("dev", "é"), key("e", "a")];
    let found = control.find_targets(&wanted).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), [&keys[1], &keys[4]]);
    assert_eq!(found[&keys[1]], all[1]);
}

#[tokio::test]
async fn the_targets_of_a_host_agree_on_its_settings() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let locks_in = |key: &TargetKey, database: &str| NewTarget {
        lock_database: DatabaseName::parse(database).unwrap(),
        ..new_target(key)
    };
    let (one, two) = (key("dev", "one"), key("dev", "two"));
    put(&control, &locks_in(&one, "postgres"), 1).await;
    // The only target may change it.
    assert_eq!(put(&control, &locks_in(&one, "maintenance"), 2).await.lock_database.as_str(), "maintenance");
    for target in [locks_in(&two, "postgres"), locks_in(&two, "template1")] {
        let failure = control.put_target(&target, None, &actor("ops"), at(3)).await.unwrap_err();
        assert_eq!(failure.code(), Code::HostSettingsConflict);
        assert_eq!(failure.context().unwrap()["lock_database"], json!("maintenance"));
    }
    assert_eq!(control.find_target(&two).await.unwrap(), None);
    put(&control, &locks_in(&two, "maintenance"), 4).await;
    let failure =
        control.put_target(&locks_in(&one, "postgres"), None, &actor("ops"), at(5)).await.unwrap_err();
    assert_eq!(failure.code(), Code::HostSettingsConflict);

    // Another port is another host.
    let elsewhere = NewTarget { host: host("db1:5433"), ..locks_in(&two, "postgres") };
    put(&control, &elsewhere, 6).await;
    put(&control, &locks_in(&one, "postgres"), 7).await;
}

#[tokio::test]
async fn a_host_comes_with_its_first_target_and_goes_with_its_last() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let (one, two) = (key("dev", "one"), key("dev", "two"));
    let on = |key: &TargetKey, at: &str| NewTarget { host: host(at), ..new_target(key) };
    let hosts = async || {
        let hosts = control.list_hosts().await.unwrap();
        hosts.into_iter().map(|host| (host.key.to_string(), host.targets)).collect::<Vec<_>>()
    };
    assert_eq!(hosts().await, []);
    put(&control, &on(&two, "b:1"), 1).await;
    put(&control, &on(&one, "b:1"), 2).await;
    assert_eq!(hosts().await, [("b:1".into(), vec![one.clone(), two.clone()])]);
    put(&control, &on(&one, "a:1"), 3).await;
    assert_eq!(hosts().await, [("a:1".into(), vec![one.clone()]), ("b:1".into(), vec![two.clone()])]);
    put(&control, &on(&two, "a:1"), 4).await;
    assert_eq!(hosts().await, [("a:1".into(), vec![one.clone(), two.clone()])]);
    assert_eq!(control.find_host(&host("b:1")).await.unwrap(), None);
    control.remove_target(&one, None, &actor("ops"), at(5)).await.unwrap();
    control.remove_target(&two, None, &actor("ops"), at(6)).await.unwrap();
    assert_eq!(hosts().await, []);
}

#[tokio::test]
async fn a_pause_is_idempotent_and_audited() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let (dev, db1) = (key("dev", "app"), host("db1:5432"));
    assert_eq!(control.pause_host(&db1, "r", &actor("ops"), at(1)).await.unwrap(), None);
    assert_eq!(control.resume_host(&db1, &actor("ops"), at(1)).await.unwrap(), None);
    put(&control, &new_target(&dev), 1).await;
    let running = control.resume_host(&db1, &actor("ops"), at(2)).await.unwrap().unwrap();
    assert_eq!((running.paused, running.targets), (None, vec![dev.clone()]));

    let paused = control.pause_host(&db1, "disk full", &actor("ops"), at(3)).await.unwrap().unwrap();
    let pause = paused.paused.clone().unwrap();
    assert_eq!((pause.by.as_str(), pause.at, pause.reason.as_str()), ("ops", at(3), "disk full"));
    let again = control.pause_host(&db1, "other", &actor("eve"), at(4)).await.unwrap().unwrap();
    assert_eq!(again, paused);
    assert_eq!(control.find_host(&db1).await.unwrap(), Some(paused));
    // A change of a target does not end the pause of its host.
    put(&control, &NewTarget { active: false, ..new_target(&dev) }, 5).await;
    assert!(control.find_host(&db1).await.unwrap().unwrap().paused.is_some());
    let resumed = control.resume_host(&db1, &actor("eve"), at(6)).await.unwrap().unwrap();
    assert_eq!(resumed.paused, None);
    assert_eq!(control.find_host(&db1).await.unwrap(), Some(resumed));

    let events = events(&control).await;
    let told: Vec<_> = events
        .iter()
        .filter(|event| event.target.is_none())
        .map(|event| {
            (event.name, event.actor.account.as_str(), event.at, event.host.clone(), event.detail.clone())
        })
        .collect();
    let detail = json!({ "reason": "disk full", "targets": ["dev/app"] });
    let ended = json!({ "reason": "disk full", "targets": ["dev/app"], "ended": ["pause"] });
    assert_eq!(
        told,
        [
            (EventName::HostPaused, "ops", at(3), Some(db1.clone()), detail.clone()),
            (EventName::HostResumed, "eve", at(6), Some(db1), ended),
        ]
    );
}

/// All hosts at once: those that are as asked keep who came first, and leave no row.
#[tokio::test]
async fn all_hosts_are_switched_in_one_step() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    for (name, hostname) in [("one", "db1:5432"), ("two", "db2:5432")] {
        let target = NewTarget { host: host(hostname), ..new_target(&key("dev", name)) };
        put(&control, &target, 1).await;
    }
    let db1 = host("db1:5432");
    control.switch_host(&db1, Switch::Drain("first"), &actor("ops"), at(2)).await.unwrap().unwrap();
    let hosts = control.switch_all_hosts(Switch::Drain("all"), &actor("eve"), at(3)).await.unwrap();
    let reasons: Vec<_> = hosts.iter().map(|host| host.draining.as_ref().unwrap().reason.as_str()).collect();
    assert_eq!(reasons, ["first", "all"]);
    assert_eq!(control.list_hosts().await.unwrap(), hosts);
    let resumed = control.switch_all_hosts(Switch::Resume, &actor("eve"), at(4)).await.unwrap();
    assert!(resumed.iter().all(|host| host.draining.is_none() && host.paused.is_none()));
    assert_eq!(control.switch_all_hosts(Switch::Resume, &actor("eve"), at(5)).await.unwrap(), resumed);
    let told: Vec<_> = events(&control)
        .await
        .iter()
        .filter(|event| event.target.is_none())
        .map(|event| (event.name, event.at, event.host.as_ref().unwrap().hostname().to_owned()))
        .collect();
    let (draining, resumed) = (EventName::HostDraining, EventName::HostResumed);
    let expected = [(draining, 2, "db1"), (draining, 3, "db2"), (resumed, 4, "db1"), (resumed, 4, "db2")];
    assert_eq!(told, expected.map(|(name, second, host)| (name, at(second), host.to_owned())));

    // By hand too it is a whole one or none.
    let superuser = database.superuser().await;
    let half = superuser.batch_execute("UPDATE hosts SET draining_by = 'somebody'").await.unwrap_err();
    assert_eq!(half.as_db_error().unwrap().constraint(), Some("hosts_drain_whole"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_comes_while_the_last_one_goes_finds_its_host() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let (leaving, coming) = (new_target(&key("dev", "leaving")), new_target(&key("dev", "coming")));
    put(&control, &leaving, 1).await;
    let (mut holder, watcher) = (database.superuser().await, database.superuser().await);
    // Stops the removal right before it deletes the host's row.
    let hold = holder.transaction().await.unwrap();
    hold.batch_execute("SELECT FROM hosts FOR KEY SHARE").await.unwrap();
    let ops = actor("ops");
    let remove = control.remove_target(&leaving.key, None, &ops, at(2));
    let (removed, ()) = tokio::join!(remove, async {
        until_lock_waits(&watcher, 1).await;
        let mut add = std::pin::pin!(control.put_target(&coming, None, &ops, at(3)));
        tokio::select! {
            added = &mut add => panic!("got past a removal that is not finished: {added:?}"),
            () = until_lock_waits(&watcher, 2) => {}
        }
        hold.rollback().await.unwrap();
        assert!(matches!(add.await.unwrap(), Put::Added(_)));
    });
    assert!(removed.unwrap().is_some());
    assert_eq!(control.find_host(&coming.host).await.unwrap().unwrap().targets, [coming.key]);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_once_neither_block_each_other_nor_leave_a_host_behind() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let calls = (0..24).map(|n| {
        let control = control.clone();
        async move {
            let key = key("dev", &format!("db{}", n % 6));
            for round in 0..4 {
                let target = NewTarget { host: host(&format!("h{}:1", (n + round) % 3)), ..new_target(&key) };
                control.put_target(&target, None, &actor("ops"), at(1)).await.unwrap();
                control.pause_host(&target.host, "r", &actor("ops"), at(1)).await.unwrap();
                control.remove_target(&key, None, &actor("ops"), at(1)).await.unwrap();
            }
        }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(control.list_targets(None, 10).await.unwrap(), []);
    assert_eq!(control.list_hosts().await.unwrap(), []);
}

#[tokio::test]
async fn listeners_hear_of_changes() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let (listener, mut connection) = tokio_postgres::connect(&database.writer_url, NoTls).await.unwrap();
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    #[expect(clippy::disallowed_methods, reason = "ends with the runtime of the test")]
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message {
                sender.send(notification.channel().to_owned()).unwrap();
            }
        }
    });
    listener.batch_execute("LISTEN rolecall_registry").await.unwrap();
    let mut next = async || {
        let heard = tokio::time::timeout(Duration::from_secs(10), heard.recv()).await;
        assert_eq!(heard.expect("a notification in time").as_deref(), Some("rolecall_registry"));
    };
    let target = new_target(&key("dev", "app"));
    put(&control, &target, 1).await;
    next().await;
    control.pause_host(&target.host, "r", &actor("ops"), at(2)).await.unwrap();
    next().await;
    control.resume_host(&target.host, &actor("ops"), at(3)).await.unwrap();
    next().await;
    control.remove_target(&target.key, None, &actor("ops"), at(4)).await.unwrap();
    next().await;
}

//! The host lock, and sessions that are kept.

use std::time::Duration;

use rolecall_shared::domain::{HostKey, Target};
use rolecall_shared::target::{IdleSessions, Purpose};

use crate::scene::{Scene, until};

#[tokio::test]
async fn one_session_holds_the_lock_and_the_others_see_who() {
    let scene = Scene::new().await;
    let database = scene.own_database().await;
    let one = scene.open(database.as_str(), Purpose::Lane).await;
    // The same server under another name.
    let target = scene.target();
    let alias = Target { host: HostKey::new("localhost", target.host.port()).unwrap(), ..target };
    let two = scene.connector.open(&alias, &database, Purpose::Lane).await.unwrap();

    assert_eq!(two.host_lock_holder().await.unwrap(), None);
    assert!(one.try_host_lock().await.unwrap());
    assert!(!two.try_host_lock().await.unwrap());
    let holder = two.host_lock_holder().await.unwrap().unwrap();
    assert!(holder.to_string().starts_with("role_create (rolecall) pid "), "{holder}");
    assert!(holder.is_a_lane());

    one.unlock_all().await.unwrap();
    assert!(two.try_host_lock().await.unwrap());
    assert!(!one.try_host_lock().await.unwrap());
}

#[tokio::test]
async fn the_lock_is_free_when_its_session_ends_in_whatever_way() {
    let scene = Scene::new().await;
    let database = scene.own_database().await;
    let next = scene.open(database.as_str(), Purpose::Lane).await;

    let closed = scene.open(database.as_str(), Purpose::Lane).await;
    assert!(closed.try_host_lock().await.unwrap());
    closed.close().await;
    until("a closed session's lock is free", async || next.try_host_lock().await.unwrap()).await;
    next.unlock_all().await.unwrap();

    let dropped = scene.open(database.as_str(), Purpose::Lane).await;
    assert!(dropped.try_host_lock().await.unwrap());
    drop(dropped);
    until("a dropped session's lock is free", async || next.try_host_lock().await.unwrap()).await;
    next.unlock_all().await.unwrap();

    let killed = scene.open(database.as_str(), Purpose::Lane).await;
    assert!(killed.try_host_lock().await.unwrap());
    scene.end_backend_of(&killed).await;
    assert!(next.try_host_lock().await.unwrap());
    until("the end is noticed", async || killed.is_closed()).await;
    assert!(killed.try_host_lock().await.is_err());
}

#[tokio::test]
async fn a_kept_session_is_used_again_unless_it_is_closed_locked_or_opened_otherwise() {
    let scene = Scene::new().await;
    let (database, target) = (scene.own_database().await, scene.target());
    let idle = IdleSessions::new(scene.connector.clone());
    let checkout = async |target: &Target| {
        let session = idle.checkout(target, &database, Purpose::Lane).await.unwrap();
        assert!(session.try_host_lock().await.unwrap());
        let holder = session.host_lock_holder().await.unwrap().unwrap();
        (session, holder)
    };

    let (session, first) = checkout(&target).await;
    session.unlock_all().await.unwrap();
    idle.put_back(session);
    assert_eq!(idle.close_idle(), 1);
    let (session, again) = checkout(&target).await;
    assert_eq!(first, again, "the same backend");

    // It still holds the lock, so it is closed, and the lock is free for a new one.
    idle.put_back(session);
    assert_eq!(idle.close_idle(), 0);
    let probe = scene.open(database.as_str(), Purpose::Lane).await;
    until("the lock is free", async || probe.host_lock_holder().await.unwrap().is_none()).await;

    // Its backend has died since.
    let (session, dead) = checkout(&target).await;
    scene.end_backend_of(&session).await;
    until("the end is noticed", async || session.is_closed()).await;
    idle.put_back(session);
    assert_eq!(idle.close_idle(), 0);
    let (session, alive) = checkout(&target).await;
    assert_ne!(dead, alive);

    // Opened under another name of the host.
    session.unlock_all().await.unwrap();
    idle.put_back(session);
    let alias = Target { host: HostKey::new("localhost", target.host.port()).unwrap(), ..target };
    let (_session, other) = checkout(&alias).await;
    assert_ne!(alive, other);
    assert_eq!(idle.close_idle(), 1);
    idle.clear();
    assert_eq!(idle.close_idle(), 0);
}

#[tokio::test]
async fn an_unused_session_is_closed_after_its_time() {
    let scene = Scene::with(|settings| settings.idle_close = Duration::ZERO).await;
    let idle = IdleSessions::new(scene.connector.clone());
    idle.put_back(scene.open("postgres", Purpose::Lane).await);
    assert_eq!(idle.close_idle(), 0);
}

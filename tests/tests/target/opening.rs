//! Who gets in, who does not, and what is said about it.

use std::time::{Duration, Instant};

use rolecall_shared::config::DefaultLogin;
use rolecall_shared::domain::{Code, HostKey, Login, LoginPassword, Target};
use rolecall_shared::target::{Connector, Purpose, TargetError, Verdict};

use crate::scene::{Scene, create, database, host_cause, login_cause, role, stack, unique};
use crate::wire;

async fn refused(scene: &Scene, target: &Target) -> TargetError {
    match scene.connector.open(target, &target.key.database, Purpose::Lane).await {
        Ok(_) => panic!("the session opened"),
        Err(error) => error,
    }
}

fn with_password(target: &Target, password: LoginPassword) -> Target {
    let user = match &target.login {
        Login::Own { user, .. } => user.clone(),
        Login::Default => panic!("no log-in of its own"),
    };
    Target { login: Login::Own { user, password }, ..target.clone() }
}

#[tokio::test]
async fn a_password_may_be_sealed_in_a_file_or_in_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::with(|settings| {
        settings.password_folders = vec![folder.path().to_owned()];
        "HOME".clone_into(&mut settings.password_variables);
    })
    .await;
    let target = scene.target();
    let session = scene.connector.open(&target, &target.key.database, Purpose::Lane).await.unwrap();
    session.ping().await.unwrap();
    assert_eq!(session.user(), "role_create");
    session.close().await;

    let file = folder.path().join("password");
    for newline in ["", "\n", "\r\n"] {
        std::fs::write(&file, format!("{}{newline}", stack().get("STACK_DBA_PASSWORD"))).unwrap();
        let target = with_password(&target, LoginPassword::File(file.display().to_string()));
        scene.connector.open(&target, &target.key.database, Purpose::Read).await.unwrap();
    }

    // A test must not change its environment, so the role takes its password from it.
    let (name, home) = (unique("env"), std::env::var("HOME").unwrap());
    scene.sql(&format!("CREATE ROLE {name} LOGIN PASSWORD '{home}'")).await;
    let target = with_password(&scene.target_as(&name, ""), LoginPassword::Env("HOME".to_owned()));
    scene.connector.open(&target, &target.key.database, Purpose::Grants).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(5), scene.connector.wait_closed());
    closed.await.expect("all sessions are dropped, so all connections end");
}

#[tokio::test]
async fn a_refused_login_is_named_and_its_password_is_not() {
    let scene = Scene::new().await;
    let error = refused(&scene, &scene.target_as("role_create", "hunter2-hunter2")).await;
    assert_eq!(error.sqlstate.as_deref(), Some("28P01"));
    assert!(login_cause(&error).contains("28P01"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");

    let missing = with_password(&scene.target(), LoginPassword::Env("TARGET_PASSWORD_NO_SUCH".to_owned()));
    assert!(login_cause(&refused(&scene, &missing).await).contains("TARGET_PASSWORD_NO_SUCH is not set"));
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::with(|settings| settings.password_folders = vec![folder.path().to_owned()]).await;
    let path = folder.path().join("none").display().to_string();
    let missing = with_password(&scene.target(), LoginPassword::File(path.clone()));
    let error = refused(&scene, &missing).await;
    assert!(login_cause(&error).contains(&path) && login_cause(&error).contains("No such file"), "{error}");
}

/// What a target was registered with is asked again when it is read: settings change, and so do links.
#[tokio::test]
async fn a_reference_out_of_bounds_is_not_followed() {
    let ground = tempfile::tempdir().unwrap();
    let [inside, outside] = ["targets", "own"].map(|name| ground.path().join(name));
    for folder in [&inside, &outside] {
        std::fs::create_dir(folder).unwrap();
        // The right password: whoever reads it gets in.
        std::fs::write(folder.join("secret"), stack().get("STACK_DBA_PASSWORD")).unwrap();
    }
    std::os::unix::fs::symlink(outside.join("secret"), inside.join("link")).unwrap();
    std::os::unix::fs::symlink(&outside, inside.join("folder")).unwrap();
    std::os::unix::fs::symlink("secret", inside.join("alias")).unwrap();
    let open = Scene::with(|settings| settings.password_folders = vec![inside.clone()]).await;
    let file = |path: &str| LoginPassword::File(ground.path().join(path).display().to_string());

    for path in ["targets/secret", "targets/alias"] {
        let target = with_password(&open.target(), file(path));
        open.connector.open(&target, &target.key.database, Purpose::Read).await.unwrap();
    }
    for path in ["own/secret", "targets/link", "targets/folder/secret", "targets/../own/secret", "own/none"] {
        let error = refused(&open, &with_password(&open.target(), file(path))).await;
        let cause = login_cause(&error);
        assert!(cause.contains(path) && cause.contains("one of the folders"), "{path}: {cause}");
        assert!(cause.contains("target.password_folders"), "{path}: {cause}");
    }
    let closed = Scene::new().await;
    let error = refused(&closed, &with_password(&closed.target(), file("targets/secret"))).await;
    assert!(login_cause(&error).contains("no folder is named by the setting target.password_folders"));

    let home = std::env::var("HOME").unwrap();
    let error = refused(&closed, &with_password(&closed.target(), LoginPassword::Env("HOME".into()))).await;
    let cause = login_cause(&error);
    assert!(cause.contains("env:HOME") && cause.contains("target.password_variables"), "{cause}");
    assert!(!cause.contains(&home), "{cause}");
}

#[tokio::test]
async fn a_sealed_password_opens_only_for_its_target_and_user() {
    let scene = Scene::new().await;
    let mut other = scene.target();
    other.key.database = database("myapp_qa");
    assert!(login_cause(&refused(&scene, &other).await).contains("cannot be opened"));

    let mut other = scene.target();
    if let Login::Own { user, .. } = &mut other.login {
        "postgres".clone_into(user);
    }
    assert!(login_cause(&refused(&scene, &other).await).contains("cannot be opened"));
}

#[tokio::test]
async fn the_default_login_goes_to_listed_hosts_only() {
    let scene = Scene::new().await;
    let mut target = scene.target();
    target.login = Login::Default;
    let not_allowed = |error: TargetError| match error.verdict {
        Verdict::Permanent { code, .. } => assert_eq!(code, Code::DefaultLoginNotAllowed),
        Verdict::Exists | Verdict::TryAgain | Verdict::Host { .. } | Verdict::Login { .. } => {
            panic!("{error:?}")
        }
    };
    not_allowed(refused(&scene, &target).await);

    let default = |hosts: Vec<HostKey>| DefaultLogin {
        user: "role_create".to_owned(),
        password: stack().get("STACK_DBA_PASSWORD").to_owned().into(),
        hosts,
    };
    // The same server under a name that is not on the list.
    let listed =
        Connector::new(&scene.settings, Some(default(vec![target.host.clone()])), scene.ring.clone());
    listed.open(&target, &target.key.database, Purpose::Read).await.unwrap();
    target.host = HostKey::new("localhost", target.host.port()).unwrap();
    not_allowed(listed.open(&target, &target.key.database, Purpose::Read).await.err().unwrap());
}

#[tokio::test]
async fn a_host_that_is_not_there_is_the_hosts_trouble() {
    let scene = Scene::new().await;
    let mut target = scene.target();
    // A port that was free a moment ago.
    let free = wire::silent().await.local_addr().unwrap().port();
    target.host = HostKey::new("127.0.0.1", free).unwrap();
    assert!(host_cause(&refused(&scene, &target).await).contains("refused"));
    target.host = HostKey::new("no-such-host.invalid", 5432).unwrap();
    host_cause(&refused(&scene, &target).await);
    // Something else than PostgreSQL.
    let http = wire::answering(b"HTTP/1.1 400 Bad Request\r\n\r\n", false).await;
    target.host = HostKey::new("127.0.0.1", http.port()).unwrap();
    host_cause(&refused(&scene, &target).await);
}

#[tokio::test]
async fn a_server_that_never_answers_costs_no_more_than_the_limit() {
    let scene = Scene::with(|settings| settings.connect_timeout = Duration::from_millis(300)).await;
    let silent = wire::silent().await;
    let mut target = scene.target();
    target.host = HostKey::new("127.0.0.1", silent.local_addr().unwrap().port()).unwrap();
    let begun = Instant::now();
    assert!(host_cause(&refused(&scene, &target).await).contains("300 ms"));
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_missing_database_and_a_closed_one_are_told_apart() {
    let scene = Scene::new().await;
    let target = scene.target();
    let missing = database(&unique("nodb"));
    let error = scene.connector.open(&target, &missing, Purpose::Lane).await.err().unwrap();
    assert_eq!(error.sqlstate.as_deref(), Some("3D000"));
    assert!(matches!(error.verdict, Verdict::Permanent { code: Code::DatabaseNotFound, .. }), "{error:?}");

    let closed = scene.own_database().await;
    scene.sql(&format!("REVOKE CONNECT ON DATABASE {closed} FROM PUBLIC")).await;
    let error = scene.connector.open(&target, &closed, Purpose::Lane).await.err().unwrap();
    assert_eq!(error.sqlstate.as_deref(), Some("42501"));
    login_cause(&error);
}

#[tokio::test]
async fn a_session_for_reading_cannot_write() {
    let scene = Scene::new().await;
    let session = scene.open("myapp_dev", Purpose::Read).await;
    let role = role(&unique("r"));
    let error = session.execute(&[create(&role)]).await.unwrap_err();
    assert_eq!(error.sqlstate.as_deref(), Some("25006"));
    assert!(!scene.role_exists(&role).await);
}

#[tokio::test]
async fn a_server_that_lacks_a_setting_is_asked_without_it() {
    let scene = Scene::new().await;
    for (sqlstate, message) in [
        ("22023", "invalid value for parameter \"client_connection_check_interval\": 2000"),
        ("42704", "unrecognized configuration parameter \"idle_session_timeout\""),
    ] {
        let server = wire::answering(wire::fatal(sqlstate, message), true).await;
        let mut target = scene.target();
        target.host = HostKey::new("127.0.0.1", server.port()).unwrap();
        scene.connector.open(&target, &target.key.database, Purpose::Lane).await.unwrap();
    }
    // A setting that our safety rests on is not given up.
    let message = "unrecognized configuration parameter \"lock_timeout\"";
    let server = wire::answering(wire::fatal("42704", message), true).await;
    let mut target = scene.target();
    target.host = HostKey::new("127.0.0.1", server.port()).unwrap();
    host_cause(&refused(&scene, &target).await);
}

#[tokio::test]
async fn a_server_that_repeats_the_password_is_not_quoted() {
    let scene = Scene::new().await;
    let server = wire::answering(wire::fatal("28P01", "hunter2-hunter2 is wrong"), false).await;
    let mut target = scene.target_as("role_create", "hunter2-hunter2");
    target.host = HostKey::new("127.0.0.1", server.port()).unwrap();
    let error = refused(&scene, &target).await;
    login_cause(&error);
    assert!(error.source.is_none() && !format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

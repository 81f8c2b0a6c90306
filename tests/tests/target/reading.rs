//! What is read from a target: probes, roles, `check`.

use rolecall_shared::ddl::Statement;
use rolecall_shared::domain::{KindName, Mark, TicketId};
use rolecall_shared::target::{Purpose, RoleProbe};

use crate::scene::{Scene, admin, create, database, role, unique};

#[tokio::test]
async fn roles_that_lead_to_the_servers_power_are_protected() {
    let listed = role(&unique("listed"));
    let scene = Scene::with(|settings| settings.protected_roles.push(listed.clone())).await;
    let name = unique("p");
    scene
        .sql(&format!(
            "CREATE ROLE {name}_super SUPERUSER; CREATE ROLE {name}_repl REPLICATION;
             CREATE ROLE {name}_direct IN ROLE {name}_super; CREATE ROLE {name}_indirect IN ROLE {name}_direct;
             CREATE ROLE {name}_viarepl IN ROLE {name}_repl;
             CREATE ROLE {name}_files IN ROLE pg_read_server_files;
             CREATE ROLE {name}_ours IN ROLE role_create;
             CREATE ROLE {name}_group; CREATE ROLE {name}_plain IN ROLE {name}_group;
             COMMENT ON ROLE {name}_plain IS 'made by hand'"
        ))
        .await;

    let session = scene.open("myapp_dev", Purpose::Lane).await;
    let expected = [
        ("_super", "a superuser"),
        ("_repl", "a replication role"),
        ("_direct", "a member of a superuser"),
        ("_indirect", "a member of a superuser"),
        ("_viarepl", "a member of a replication role"),
        ("_files", "a member of a role that may read or write the server's files or run its programs"),
        ("_ours", "a member of the role Rolecall itself logs in as"),
    ];
    let mut asked: Vec<_> = expected.iter().map(|(suffix, _)| role(&format!("{name}{suffix}"))).collect();
    let plain = role(&format!("{name}_plain"));
    asked.extend([plain.clone(), role("role_create"), listed.clone(), role(&unique("nobody"))]);
    let known = session.probe(&asked).await.unwrap();

    for (suffix, reason) in expected {
        let probe = &known[&role(&format!("{name}{suffix}"))];
        assert_eq!(probe.protected, Some(reason), "{suffix}");
    }
    assert_eq!(known[&role("role_create")].protected, Some("the one Rolecall itself logs in as"));
    assert_eq!(known[&listed].protected, Some("on the list of protected roles"));
    assert_eq!(known[&plain], RoleProbe::default());
    assert_eq!(known.len(), asked.len() - 1, "who does not exist is not there");
}

#[tokio::test]
async fn a_role_is_read_with_everything_it_has() {
    let scene = Scene::new().await;
    let session = scene.open("myapp_dev", Purpose::Lane).await;
    let name = role(&unique("full"));
    let mark = Mark { ticket: TicketId::derived("a", name.as_str()), kind: KindName::parse("app").unwrap() };
    let marked = Statement::Mark { role: name.clone(), mark: mark.clone() };
    session.execute(&[Statement::Begin, create(&name), marked, Statement::Commit]).await.unwrap();
    scene
        .sql(&format!(
            "GRANT app_owner TO {name}; ALTER ROLE {name} VALID UNTIL '2030-01-02 03:04:05Z';
             ALTER ROLE {name} SET work_mem = '1MB'; ALTER ROLE {name} IN DATABASE myapp_dev SET work_mem = '2MB';
             ALTER ROLE {name} IN DATABASE myapp_qa SET work_mem = '3MB'"
        ))
        .await;

    assert_eq!(session.probe(std::slice::from_ref(&name)).await.unwrap()[&name].mark.as_ref(), Some(&mark));
    let info = session.find_role(&name).await.unwrap().unwrap();
    assert!(info.login && !info.superuser && !info.createdb && !info.createrole && !info.replication);
    assert_eq!(info.connection_limit, 5);
    assert_eq!(info.valid_until, Some("2030-01-02T03:04:05Z".parse().unwrap()));
    assert_eq!(info.settings, ["work_mem=1MB"]);
    assert_eq!(info.database_settings, ["work_mem=2MB"]);
    assert_eq!(info.mark, Some(mark));
    assert_eq!(info.member_of, ["app_owner"]);

    scene.sql(&format!("ALTER ROLE {name} VALID UNTIL 'infinity'")).await;
    assert_eq!(session.find_role(&name).await.unwrap().unwrap().valid_until, None);
    assert_eq!(session.find_role(&role(&unique("nobody"))).await.unwrap(), None);
    assert!(session.database_exists(&database("myapp_qa")).await.unwrap());
    assert!(!session.database_exists(&database(&unique("nodb"))).await.unwrap());
}

#[tokio::test]
async fn roles_are_listed_page_by_page_in_the_order_of_their_bytes() {
    let scene = Scene::new().await;
    let name = unique("page");
    for suffix in ["a", "B", "_c", "d"] {
        scene.sql(&format!("CREATE ROLE \"{name}{suffix}\"")).await;
    }
    let session = scene.open("myapp_dev", Purpose::Read).await;
    let mut found = Vec::new();
    let mut after = name.clone();
    loop {
        let page = session.list_roles(Some(&after), 2).await.unwrap();
        let names: Vec<_> = page.into_iter().map(|role| role.name).collect();
        found.extend(names.iter().filter(|found| found.starts_with(&name)).cloned());
        match names.last() {
            Some(last) if last.starts_with(&name) => after.clone_from(last),
            _ => break,
        }
    }
    assert_eq!(found, ["B", "_c", "a", "d"].map(|suffix| format!("{name}{suffix}")));
    let all = session.list_roles(None, 10_000).await.unwrap();
    assert!(
        all.iter().any(|role| role.name == "postgres")
            && !all.iter().any(|role| role.name.starts_with("pg_"))
    );
}

#[tokio::test]
async fn check_says_what_is_and_what_to_do() {
    let scene = Scene::new().await;
    let report = scene.open("myapp_dev", Purpose::Read).await.check().await.unwrap();
    assert_eq!((report.user.as_str(), report.database_owner.as_str()), ("role_create", "app_owner"));
    assert!(report.createrole && report.createdb && report.member_of_owner && !report.superuser);
    assert!(!report.tls && !report.pooler, "{report:?}");
    assert_eq!(report.problems, Vec::<String>::new());
    assert!(report.server_version.starts_with(|c: char| c.is_ascii_digit()));

    let powerless = unique("powerless");
    scene.sql(&format!("CREATE ROLE {powerless} LOGIN PASSWORD 'x'")).await;
    let target = scene.target_as(&powerless, "x");
    let session = scene.connector.open(&target, &target.key.database, Purpose::Read).await.unwrap();
    let problems = session.check().await.unwrap().problems;
    assert!(problems.iter().any(|problem| problem.contains("no CREATEROLE")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("app_owner")), "{problems:?}");
}

/// Comments on roles are the whole server's; each was written in the encoding of its writer's database, and nothing
/// says which that was.
#[tokio::test]
async fn a_comment_in_whatever_encoding_is_no_mark_and_hides_none() {
    let scene = Scene::new().await;
    let ticket = TicketId::derived("a", &unique("encodings"));
    let mark = Mark { ticket, kind: KindName::parse("app").unwrap() };
    let (latin, ascii) = (unique("latin"), unique("ascii"));
    let mut expected = Vec::new();
    for (database, encoding) in [(&latin, "LATIN1"), (&ascii, "SQL_ASCII")] {
        scene
            .sql(&format!("CREATE DATABASE {database} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"))
            .await;
        let writer = admin(database).await;
        for (comment, is_mark) in [
            ("caf\\xe9".to_owned(), false),
            (format!("{mark}\\xe9"), false),
            (format!("{mark}\\\\"), false),
            ("\\\\x00".to_owned(), false),
            (mark.to_string(), true),
        ] {
            let name = role(&unique("commented"));
            let sql = format!("CREATE ROLE {name}; COMMENT ON ROLE {name} IS E'{comment}'");
            writer.batch_execute(&sql).await.unwrap();
            expected.push((name, is_mark.then(|| mark.clone())));
        }
    }
    let roles: Vec<_> = expected.iter().map(|(role, _)| role.clone()).collect();
    for database in ["myapp_dev", &latin, &ascii] {
        let session = scene.open(database, Purpose::Lane).await;
        let known = session.probe(&roles).await.unwrap();
        let listed = session.list_roles(Some("commented_"), 10_000).await.unwrap();
        for (role, mark) in &expected {
            assert_eq!(
                known[role],
                RoleProbe { mark: mark.clone(), protected: None },
                "{role} from {database}"
            );
            let found = session.find_role(role).await.unwrap().unwrap();
            assert_eq!(found.mark, *mark, "{role} from {database}");
            assert!(listed.contains(&found), "{role} from {database}");
        }
    }
}

/// Nobody could name such a role; the others are listed all the same.
#[tokio::test]
async fn a_role_whose_name_cannot_be_read_is_left_out_and_ends_no_page() {
    let scene = Scene::new().await;
    let (database, name) = (unique("ascii"), unique("odd"));
    scene
        .sql(&format!("CREATE DATABASE {database} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"))
        .await;
    let writer = admin(&database).await;
    let sql = format!(
        "DO $do$ BEGIN
             EXECUTE format('CREATE ROLE %I', E'{name}b\\xe9'); EXECUTE format('CREATE ROLE %I', E'{name}b\\xff');
             CREATE ROLE {name}a; CREATE ROLE {name}c; ALTER ROLE {name}a SET search_path = E'caf\\xe9';
             EXECUTE format('GRANT %I TO {name}c', E'{name}b\\xe9');
         END $do$"
    );
    writer.batch_execute(&sql).await.unwrap();
    for database in ["myapp_dev", &database] {
        let session = scene.open(database, Purpose::Lane).await;
        let first = session.list_roles(Some(&name), 1).await.unwrap().pop().unwrap();
        assert_eq!(first.name, format!("{name}a"));
        assert_eq!(first.settings, ["search_path=\"caf\u{fffd}\""]);
        let second = session.list_roles(Some(&first.name), 1).await.unwrap().pop().unwrap();
        assert_eq!(second.name, format!("{name}c"));
        assert_eq!(second.member_of, [format!("{name}b\u{fffd}")]);
        assert!(session.probe(&[role(&second.name)]).await.unwrap().contains_key(&role(&second.name)));
    }
}

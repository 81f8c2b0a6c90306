//! Plans and verifiers on a real server: what is rendered is what the server understands, run by a role that is no
//! superuser, and every password logs in.

#![expect(clippy::expect_used, reason = "a test says by a panic what it expected")]

use jiff::Timestamp;
use rolecall_shared::ddl::{Setting, Statement, create_role, reset_password, script, set_search_path};
use rolecall_shared::domain::{DatabaseName, KindName, Mark, Profiles, RoleName, SchemaName, TicketId};
use rolecall_shared::seal::{Password, Verifier};
use rolecall_tests::control::unique;
use rolecall_tests::stack::Stack;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::task::TaskTracker;

const HOSTILE: [&str; 14] = [
    r#"evil"; DROP ROLE x; --"#,
    "o'brien",
    r"back\slash\",
    r"\'; DROP ROLE x; --",
    r#"\"; DROP ROLE x; --"#,
    r#"""#,
    "''",
    "$user",
    "$$; DROP ROLE x; $$",
    "/* no comment */",
    "public, pg_temp",
    "SELECT",
    " spaces around ",
    "Zoë_ünï😀\u{202e}",
];

fn role(text: &str) -> RoleName {
    RoleName::from_stored(text).expect("a role name")
}

fn database(text: &str) -> DatabaseName {
    DatabaseName::from_stored(text).expect("a database name")
}

fn schemas(texts: &[&str]) -> Vec<SchemaName> {
    texts.iter().map(|text| SchemaName::from_stored(text).expect("a schema name")).collect()
}

/// The server's address, in this database, as nobody yet.
fn server(database: &str) -> Config {
    let url: Config = Stack::shared().get("STACK_TARGET_1_URL").parse().expect("a URL");
    let mut config = Config::new();
    config.host("127.0.0.1").port(url.get_ports()[0]).dbname(database);
    config
}

async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    TaskTracker::new().spawn(connection);
    Ok(client)
}

async fn superuser(database: &str) -> Client {
    let mut config: Config = Stack::shared().get("STACK_TARGET_1_URL").parse().expect("a URL");
    connect(config.dbname(database)).await.expect("the superuser logs in")
}

async fn dba(database: &str) -> Client {
    let stack = Stack::shared();
    let mut config = server(database);
    config.user(stack.get("STACK_DBA_USER")).password(stack.get("STACK_DBA_PASSWORD"));
    connect(&config).await.expect("the DBA role logs in")
}

async fn login(
    role: &RoleName,
    password: &Password,
    database: &str,
) -> Result<Client, tokio_postgres::Error> {
    connect(server(database).user(role.as_str()).password(password.expose())).await
}

async fn show(client: &Client, setting: &str) -> String {
    client.query_one(&format!("SHOW {setting}"), &[]).await.expect("SHOW").get(0)
}

async fn mark_of(client: &Client, role: &RoleName) -> Option<Mark> {
    let query = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1";
    let comment: Option<String> = client.query_one(query, &[&role.as_str()]).await.expect("the role").get(0);
    comment.and_then(|text| text.parse().ok())
}

#[tokio::test]
async fn every_kind_is_made_by_a_role_without_superuser_and_logs_in() {
    let dba = dba("myapp_dev").await;
    for (kind, profile) in Profiles::default().list() {
        let (role, password) = (role(&format!("{kind}_{}", unique())), Password::generate());
        let ticket = TicketId::new(Timestamp::UNIX_EPOCH);
        let verifier = Verifier::make(&password, 4096);
        let plan = create_role(ticket, kind, &role, &database("myapp_dev"), profile, &verifier);
        dba.batch_execute(&script(&plan)).await.expect("the plan runs");
        assert_eq!(mark_of(&dba, &role).await, Some(Mark { ticket, kind: kind.clone() }));

        let columns =
            "rolcreatedb, rolcreaterole, rolconnlimit, rolcanlogin, rolsuper, rolreplication, rolbypassrls";
        let query = format!("SELECT {columns} FROM pg_roles WHERE rolname = $1");
        let row = dba.query_one(&query, &[&role.as_str()]).await.expect("the role");
        assert_eq!(
            (row.get::<_, bool>(0), row.get::<_, bool>(1), row.get::<_, i32>(2)),
            (profile.createdb, profile.createrole, profile.connection_limit),
            "{kind}"
        );
        assert_eq!([3, 4, 5, 6].map(|column| row.get::<_, bool>(column)), [true, false, false, false]);

        let here = login(&role, &password, "myapp_dev").await.expect("the role logs in");
        assert_eq!(show(&here, "search_path").await, "public");
        let read_only = if profile.is_read_only() { "on" } else { "off" };
        assert_eq!(show(&here, "default_transaction_read_only").await, read_only, "{kind}");
        let elsewhere = login(&role, &password, "myapp_qa").await.expect("the role logs in elsewhere");
        assert_eq!(show(&elsewhere, "default_transaction_read_only").await, read_only, "{kind}");
        let everywhere = show(&elsewhere, "search_path").await == "public";
        assert_eq!(everywhere, kind.as_str() == "dba", "the search_path of {kind} in another database");
    }
}

#[tokio::test]
async fn a_reset_replaces_the_password_with_any_number_of_iterations() {
    let dba = dba("myapp_dev").await;
    let role = role(&format!("reset_{}", unique()));
    dba.batch_execute(&format!("CREATE ROLE \"{role}\" LOGIN")).await.expect("a role");
    let mut old: Option<Password> = None;
    for iterations in [1, 2, 4095, 4096, 20_000] {
        let password = Password::generate();
        let plan = reset_password(&role, &Verifier::make(&password, iterations));
        dba.batch_execute(&script(&plan)).await.expect("the plan runs");
        login(&role, &password, "myapp_dev").await.expect("the new password works");
        if let Some(old) = old.replace(password) {
            let refused = login(&role, &old, "myapp_dev").await.expect_err("the old password is refused");
            assert_eq!(refused.code(), Some(&SqlState::INVALID_PASSWORD));
        }
    }
}

/// Every hostile name as role, database and schema at once, under both values of the setting that says what a
/// backslash means.
#[tokio::test]
async fn hostile_names_are_names_to_the_server() {
    let admin = superuser("postgres").await;
    let tag = unique();
    let longest = "x".repeat(63 - tag.len());
    for (index, hostile) in HOSTILE.iter().copied().chain([longest.as_str()]).enumerate() {
        let name = format!("{tag}{hostile}");
        let quoted: String =
            admin.query_one("SELECT quote_ident($1)", &[&name]).await.expect("quoted").get(0);
        admin.batch_execute(&format!("CREATE DATABASE {quoted}")).await.expect("a database");
        let setting = if index % 2 == 0 { "on" } else { "off" };
        let settings =
            format!("SET standard_conforming_strings = {setting}; SET escape_string_warning = off");
        admin.batch_execute(&settings).await.expect("a setting");

        let (role, database, password) = (role(&name), database(&name), Password::generate());
        let kind = KindName::parse("readonly").expect("a kind");
        let profile = Profiles::default().find(&kind).expect("a profile").clone();
        let ticket = TicketId::new(Timestamp::UNIX_EPOCH);
        let verifier = Verifier::make(&password, 1);
        let mut plan = create_role(ticket, &kind, &role, &database, &profile, &verifier);
        let path = schemas(&[&name, "$user", "public"]);
        plan.extend(set_search_path(&role, &database, &path));
        admin.batch_execute(&script(&plan)).await.unwrap_or_else(|error| panic!("{name:?}: {error:?}"));

        assert_eq!(mark_of(&admin, &role).await, Some(Mark { ticket, kind }), "{name:?}");
        let client =
            login(&role, &password, &name).await.unwrap_or_else(|error| panic!("{name:?}: {error:?}"));
        let row = client.query_one("SELECT current_user::text, current_database()::text", &[]);
        let row = row.await.expect("a row");
        assert_eq!((row.get(0), row.get(1)), (name.clone(), name.clone()));
        assert_eq!(show(&client, "search_path").await, format!("{quoted}, \"$user\", public"));
    }
}

/// The statements that no plan makes yet, in one transaction with savepoints, in a schema of a hostile name.
#[tokio::test]
async fn grants_and_savepoints_do_what_they_say() {
    let name = format!(r#"o'b"r\ien; {}"#, unique());
    let database_name = format!("grants_{}", unique());
    superuser("postgres")
        .await
        .batch_execute(&format!("CREATE DATABASE {database_name}"))
        .await
        .expect("one");
    let admin = superuser(&database_name).await;
    let quoted: String = admin.query_one("SELECT quote_ident($1)", &[&name]).await.expect("quoted").get(0);
    let set_up = format!(
        "REVOKE CONNECT ON DATABASE {database_name} FROM PUBLIC; CREATE ROLE {quoted} LOGIN; CREATE SCHEMA {quoted}; \
         CREATE TABLE {quoted}.{quoted} (n int)"
    );
    admin.batch_execute(&set_up).await.expect("the set-up");

    let (grantee, schema) = (role(&name), schemas(&[&name]).remove(0));
    let admin_name: String = admin.query_one("SELECT current_user::text", &[]).await.expect("a name").get(0);
    let path = |role: &RoleName, schemas| Statement::SetForRole {
        role: role.clone(),
        setting: Setting::SearchPath(schemas),
    };
    let statements = [
        Statement::Begin,
        Statement::GrantConnect { role: grantee.clone(), database: database(&database_name) },
        Statement::Savepoint(1),
        path(&grantee, schemas(&["undone"])),
        Statement::RollbackToSavepoint(1),
        Statement::GrantUsage { role: grantee.clone(), schema: schema.clone() },
        Statement::ReleaseSavepoint(1),
        Statement::GrantSelect { role: grantee.clone(), schema: schema.clone(), table: name.clone() },
        Statement::DefaultSelect { role: grantee.clone(), schema, owner: admin_name },
        Statement::Commit,
        Statement::Begin,
        path(&grantee, schemas(&["undone"])),
        Statement::Rollback,
    ];
    admin.batch_execute(&script(&statements)).await.expect("the statements run");
    admin.batch_execute(&format!("CREATE TABLE {quoted}.later (n int)")).await.expect("a table");

    let password = Password::generate();
    let plan = [reset_password(&grantee, &Verifier::make(&password, 1)), vec![path(&grantee, Vec::new())]];
    admin.batch_execute(&script(&plan.concat())).await.expect("the plan runs");
    let client = login(&grantee, &password, &database_name).await.expect("the role logs in");
    client.batch_execute(&format!("TABLE {quoted}.{quoted}; TABLE {quoted}.later")).await.expect("may read");
    assert_eq!(show(&client, "search_path").await, r#""""#, "an empty path");
}

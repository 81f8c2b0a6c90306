//! Each kind of role: made over HTTP, logged in to, and compared with its profile in the server's catalogs.

use rolecall_tests::{Installation, Running, Target};
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;

use crate::scene::{create, in_env, make, take};

/// What the server knows of a role, as one line per fact.
const STATE: &str = "
    SELECT concat_ws(' ', CASE WHEN rolcanlogin THEN 'login' END, CASE WHEN rolinherit THEN 'inherit' END,
                     CASE WHEN rolsuper THEN 'superuser' END, CASE WHEN rolreplication THEN 'replication' END,
                     CASE WHEN rolbypassrls THEN 'bypassrls' END, CASE WHEN rolcreatedb THEN 'createdb' END,
                     CASE WHEN rolcreaterole THEN 'createrole' END, 'limit ' || rolconnlimit,
                     'valid until ' || rolvaliduntil)
    FROM pg_roles WHERE rolname = $1";

/// Every setting of a role with its scope: a database, or `*`.
const SETTINGS: &str = "
    SELECT string_agg(coalesce(d.datname, '*') || ': ' || setting, ', ' ORDER BY d.datname, setting)
    FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole CROSS JOIN unnest(s.setconfig) setting
    LEFT JOIN pg_database d ON d.oid = s.setdatabase
    WHERE r.rolname = $1";

const COMMENT: &str = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1";
const VERIFIER: &str = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";

/// What a kind promises. `{db}` stands for the target's database.
struct Promise {
    kind: &'static str,
    /// What the request names the role by.
    parts: Value,
    role: String,
    state: &'static str,
    settings: &'static str,
}

fn promises(id: &str) -> [Promise; 6] {
    let promise = |kind, parts, role: &str, state, settings| {
        let role = format!("{role}{id}");
        Promise { kind, parts, role, state, settings }
    };
    let person = |name: &str| json!({ "username": format!("{name}_{id}") });
    let [twenty, dba] = ["login inherit limit 20", "login inherit createdb createrole limit 20"];
    let path = "{db}: search_path=public";
    [
        Promise {
            kind: "app",
            parts: json!({ "servername": format!("web-01.{id}"), "port": 8080 }),
            role: format!("web-01.{id}_8080"),
            state: "login inherit limit 200",
            settings: path,
        },
        Promise {
            kind: "app-k8s",
            parts: json!({ "env_prefix": "uat", "farmname": id }),
            role: format!("uat_{id}"),
            state: "login inherit limit 200",
            settings: path,
        },
        promise("devqa", person("ada"), "ada_", twenty, path),
        promise("devlead", person("grace"), "grace_", twenty, path),
        promise(
            "readonly",
            person("reports"),
            "reports_",
            twenty,
            "{db}: search_path=public, *: default_transaction_read_only=on",
        ),
        promise("dba", person("edsger"), "edsger_", dba, "*: search_path=public"),
    ]
}

#[tokio::test]
async fn every_kind_is_made_as_its_profile_says_and_its_password_logs_in() {
    let rolecall = Installation::builder("kinds").set("target.scram_iterations", "5000").start().await;
    let target = rolecall.target(1);
    for promise in promises(&rolecall.id) {
        check_kind(&rolecall, target, promise).await;
    }
}

async fn check_kind(rolecall: &Running, target: &Target, promise: Promise) {
    let Promise { kind, parts, role, state, settings } = promise;
    let mut job = json!({
        "operation": "create_role", "kind": kind, "env": "dev", "database": target.database,
    });
    job.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
    let ended = rolecall.client.run(&job).await.expect_outcome("created");
    assert_eq!((ended.text("role"), ended.text("kind")), (role.as_str(), kind));
    assert_eq!(ended.at("missing").as_array(), None, "{kind}: {ended}");
    let ticket = ended.id();

    let session = target
        .login(&role, &take(&rolecall.client, &ticket).await, &target.database)
        .await
        .unwrap_or_else(|error| panic!("{kind}: the password that was handed out: {error:?}"));
    let path: String = session.query_one("SHOW search_path", &[]).await.unwrap().get(0);
    assert_eq!(path, "public", "{kind}");

    let fact = async |query: &str| target.text(query, &[&role]).await.unwrap_or_default();
    assert_eq!(fact(STATE).await, state, "{kind}");
    assert_eq!(fact(SETTINGS).await, settings.replace("{db}", &target.database), "{kind}");
    assert_eq!(fact(COMMENT).await, format!("rolecall:1:{ticket}:{kind}"), "{kind}");
    let verifier = fact(VERIFIER).await;
    assert!(verifier.starts_with("SCRAM-SHA-256$5000:"), "{kind}: {verifier}");

    let shown = rolecall.client.role("dev", &target.database, &role).await.expect(200);
    assert_eq!((shown.text("ticket"), shown.text("kind")), (ticket.as_str(), kind));
}

/// What a role gets when it runs a statement.
async fn refusal(session: &tokio_postgres::Client, statement: &str) -> Option<SqlState> {
    session.batch_execute(statement).await.err().map(|error| error.code().unwrap().clone())
}

async fn read_count(session: &tokio_postgres::Client, table: &str) -> i64 {
    session.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn readonly_reads_what_is_there_and_what_comes_and_writes_nothing() {
    let rolecall = Running::start("readonly").await;
    let target = rolecall.target(1);
    let role = rolecall.role("reports");
    let ended = rolecall.client.run(&create("readonly", &role, target)).await.expect_outcome("created");
    let password = take(&rolecall.client, &ended.id()).await;
    let session = target.login(&role, &password, &target.database).await.unwrap();
    assert_eq!(read_count(&session, "public.orders").await, 3);

    let owner = target.superuser(&target.database).await;
    let later = "SET ROLE app_owner; CREATE TABLE public.later AS SELECT 1 AS n; RESET ROLE";
    owner.batch_execute(later).await.unwrap();
    assert_eq!(read_count(&session, "public.later").await, 1, "a table the owner made afterwards");

    let writes = [
        "INSERT INTO public.orders (customer) VALUES ('mallory')",
        "UPDATE public.orders SET customer = 'mallory'",
        "DELETE FROM public.orders",
        "TRUNCATE public.orders",
        "INSERT INTO public.later VALUES (2)",
    ];
    for write in writes {
        assert_eq!(refusal(&session, write).await, Some(SqlState::READ_ONLY_SQL_TRANSACTION), "{write}");
    }
    session.batch_execute("SET default_transaction_read_only = off").await.unwrap();
    for write in writes {
        assert_eq!(refusal(&session, write).await, Some(SqlState::INSUFFICIENT_PRIVILEGE), "{write}");
    }
    let member = "SELECT string_agg(b.rolname, ',') FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member \
                  JOIN pg_roles b ON b.oid = m.roleid WHERE r.rolname = $1";
    assert_eq!(target.text(member, &[&role]).await, None, "grants, no memberships");
}

#[tokio::test]
async fn readonly_names_what_could_not_be_granted_and_succeeds() {
    let rolecall = Running::start("missing").await;
    let target = rolecall.target(1);
    let superuser = target.superuser(&target.database).await;
    // A table of somebody whom our role is no member of.
    superuser.batch_execute("CREATE TABLE public.payroll (n int)").await.unwrap();
    let role = rolecall.role("partly");
    let ended = rolecall.client.run(&create("readonly", &role, target)).await.expect_outcome("created");
    assert_eq!(*ended.at("missing"), json!(["SELECT on public.payroll"]), "{ended}");
    let password = take(&rolecall.client, &ended.id()).await;
    let session = target.login(&role, &password, &target.database).await.unwrap();
    assert_eq!(read_count(&session, "public.orders").await, 3);
    assert_eq!(
        refusal(&session, "SELECT * FROM public.payroll").await,
        Some(SqlState::INSUFFICIENT_PRIVILEGE)
    );

    // Now nothing is ours to grant.
    let to_postgres = format!(
        "ALTER DATABASE {} OWNER TO postgres; ALTER TABLE public.orders OWNER TO postgres",
        target.database
    );
    superuser.batch_execute(&to_postgres).await.unwrap();
    let role = rolecall.role("nothing");
    let ended = rolecall.client.run(&create("readonly", &role, target)).await.expect_outcome("created");
    let missing = json!([
        "SELECT on public.orders",
        "SELECT on public.payroll",
        "SELECT on future tables of postgres in schema public",
    ]);
    assert_eq!(*ended.at("missing"), missing, "{ended}");
    assert!(target.accepts(&role, &take(&rolecall.client, &ended.id()).await).await);
    let audit = rolecall.client.audit(&format!("ticket={}", ended.id())).await.expect(200);
    assert_eq!(audit.at("items.1.detail.missing"), &missing, "{audit}");
}

#[tokio::test]
async fn an_operator_changes_a_kind_and_adds_one() {
    let rolecall = Installation::builder("own-kinds")
        .set("kinds.app-k8s.connection_limit", "7")
        .set("kinds.auditor.naming", "username")
        .set("kinds.auditor.connection_limit", "3")
        .set("kinds.auditor.search_path", "audit,public")
        .set("kinds.auditor.search_path_scope", "role")
        .set("kinds.auditor.createdb", "true")
        .set("kinds.auditor.only_in_envs", "dev")
        .start()
        .await;
    let target = rolecall.target(1);

    let auditor = rolecall.role("auditor");
    let job = create("auditor", &auditor, target);
    let ended = rolecall.client.run(&job).await.expect_outcome("created");
    assert!(target.accepts(&auditor, &take(&rolecall.client, &ended.id()).await).await);
    let state = target.text(STATE, &[&auditor]).await;
    assert_eq!(state.as_deref(), Some("login inherit createdb limit 3"));
    let settings = target.text(SETTINGS, &[&auditor]).await;
    assert_eq!(settings.as_deref(), Some("*: search_path=audit, public"));
    let comment = target.text(COMMENT, &[&auditor]).await;
    assert_eq!(comment, Some(format!("rolecall:1:{}:auditor", ended.id())));

    rolecall.client.put_target("qa", &target.database, &target.registration()).await.expect(201);
    let refused = rolecall.client.submit(&in_env("qa", job)).await;
    refused.expect_problem(422, "kind_not_allowed_in_env");

    // What is not stated stays as it is built in.
    let job = json!({
        "operation": "create_role", "kind": "app-k8s", "env": "dev", "database": target.database,
        "env_prefix": "dev", "farmname": rolecall.id,
    });
    rolecall.client.run(&job).await.expect_outcome("created");
    let state = target.text(STATE, &[&rolecall.role("dev")]).await;
    assert_eq!(state.as_deref(), Some("login inherit limit 7"));

    // The other kinds are there as before.
    make(&rolecall, "ada", target).await;
}

#[tokio::test]
async fn kinds_stay_out_of_environments_that_are_not_theirs() {
    let rolecall = Running::start("envs").await;
    let target = rolecall.target(1);
    rolecall.client.put_target("prod", &target.database, &target.registration()).await.expect(201);
    for kind in ["devqa", "devlead"] {
        let job = in_env("prod", create(kind, &rolecall.role(kind), target));
        rolecall.client.submit(&job).await.expect_problem(422, "kind_not_allowed_in_env");
    }
    for kind in ["readonly", "dba"] {
        let job = in_env("prod", create(kind, &rolecall.role(kind), target));
        rolecall.client.run(&job).await.expect_outcome("created");
    }
    let made = target
        .text("SELECT count(*)::text FROM pg_roles WHERE rolname LIKE '%' || $1", &[&rolecall.id])
        .await;
    // The two above; the kinds that were refused left nothing.
    assert_eq!(made.as_deref(), Some("2"));
}

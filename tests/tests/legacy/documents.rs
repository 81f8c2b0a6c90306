//! The quick start of pg-user-api's README, line by line with our binary in place of `python app.py`, and every request of
//! that README and of the article about it, typed as it stands there.

use std::collections::BTreeMap;
use std::process::Command;

use rolecall_tests::process::Role;
use rolecall_tests::{Client, Installation, Process, Stack, Target};
use serde_json::{Value, json};

/// What is exported before the start.
const USER: &str = "pgadmin";
const PASSWORD: &str = "Ch@ngeMe2024!";

/// A line of the documents, and the answer. `$PORT` is the port of the server, `$PASSWORD` a password that works for the
/// user of the answer, `$ROLES` the server's own list, `$CREATED` when the targets were registered.
type Row = (&'static str, u16, &'static str);

const TABLE: &[Row] = &[
    (
        "curl http://localhost:5000/",
        200,
        r#"{"auth":"HTTP Basic Auth required on all /api/* endpoints","service":"PostgreSQL User Management API","version":"2.0.0"}"#,
    ),
    ("curl http://localhost:5000/api/v1/registry", 401, r#"{"error":"Unauthorized"}"#),
    (
        r#"curl -u pgadmin:Ch@ngeMe2024! "http://localhost:5000/api/v1/registry""#,
        200,
        r#"{"count":4,"databases":[{"active":1,"created_at":"$CREATED","db_name":"myapp_dev","env":"dev","hostname":"127.0.0.1","id":1,"notes":"Dev main DB","port":$PORT},{"active":1,"created_at":"$CREATED","db_name":"myapp_prod","env":"prod","hostname":"127.0.0.1","id":4,"notes":"Production DB","port":$PORT},{"active":1,"created_at":"$CREATED","db_name":"myapp_qa","env":"qa","hostname":"127.0.0.1","id":2,"notes":"QA main DB","port":$PORT},{"active":0,"created_at":"$CREATED","db_name":"myapp_uat","env":"uat","hostname":"127.0.0.1","id":3,"notes":null,"port":$PORT}]}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/all?env=dev&database=myapp_dev\"",
        200,
        r#"{"database":"myapp_dev","env":"dev","hostname":"127.0.0.1","port":"$PORT","users":$ROLES}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/app?env=dev&database=myapp_dev&servername=web01&port=8080\"",
        200,
        r#"{"database":"myapp_dev","env":"dev","hostname":"127.0.0.1","password":"$PASSWORD","port":"$PORT","status":"user created","username":"web01_8080"}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/app?env=dev&database=myapp_dev&servername=web01&port=8080\"",
        200,
        r#"{"database":"myapp_dev","env":"dev","hostname":"127.0.0.1","password":null,"port":"$PORT","status":"user already exists","username":"web01_8080"}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/app-k8s?env=dev&database=myapp_dev&env_prefix=dv&farmname=gearservice\"",
        200,
        r#"{"database":"myapp_dev","env":"dev","hostname":"127.0.0.1","password":"$PASSWORD","port":"$PORT","status":"user created","username":"dv_gearservice"}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/devqa?env=dev&database=myapp_dev&username=jsmith\"",
        200,
        r#"{"database":"myapp_dev","env":"dev","hostname":"127.0.0.1","password":"$PASSWORD","port":"$PORT","status":"user created","username":"jsmith"}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/devlead?env=qa&database=myapp_qa&username=jdoe\"",
        200,
        r#"{"database":"myapp_qa","env":"qa","hostname":"127.0.0.1","password":"$PASSWORD","port":"$PORT","status":"user created","username":"jdoe"}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/readonly?env=prod&database=myapp_prod&username=analyst01\"",
        200,
        r#"{"database":"myapp_prod","env":"prod","hostname":"127.0.0.1","password":"$PASSWORD","port":"$PORT","status":"user created","username":"analyst01"}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/dba?env=dev&database=myapp_dev&username=dba_alice\"",
        200,
        r#"{"database":"myapp_dev","env":"dev","hostname":"127.0.0.1","password":"$PASSWORD","port":"$PORT","status":"dba user created","username":"dba_alice"}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/reset?env=dev&database=myapp_dev&username=jsmith\"",
        200,
        r#"{"database":"myapp_dev","env":"dev","hostname":"127.0.0.1","password":"$PASSWORD","port":"$PORT","status":"password reset","username":"jsmith"}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/reset?env=prod&database=myapp_prod&username=analyst01\"",
        200,
        r#"{"database":"myapp_prod","env":"prod","hostname":"127.0.0.1","password":"$PASSWORD","port":"$PORT","status":"password reset","username":"analyst01"}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/search-path?env=dev&database=myapp_dev&username=jsmith&schema=public\"",
        200,
        r#"{"database":"myapp_dev","env":"dev","hostname":"127.0.0.1","port":"$PORT","schema":"public","status":"search_path set to public","username":"jsmith"}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/find?env=dev&database=myapp_dev&username=jsmith\"",
        200,
        r#"{"attributes":"standard","database":"myapp_dev","env":"dev","found":true,"hostname":"127.0.0.1","port":"$PORT","username":"jsmith"}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/all?env=qa&database=myapp_qa\"",
        200,
        r#"{"database":"myapp_qa","env":"qa","hostname":"127.0.0.1","port":"$PORT","users":$ROLES}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/devqa?env=qa&database=myapp_qa&username=test_api_user\"",
        200,
        r#"{"database":"myapp_qa","env":"qa","hostname":"127.0.0.1","password":"$PASSWORD","port":"$PORT","status":"user created","username":"test_api_user"}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/find?env=qa&database=myapp_qa&username=test_api_user\"",
        200,
        r#"{"attributes":"standard","database":"myapp_qa","env":"qa","found":true,"hostname":"127.0.0.1","port":"$PORT","username":"test_api_user"}"#,
    ),
    (
        "curl -u pgadmin:Ch@ngeMe2024! \\\n  \"http://localhost:5000/api/v1/users/reset?env=qa&database=myapp_qa&username=test_api_user\"",
        200,
        r#"{"database":"myapp_qa","env":"qa","hostname":"127.0.0.1","password":"$PASSWORD","port":"$PORT","status":"password reset","username":"test_api_user"}"#,
    ),
    // What its page of common errors names.
    (r#"curl -u pgadmin:wrong "http://localhost:5000/api/v1/registry""#, 401, r#"{"error":"Unauthorized"}"#),
    (
        r#"curl -u pgadmin:Ch@ngeMe2024! "http://localhost:5000/api/v1/users/all?env=dev&database=unknown""#,
        404,
        r#"{"error":"No registry entry found for env='dev' database='unknown'"}"#,
    ),
    (
        r#"curl -u pgadmin:Ch@ngeMe2024! "http://localhost:5000/api/v1/users/devqa?env=uat&database=myapp_uat&username=jsmith""#,
        404,
        r#"{"error":"No registry entry found for env='uat' database='myapp_uat'"}"#,
    ),
];

pub(crate) async fn every_request_is_answered_as_shown(stack: &Stack) {
    let place = Place::start(stack).await;
    for row in TABLE {
        place.ask(row).await;
    }
    place.is_as_the_original_leaves_it().await;
    place.is_audited().await;
    place.deactivated().await;
}

/// The service as the README starts it.
struct Place {
    url: String,
    client: Client,
    target: Target,
    created: String,
    // Their folder outlives the process that logs into it.
    _process: Process,
    installation: Installation,
}

impl Place {
    async fn start(stack: &Stack) -> Self {
        let mut installation = Installation::builder("quick-start").on(stack).create().await;
        // No key but these four variables says who may call and as whom to log in.
        let unset = ["account.user", "account.password", "default_login.user", "default_login.password"];
        let dba = ["user", "password"]
            .map(|key| installation.setting(&format!("default_login.{key}")).unwrap().to_owned());
        for key in unset {
            installation.unset(key);
        }
        let mut environment = installation.environment();
        let [dba, dba_password] = dba;
        let exported = [
            ("PG_API_USER", USER),
            ("PG_API_PASS", PASSWORD),
            ("PG_ADMIN_USER", &dba),
            ("PG_ADMIN_PASS", &dba_password),
        ];
        environment.extend(exported.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let process = Process::spawn(Role::Serve, &environment, installation.dir());
        process.ready().await;

        let target = Target::of(stack, 1);
        target.create_database("myapp_prod").await;
        let client = Client::new(&process.url(), USER, PASSWORD);
        for (env, database, active, notes) in [
            ("dev", "myapp_dev", true, "Dev main DB"),
            ("qa", "myapp_qa", true, "QA main DB"),
            ("uat", "myapp_uat", false, ""),
            ("prod", "myapp_prod", true, "Production DB"),
        ] {
            let mut row = target.registration();
            (row["active"], row["notes"]) = (active.into(), notes.into());
            client.put_target(env, database, &row).await.expect(201);
        }
        let created =
            "SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM targets ORDER BY id";
        let rows = installation.control.superuser().await.query(created, &[]).await.unwrap();
        let created = rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("|");
        Self { url: process.url(), client, target, created, _process: process, installation }
    }

    /// Types a line into a shell.
    async fn ask(&self, (line, status, shown): &Row) {
        let url = &self.url;
        let typed = line.replace("http://localhost:5000", url);
        let typed = typed.replacen("curl", "curl --silent --write-out '%{http_code} %{content_type}'", 1);
        let output = Command::new("sh").args(["-c", &typed]).env("NO_PROXY", "*").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, written) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{line}: {text:?}"));
        assert_eq!(written, format!("{status} application/json"), "{line}: {body}");

        let answer: Value = serde_json::from_str(body).unwrap();
        let mut expected = shown.replace("$PORT", &self.target.port.to_string());
        for created in [1, 4, 2, 3].map(|number| self.created.split('|').nth(number - 1).unwrap()) {
            expected = expected.replacen("$CREATED", created, 1);
        }
        if expected.contains("$ROLES") {
            expected = expected.replace("$ROLES", &self.roles().await);
        }
        if expected.contains("$PASSWORD") {
            let [user, password] = ["username", "password"].map(|field| answer[field].as_str().unwrap());
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            assert!(password.len() == 22 && password.bytes().all(plain), "{line}: {body}");
            let database = answer["database"].as_str().unwrap();
            self.target
                .login(user, password, database)
                .await
                .unwrap_or_else(|error| panic!("{line}: {error:?}"));
            expected = expected.replace("$PASSWORD", password);
        }
        assert_eq!(body, expected, "{line}");
    }

    /// What the original's query finds.
    async fn roles(&self) -> String {
        let query = "SELECT string_agg(format('{\"attributes\":\"%s\",\"username\":\"%s\"}', \
             CASE WHEN usesuper AND usecreatedb THEN 'superuser, create database' WHEN usesuper THEN 'superuser' \
                  WHEN usecreatedb THEN 'create database' ELSE '' END, usename), ',' ORDER BY usename) FROM pg_user";
        format!("[{}]", self.target.text(query, &[]).await.unwrap())
    }

    /// Connection limits, attributes and search paths of what was made.
    async fn is_as_the_original_leaves_it(&self) {
        let query = "SELECT format('%s %s %s %s %s', r.rolconnlimit, r.rolcreatedb, r.rolcreaterole, \
                            array_to_string(r.rolconfig, ','), \
                            (SELECT string_agg(coalesce(d.datname, '*') || ':' || array_to_string(s.setconfig, ','), ' ') \
                             FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase \
                             WHERE s.setrole = r.oid)) \
                     FROM pg_roles r WHERE r.rolname = $1";
        for (role, expected) in [
            ("web01_8080", "200 f f  myapp_dev:search_path=public"),
            ("dv_gearservice", "200 f f  myapp_dev:search_path=public"),
            ("jsmith", "20 f f  myapp_dev:search_path=public"),
            ("jdoe", "20 f f  myapp_qa:search_path=public"),
            ("dba_alice", "20 t t search_path=public *:search_path=public"),
        ] {
            assert_eq!(self.target.text(query, &[role]).await.as_deref(), Some(expected), "{role}");
        }
    }

    /// "Verify your test actions were logged": who called, from where, on which database, with what outcome.
    async fn is_audited(&self) {
        let audit = self.client.audit("role=test_api_user").await.expect(200);
        let mut events: BTreeMap<&str, usize> = BTreeMap::new();
        for row in audit.list("items") {
            assert_eq!((&row["account"], &row["database"]), (&json!(USER), &json!("myapp_qa")), "{row}");
            assert_eq!(row["address"], "127.0.0.1", "{row}");
            *events.entry(row["event"].as_str().unwrap()).or_default() += 1;
        }
        assert_eq!(events, BTreeMap::from([("secret.taken", 2), ("ticket.succeeded", 2)]));
    }

    /// "Deactivate a database".
    async fn deactivated(&self) {
        let mut row = self.target.registration();
        row["active"] = false.into();
        self.client.put_target("dev", "myapp_dev", &row).await.expect(200);
        for call in
            ["all?", "find?username=jsmith&", "reset?username=jsmith&", "search-path?username=jsmith&"]
        {
            let path = format!("/api/v1/users/{call}env=dev&database=myapp_dev");
            let answer = crate::scene::get(&self.client, &path).await;
            let error = r#"{"error":"No registry entry found for env='dev' database='myapp_dev'"}"#;
            answer.expect_text(404, error);
        }
        assert!(self.installation.setting("account.user").is_none(), "the four variables were enough");
    }
}

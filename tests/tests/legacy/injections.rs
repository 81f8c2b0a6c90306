//! Every injection that works in the original, through every call: 400, and nothing on the server has changed.

use rolecall_tests::{Installation, Stack, Target};

use crate::scene::{call, form, get, password};

/// What is sent as a name.
const NAMES: &[&str] = &[
    "evil1 CREATEROLE CREATEDB PASSWORD 'chosen' --",
    "evil2; DROP ROLE IF EXISTS victim; --",
    "evil4; COMMIT; SELECT 1/0; --",
    "\"jsmith CREATEROLE CONNECTION LIMIT -1\"",
    "jsmith CREATEROLE CONNECTION LIMIT -1",
    "evil5; SELECT CAST((SELECT string_agg(rolname, ',') FROM pg_roles) AS int); --",
    "evil6; GRANT pg_execute_server_program TO role_create; --",
    "evil7; COPY (SELECT 1) TO PROGRAM 'id > /tmp/evil7'; --",
    "cmt --",
    "evil0 SUPERUSER --",
    "JSmith",
    "JOS\u{c9}",
    "\"Quoted Name\"",
    "trailing ",
    "trailing\n",
    "two words",
    "o'brien",
    "a/b",
    "a\\b",
    "a%b",
    "1abc",
    "",
    "public",
    "none",
    "current_user",
    "pg_x",
    "nul\0",
    "\u{1F418}",
];

/// What is sent as a schema.
const SCHEMAS: &[&str] = &[
    "public; ALTER ROLE jsmith CREATEROLE CREATEDB",
    "public; ALTER ROLE victim VALID UNTIL '2000-01-01'",
    "public\"; DROP ROLE victim; --",
    "'a,b'",
    "MySchema",
    "DEFAULT",
    "",
];

/// All that a cluster knows of its roles, their passwords, settings and memberships included, as one text.
async fn roles(target: &Target) -> String {
    let query = "SELECT concat_ws(E'\\n', \
        (SELECT string_agg(a::text || coalesce(shobj_description(a.oid, 'pg_authid'), ''), E'\\n' ORDER BY oid) FROM pg_authid a), \
        (SELECT string_agg(s::text, E'\\n' ORDER BY s::text) FROM pg_db_role_setting s), \
        (SELECT string_agg(m::text, E'\\n' ORDER BY m::text) FROM pg_auth_members m))";
    target.text(query, &[]).await.unwrap()
}

pub(crate) async fn none_changes_anything(stack: &Stack) {
    let rolecall = Installation::builder("legacy-injections").on(stack).start().await;
    let (client, target) = (&rolecall.client, rolecall.target(2));
    for role in ["jsmith", "victim"] {
        password(client, "devqa", role, target).await;
    }
    let before = roles(target).await;
    let long = "a".repeat(64);
    let names = || NAMES.iter().copied().chain([long.as_str()]);

    let mut asked = Vec::new();
    for name in names() {
        for call in ["devqa", "devlead", "readonly", "dba", "reset", "search-path"] {
            asked.push((call, vec![("username", name)]));
        }
        asked.push(("app", vec![("servername", "web01"), ("port", name)]));
        // These are parts of names; what is a name of its own as well is not what is tried.
        if !["public", "none", "current_user"].contains(&name) {
            asked.push(("app", vec![("servername", name), ("port", "8080")]));
            asked.push(("app-k8s", vec![("env_prefix", name), ("farmname", "gear")]));
        }
        if !["1abc", "public", "none", "current_user", "pg_x"].contains(&name) {
            asked.push(("app-k8s", vec![("env_prefix", "dv"), ("farmname", name)]));
        }
    }
    asked.extend(
        SCHEMAS.iter().map(|schema| ("search-path", vec![("username", "jsmith"), ("schema", *schema)])),
    );
    let of_target = [("env", "dev"), ("database", target.database.as_str())];
    for (call, parameters) in asked {
        let query = form(&[&of_target[..], &parameters].concat());
        let answer = get(client, &format!("/api/v1/users/{call}?{query}")).await;
        assert_eq!(answer.status, 400, "{call} {parameters:?}: {}", answer.text);
        answer.expect(400);
    }
    for name in names() {
        // Bound as a parameter there and here; no registry has such names either.
        let query = form(&[&of_target[..], &[("username", name)]].concat());
        let found = get(client, &format!("/api/v1/users/find?{query}")).await;
        assert_eq!(found.expect(200)["found"], false, "{name:?}");
        let query = form(&[("env", name), ("database", name), ("username", "x")]);
        get(client, &format!("/api/v1/users/devqa?{query}")).await.expect(404);
    }
    call(client, "reset", "role_create", target).await.expect(403);
    assert_eq!(roles(target).await, before);
}

//! SQL in every text field: nothing of it reaches a target's server, whose roles stay as they were.
//!
//! The texts are those that worked on an older tool of this sort, each with a word of this test's own in it, so that
//! the server's log (it logs every statement) can be searched for it.

use reqwest::Method;
use rolecall_tests::client::send;
use rolecall_tests::{Stack, Target};
use serde_json::{Value, json};

use super::Scene;
use crate::with;

/// Fewer bytes than any limit, so that it is the alphabet that refuses them; and one that is long.
fn texts(word: &str, victim: &str) -> Vec<String> {
    vec![
        format!("{word} CREATEROLE CREATEDB PASSWORD 'x' --"),
        format!("{word}; DROP ROLE {victim}; --"),
        format!("{word}; DROP ROLE IF EXISTS {victim}; --"),
        format!("{word}; COMMIT; SELECT 1/0; --"),
        format!("public; ALTER ROLE {victim} CREATEROLE CREATEDB /* {word} */"),
        format!("public; ALTER ROLE {victim} VALID UNTIL '2000-01-01' -- {word}"),
        format!("\"{victim} CREATEROLE CONNECTION LIMIT -1\" {word}"),
        format!("{victim} CREATEROLE CONNECTION LIMIT -1 -- {word}"),
        format!("{word}; SELECT CAST((SELECT string_agg(rolname,',') FROM pg_roles) AS int); --"),
        format!("{word}; GRANT pg_execute_server_program TO role_create; --"),
        format!("{word}; COPY (SELECT 1) TO PROGRAM 'id > /tmp/{word}'; --"),
        format!("{word} --"),
        format!("{word} SUPERUSER --"),
        format!("{word}'; DROP ROLE {victim}; --"),
        format!("{word}\"; DROP ROLE {victim}; --"),
        format!("{word}$$; DROP ROLE {victim}; $$"),
        format!("{word}\\'; DROP ROLE {victim}; --"),
        format!("{word}\0; DROP ROLE {victim}"),
        format!("{word}\n; DROP ROLE {victim}"),
        format!("\u{ff07}{word}\u{ff07}; DROP ROLE {victim}"),
    ]
}

pub async fn run(scene: &Scene) {
    let id = &scene.rolecall.id;
    let (word, victim) = (format!("evil_{id}"), format!("victim_{id}"));
    let client = &scene.client;
    // Here jobs run: whatever is accepted is to do its worst.
    client.target_act("dev", &scene.target.database, "resume").await.expect(200);
    let job = with(&scene.devqa(), "username", victim.as_str());
    client.run(&job).await.expect_outcome("created");
    let before = roles(&scene.target, id).await;

    let texts = texts(&word, &victim);
    for text in &texts {
        for request in requests(scene, text) {
            let answer = send(request).await;
            let is_refusal = (400..500).contains(&answer.status);
            assert!(is_refusal && !answer.body.to_string().contains(&word), "{text:?}: {answer}");
        }
        labelled(scene, text, &victim).await;
    }
    // A sentinel behind all of it, on the same lane: whatever came before has run.
    client.run(&with(&scene.reset(), "username", victim.as_str())).await.expect_outcome("password_reset");

    assert_eq!(roles(&scene.target, id).await, before);
    assert!(!std::path::Path::new(&format!("/tmp/{word}")).exists(), "no command ran");
    for target in scene.rolecall.targets() {
        let log = log(target);
        assert!(!log.contains(&word), "{}", log.lines().find(|line| line.contains(&word)).unwrap());
    }
    assert!(log(&scene.target).contains(&victim), "the log has what did run");
    a_read_binds_it(scene, &word).await;
}

/// The text in every field that takes one. No request of these is accepted.
fn requests(scene: &Scene, text: &str) -> Vec<reqwest::RequestBuilder> {
    let jobs = [
        with(&scene.devqa(), "username", text),
        with(&scene.reset(), "username", text),
        with(&scene.search_path(), "username", text),
        with(&scene.search_path(), "schemas", json!([text])),
        with(&scene.search_path(), "schemas", text),
        with(&scene.app(), "servername", text),
        with(&scene.app(), "port", text),
        with(&scene.k8s(), "env_prefix", text),
        with(&scene.k8s(), "farmname", text),
        with(&scene.devqa(), "env", text),
        with(&scene.devqa(), "database", text),
        with(&scene.devqa(), "kind", text),
        with(&scene.devqa(), "operation", text),
        with(&scene.devqa(), "deadline", text),
        with(&scene.devqa(), "metadata", text),
        with(&scene.devqa(), text, text),
    ];
    let mut requests: Vec<_> = jobs.iter().map(|job| scene.submit(job)).collect();
    let registration = |field| with(&scene.target.registration(), field, text);
    for field in ["hostname", "sslmode", "ca_file", "login"] {
        let path = "/api/v2/targets/dev/never";
        requests.push(scene.client.request(Method::PUT, path).json(&registration(field)));
    }
    requests
}

/// Labels take any text; they come back as they were and are in nothing that reaches a target.
async fn labelled(scene: &Scene, text: &str, victim: &str) {
    if text.contains(char::is_control) || text.len() > 64 {
        return;
    }
    let job = with(&scene.search_path(), "username", victim);
    let labels = json!({ text: text });
    let ended =
        scene.client.run(&with(&job, "metadata", labels.clone())).await.expect_outcome("search_path_set");
    assert_eq!(*ended.at("metadata"), labels);
    let keyed = scene.submit(&job).header("idempotency-key", text.replace(' ', "_"));
    if text.is_ascii() {
        let accepted = send(keyed).await.expect(202);
        scene.client.wait(&accepted.id()).await.expect_outcome("search_path_set");
    }
}

/// Reading a role sends its name as a bound parameter and never as a part of a statement.
async fn a_read_binds_it(scene: &Scene, word: &str) {
    let name = format!("{word}'; DROP ROLE x; --");
    let path = format!("/api/v2/targets/dev/{}/roles/{name}", scene.target.database);
    scene.client.get(&path).await.expect_problem(404, "role_not_found");
    for line in log(&scene.target).lines().filter(|line| line.contains(word)) {
        assert!(line.contains("parameters: "), "{line}");
    }
}

/// All roles but those of other tests (who have 16 hexadecimal digits of their own in their names): names,
/// attributes, settings, memberships.
async fn roles(target: &Target, id: &str) -> Vec<Value> {
    let superuser = target.superuser(&target.database).await;
    let query = "
        SELECT to_jsonb(r) - 'oid' || jsonb_build_object(
                   'settings', (SELECT jsonb_agg(s.setconfig ORDER BY s.setdatabase) FROM pg_db_role_setting s
                                WHERE s.setrole = r.oid),
                   'member_of', (SELECT jsonb_agg(m.roleid::regrole::text ORDER BY 1) FROM pg_auth_members m
                                 WHERE m.member = r.oid AND m.roleid::regrole::text !~ '[0-9a-f]{16}'))
        FROM pg_roles r WHERE rolname !~ '[0-9a-f]{16}' OR strpos(rolname, $1) > 0 ORDER BY rolname";
    let rows = superuser.query(query, &[&id]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn log(target: &Target) -> String {
    let path = Stack::shared().get(&format!("STACK_TARGET_{}_LOG", target.number));
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

//! A superuser who disables the triggers changes, deletes, reorders and inserts rows, cuts the tail and swaps
//! checkpoints: `rolecall audit verify` names the row.

use rolecall_shared::audit::{Entry, Hash, Header, SigningKey, leaf};
use rolecall_shared::control::Due;
use serde_json::json;

use crate::scene::Scene;

const TABLES: [&str; 4] = ["audit_inbox", "audit_ledger", "audit_blocks", "audit_checkpoints"];

/// Row 7, of the second block, says another account; `leaf` fits it.
const CHANGED: &str =
    "UPDATE audit_ledger SET body = replace(body, '\"ci\"', '\"me\"'), account = 'me' WHERE seq = 7";
const WITH_HASH: &str =
    "UPDATE audit_ledger SET leaf = sha256('\\x00'::bytea || convert_to(body, 'UTF8')) WHERE seq = 7";
const CUT: &str = "DELETE FROM audit_ledger WHERE seq > 10; DELETE FROM audit_blocks WHERE number > 2";

/// What is done, the row that must be named (0: none), and a part of what must be said.
const TAMPERINGS: &[(&[&str], i64, &str)] = &[
    (&[CHANGED], 7, "the row was changed: its hash is another"),
    (&[CHANGED, WITH_HASH], 7, "something else was recorded"),
    (
        &[
            CHANGED,
            WITH_HASH,
            "UPDATE audit_inbox SET account = 'me', owner = 'me' WHERE detail = '{\"n\": 7}'",
        ],
        6,
        "one of the rows 6 to 10 was changed",
    ),
    (&["UPDATE audit_ledger SET account = 'me' WHERE seq = 7"], 7, "a column was changed"),
    (&["UPDATE audit_ledger SET leaf = sha256('x') WHERE seq = 7"], 7, "its hash is another"),
    (&["DELETE FROM audit_ledger WHERE seq = 7"], 7, "the row is missing"),
    (
        &[
            "DELETE FROM audit_ledger WHERE seq = 7",
            "UPDATE audit_ledger SET seq = -seq WHERE seq > 7",
            "UPDATE audit_ledger SET seq = -seq - 1 WHERE seq < 0",
        ],
        7,
        "here stands the row that was number 8",
    ),
    (
        &[
            "UPDATE audit_ledger SET seq = -7 WHERE seq = 7",
            "UPDATE audit_ledger SET seq = 7 WHERE seq = 9",
            "UPDATE audit_ledger SET seq = 9 WHERE seq = -7",
        ],
        7,
        "here stands the row that was number 9",
    ),
    (
        &[
            "UPDATE audit_ledger SET seq = -seq WHERE seq >= 7",
            "UPDATE audit_ledger SET seq = -seq + 1 WHERE seq < 0",
            "INSERT INTO audit_ledger SELECT 7, -1, sha256('\\x00'::bytea || convert_to(replace(body, '\"seq\":8', '\"seq\":7'), \
             'UTF8')), replace(body, '\"seq\":8', '\"seq\":7'), event, at, account, ticket, env, database, host, role \
             FROM audit_ledger WHERE seq = 9",
        ],
        7,
        "the row",
    ),
    (
        &[
            "INSERT INTO audit_ledger SELECT 16, -1, leaf, body, event, at, account FROM audit_ledger WHERE seq = 15",
        ],
        16,
        "it is in no block",
    ),
    (
        &[
            "INSERT INTO audit_ledger SELECT 0, -1, leaf, body, event, at, account FROM audit_ledger WHERE seq = 15",
        ],
        0,
        "it is in no block",
    ),
    (
        &[
            "INSERT INTO audit_ledger SELECT 1015, -1, leaf, body, event, at, account FROM audit_ledger WHERE seq = 15",
            "INSERT INTO audit_blocks VALUES (0, 1015, 1, sha256('a'), sha256('b'), now(), sha256('c'))",
        ],
        1015,
        "it is in no block",
    ),
    (
        &["INSERT INTO audit_blocks VALUES (-3, 1015, 1, sha256('a'), sha256('b'), now(), sha256('c'))"],
        -1,
        "the block was inserted",
    ),
    (&["UPDATE audit_ledger SET at = 'infinity' WHERE seq = 7"], 7, "a column was changed"),
    (
        &["INSERT INTO audit_inbox (seq, event, at, account, owner, detail) OVERRIDING SYSTEM VALUE \
             VALUES (4000000000000000000, 'host.paused', now(), 'ci', 'ci', '{}')"],
        16,
        "was recorded and is not in the ledger",
    ),
    (
        &["INSERT INTO audit_inbox (seq, event, at, account, owner, detail) OVERRIDING SYSTEM VALUE \
             VALUES (-9, 'host.paused', now(), 'ci', 'ci', '{}')"],
        16,
        "was recorded and is not in the ledger",
    ),
    (
        &["DELETE FROM audit_blocks WHERE number = 2", "DELETE FROM audit_ledger WHERE seq BETWEEN 6 AND 10"],
        6,
        "missing",
    ),
    (&["UPDATE audit_blocks SET closed_at = closed_at + '1 s' WHERE number = 2"], 6, "not as it was closed"),
    (&["UPDATE audit_blocks SET first = 7, count = 4 WHERE number = 2"], 6, "begins at another row"),
    (&[CUT], 11, "the ledger was cut: it ends here"),
    (&[CUT, "DELETE FROM audit_checkpoints WHERE number = 2"], 11, "the ledger was cut: it ends here"),
    (
        &[
            CUT,
            "DELETE FROM audit_checkpoints WHERE number = 2",
            "DELETE FROM audit_inbox WHERE (detail ->> 'n')::int > 10",
        ],
        11,
        "the ledger was cut: it ends here",
    ),
    (&["DELETE FROM audit_checkpoints WHERE number = 2"], -1, "checkpoint 2, which was kept outside, is not"),
    (&["DELETE FROM audit_checkpoints WHERE number = 1"], -1, "checkpoint 1 is missing"),
    (
        &[
            "UPDATE audit_checkpoints SET note = (SELECT note FROM audit_checkpoints WHERE number = 1) WHERE number = 2",
        ],
        -1,
        "checkpoint 2 was swapped: the note in its place is checkpoint 1",
    ),
    (&["UPDATE audit_checkpoints SET at = at + '1 year' WHERE number = 2"], -1, "a column of checkpoint 2"),
    (&["UPDATE audit_checkpoints SET at = 'infinity' WHERE number = 2"], -1, "a column of checkpoint 2"),
    (
        &["UPDATE audit_checkpoints SET note = replace(note, E'\\n15\\n', E'\\n14\\n') WHERE number = 2"],
        -1,
        "checkpoint 2 is not as it was signed",
    ),
    (
        &["UPDATE audit_checkpoints SET note = '' WHERE number = 2"],
        -1,
        "checkpoint 2 is not as it was signed",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_tampering_is_found_at_its_row() {
    let scene = Scene::with_rows().await;
    let good = json!({ "ok": true, "rows": 15, "blocks": 3, "checkpoints": 2, "signed_rows": 15, "signatures_checked": true });
    assert_eq!(scene.verify(&[]), good);
    for table in TABLES {
        scene.tamper(&format!("CREATE TABLE keep_{table} AS TABLE {table}")).await;
    }
    for (statements, row, what) in TAMPERINGS {
        for statement in *statements {
            scene.tamper(statement).await;
        }
        let said = scene.verify(&[]);
        let named = said["row"].as_i64().unwrap_or(-1);
        assert!(named == *row && said["what"].as_str().unwrap().contains(what), "{statements:?}: {said}");
        restore(&scene).await;
    }
    assert_eq!(scene.verify(&[]), good);
}

async fn restore(scene: &Scene) {
    for table in TABLES {
        let overriding = if table == "audit_inbox" { "OVERRIDING SYSTEM VALUE" } else { "" };
        scene
            .tamper(&format!("TRUNCATE {table}; INSERT INTO {table} {overriding} SELECT * FROM keep_{table}"))
            .await;
    }
}

/// What the database alone can tell, when nothing was kept outside.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_tail_leaves_its_events_in_the_inbox() {
    let scene = Scene::with_rows().await;
    std::fs::remove_file(scene.file("checkpoints")).unwrap();
    scene.tamper(&format!("{CUT}; DELETE FROM audit_checkpoints WHERE number = 2")).await;
    let said = scene.verify(&[]);
    assert_eq!(said["row"], 11, "{said}");
    assert!(said["what"].as_str().unwrap().contains("was recorded and is not in the ledger"), "{said}");
    // Nobody takes it for granted that there was something to compare.
    let told = String::from_utf8(scene.audit(&["verify"]).stderr).unwrap();
    assert!(told.contains("no checkpoint that was kept outside of the database was compared"), "{told}");
}

/// Everything after the first checkpoint is written anew, without a flaw; the next checkpoint does not fit.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_was_written_anew_does_not_fit_its_checkpoints() {
    let scene = Scene::with_rows().await;
    scene.tamper(&format!("{CHANGED}; {WITH_HASH}")).await;
    scene.tamper("UPDATE audit_inbox SET account = 'me', owner = 'me' WHERE detail = '{\"n\": 7}'").await;
    rewrite(&scene).await;
    let said = scene.verify(&[]);
    assert_eq!((&said["row"], &said["block"]), (&json!(6), &json!(3)), "{said}");
    assert!(said["what"].as_str().unwrap().contains("checkpoint 2 was signed over another ledger"), "{said}");
    // Nor with a checkpoint that somebody else signed.
    let other = SigningKey::generate("audit.example.com").unwrap();
    scene.tamper("DELETE FROM audit_checkpoints WHERE number = 2").await;
    scene.control.sign_due(&other, Due { every: std::time::Duration::ZERO, rows: 15 }).await.unwrap();
    let said = scene.verify(&[]);
    assert!(said["what"].as_str().unwrap().contains("checkpoint 2 is not as it was signed"), "{said}");
    // Without checkpoints and without keys nobody could tell.
    std::fs::remove_file(scene.file("checkpoints")).unwrap();
    scene.tamper("TRUNCATE audit_checkpoints").await;
    assert_eq!(scene.verify(&[])["signed_rows"], 0);
}

/// Makes hashes of blocks 2 and 3 that fit their rows.
async fn rewrite(scene: &Scene) {
    let mut end = None;
    for number in 1..=3_i64 {
        let rows = scene
            .superuser
            .query("SELECT body FROM audit_ledger WHERE (seq - 1) / 5 + 1 = $1 ORDER BY seq", &[&number])
            .await
            .unwrap();
        let bodies: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert!(bodies.iter().all(|body| Entry::parse(body).is_ok()));
        let leaves: Vec<Hash> = bodies.iter().map(|body| leaf(body.as_bytes())).collect();
        let sql = "SELECT closed_at FROM audit_blocks WHERE number = $1";
        let closed_at = scene.superuser.query_one(sql, &[&number]).await.unwrap().get(0);
        let header = Header::after(end.unwrap_or((0, 0, Hash::ZERO)), &leaves, closed_at);
        let hex = |hash: Hash| {
            hash.as_bytes().iter().fold("\\x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
        };
        let (root, previous, hash) = (hex(header.root), hex(header.previous), hex(header.hash()));
        scene
            .tamper(&format!(
                "UPDATE audit_blocks SET root = '{root}', previous = '{previous}', hash = '{hash}' WHERE number = {number}"
            ))
            .await;
        end = Some((header.number, header.last(), header.hash()));
    }
}

#[tokio::test]
async fn triggers_refuse_what_nobody_may_do() {
    let scene = Scene::with_rows().await;
    for table in TABLES {
        for statement in [
            format!("UPDATE {table} SET {} = NULL", if table == "audit_checkpoints" { "note" } else { "at" }),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
        ] {
            let statement = statement.replace("audit_blocks SET at", "audit_blocks SET closed_at");
            let error = scene.superuser.batch_execute(&statement).await.unwrap_err();
            assert_eq!(error.code().unwrap().code(), "42501", "{statement}: {error:?}");
            assert!(
                error.as_db_error().unwrap().message().contains("the audit is never changed"),
                "{statement}"
            );
        }
    }
    assert_eq!(scene.counts().await, (15, 3));
}

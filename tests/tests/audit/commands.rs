//! What an auditor types: verify, prove, export, and the same without the database.

use std::fs;

use rolecall_shared::audit::SigningKey;
use serde_json::{Value, json};

use crate::scene::{Scene, event};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_checked_without_the_database() {
    let scene = Scene::with_rows().await;
    let key = scene.public_key().to_string();
    let bundle = scene.file("bundle");
    let path = bundle.display().to_string();
    scene.audit_well(&["export", "--format", "bundle", "--output", &path]);
    assert!(
        !scene.audit(&["export", "--format", "bundle", "--output", &path]).status.success(),
        "never over a file"
    );
    let said = scene.verify(&["--bundle", &path, "--key", &key]);
    let good = json!({ "ok": true, "rows": 15, "blocks": 3, "checkpoints": 2, "signed_rows": 15, "signatures_checked": true });
    assert_eq!(said, good);
    let other = SigningKey::generate("audit.example.com").unwrap().public().to_string();
    assert_eq!(scene.verify(&["--bundle", &path, "--key", &other])["ok"], false);
    // Nobody who forgot the key is told that all is well.
    assert_eq!(scene.audit(&["verify", "--bundle", &path]).status.code(), Some(2));

    let whole = fs::read_to_string(&bundle).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let at = |seq: i64| lines.iter().position(|line| line.contains(&format!("\"seq\":{seq},"))).unwrap();
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        change(&mut changed);
        fs::write(&bundle, changed.concat()).unwrap();
        scene.verify(&["--bundle", &path, "--key", &key])
    };
    for (row, said) in [
        (7, with(&|lines| lines[at(7)] = lines[at(7)].replace("\"ci\"", "\"me\""))),
        (7, with(&|lines| drop(lines.remove(at(7))))),
        (7, with(&|lines| lines.swap(at(7), at(9)))),
        (7, with(&|lines| lines.insert(at(7), lines[at(7)].clone()))),
        (11, with(&|lines| drop(lines.drain(at(11) - 1..=at(15))))),
    ] {
        assert_eq!((&said["ok"], &said["row"]), (&json!(false), &json!(row)), "{said}");
    }
    let mut bytes = whole.clone().into_bytes();
    bytes[whole.find("\"seq\":7,").unwrap() + 1] = 0xff;
    fs::write(&bundle, bytes).unwrap();
    assert_eq!(scene.verify(&["--bundle", &path, "--key", &key])["row"], 7, "it is no text");
    let said = with(&|lines| lines.truncate(at(9)));
    assert!(said["what"].as_str().unwrap().contains("the file was cut"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_proven_to_whoever_has_the_key() {
    let scene = Scene::with_rows().await;
    let key = scene.public_key().to_string();
    assert_eq!(scene.audit_well(&["key", "show"]).trim(), key);
    let file = scene.file("proof.json");
    let path = file.display().to_string();
    for (seq, checkpoint) in [(1, 1), (5, 1), (6, 2), (15, 2)] {
        let proof = scene.audit_well(&["prove", "--seq", &seq.to_string()]);
        fs::write(&file, &proof).unwrap();
        let said = scene.audit_well(&["prove", "--check", &path, "--key", &key, "--json"]);
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((&said["row"]["seq"], &said["checkpoint"]), (&json!(seq), &json!(checkpoint)), "{said}");
        fs::write(&file, proof.replace("\\\"ci\\\"", "\\\"me\\\"")).unwrap();
        let output = scene.audit(&["prove", "--check", &path, "--key", &key]);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            text(&output.stdout).contains("it proves nothing: the row is not one of its block"),
            "{output:?}"
        );
    }
    let output = scene.audit(&["prove", "--seq", "16"]);
    assert!(text(&output.stderr).contains("The audit has no row 16"), "{output:?}");
    scene.control.record(&event(16)).await.unwrap();
    let output = scene.audit(&["prove", "--seq", "16"]);
    assert!(text(&output.stderr).contains("No checkpoint speaks for row 16 yet"), "{output:?}");
    fs::write(&file, "{}").unwrap();
    assert_eq!(scene.audit(&["prove", "--check", &path, "--key", &key]).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_with_what_to_do() {
    let scene = Scene::empty().await;
    let said = text(&scene.audit(&["verify"]).stdout);
    assert!(said.contains("0 rows in 0 blocks") && said.contains("no checkpoint was signed"), "{said}");
    let output = scene.audit(&["key", "create"]);
    assert!(text(&output.stderr).contains("exists already"), "{output:?}");
    fs::remove_file(scene.file("audit.key")).unwrap();
    let output = scene.audit(&["key", "show"]);
    assert!(text(&output.stderr).contains("rolecall audit key create"), "{output:?}");
    scene.control.record(&event(1)).await.unwrap();
    scene.sign().await;
    let said = text(&scene.audit(&["verify"]).stdout);
    assert!(said.contains("signatures were not checked"), "{said}");
    for wrong in [
        &["verify", "--key", "nonsense"][..],
        &["prove"],
        &["prove", "--seq", "0"],
        &["export", "--format", "xml"],
    ] {
        assert_eq!(scene.audit(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let output = scene.audit(&["export", "--format", "bundle", "--account", "ci"]);
    assert!(text(&output.stderr).contains("takes no filters"), "{output:?}");
}

//! When checkpoints are signed, and where they go.

use std::time::Duration;

use rolecall_shared::audit::{Checkpoint, split_notes};
use rolecall_shared::control::Due;
use rolecall_tests::process::Role;
use rolecall_tests::{Installation, eventually};

use crate::scene::Scene;

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn checkpoints_are_due_by_rows_and_by_time() {
    let scene = Scene::empty().await;
    let sign = async |due: Due| {
        let notes = scene.control.sign_due(&scene.key, due).await.unwrap();
        let read = |note: &String| Checkpoint::open(note, &[scene.public_key().clone()]).unwrap();
        let read = notes.iter().map(read).map(|opened| {
            assert_eq!(opened.fault, None);
            (opened.checkpoint.number, opened.checkpoint.block, opened.checkpoint.rows)
        });
        read.collect::<Vec<_>>()
    };
    let due = Due { every: HOUR, rows: 8 };
    assert_eq!(sign(due).await, [(1, 0, 0)], "also over nothing");
    assert_eq!(sign(due).await, []);
    for rows in [5, 5, 5, 1] {
        scene.control.record_all(&crate::scene::events(rows)).await.unwrap();
    }
    // Rows 8 and 16 are in blocks 2 and 4.
    assert_eq!(sign(due).await, [(2, 2, 10), (3, 4, 16)]);
    assert_eq!(sign(due).await, []);
    // An hour that has passed; nothing has happened in it.
    scene.tamper("UPDATE audit_checkpoints SET at = at - interval '1 h'").await;
    assert_eq!(sign(due).await, [(4, 4, 16)]);
}

/// Two workers sign; each checkpoint is in the database, in the file, and was given to the hook.
#[tokio::test(flavor = "multi_thread")]
async fn workers_sign_and_keep_checkpoints_outside() {
    let hooked = tempfile::NamedTempFile::new().unwrap();
    let installation = Installation::builder("checkpoints")
        .set("audit.checkpoint_seconds", "1")
        .set("audit.checkpoint_hook", format!("/bin/sh,-c,cat >> {}", hooked.path().display()))
        .create()
        .await;
    let (_one, _two) = (installation.start(Role::Worker).await, installation.start(Role::Worker).await);
    let file = installation.dir().join("checkpoints");
    let notes = |path: &std::path::Path| split_notes(&std::fs::read_to_string(path).unwrap_or_default());
    let seen = eventually("three checkpoints in both places", Duration::from_mins(1), async || {
        let (file, hooked) = (notes(&file), notes(hooked.path()));
        (file.len() >= 3 && hooked.len() >= 3).then_some((file, hooked))
    })
    .await;
    let numbers = |notes: &[String]| {
        let mut numbers: Vec<_> =
            notes.iter().map(|note| Checkpoint::open(note, &[]).unwrap().checkpoint.number).collect();
        numbers.sort_unstable();
        numbers
    };
    for numbers in [numbers(&seen.0), numbers(&seen.1)] {
        assert_eq!(numbers[..3], [1, 2, 3], "{seen:?}");
    }
    let output = installation.run(&["audit", "verify"]);
    assert!(output.status.success(), "{output:?}");
}

//! The command that archives ends at each of its steps, as a power cut would end it, and is typed again.

use std::os::unix::process::ExitStatusExt;

use rolecall_shared::failpoints::Failpoint;
use rolecall_tests::binary;
use rolecall_tests::installation::command_of;

use crate::scene::{JOBS, MONTH, Scene};

/// What `abort` ends a process with.
const SIGABRT: i32 = 6;

#[tokio::test]
async fn a_crash_at_any_step_leaves_a_month_that_is_whole() {
    let (undisturbed, jobs) = Scene::with_jobs("undisturbed").await;
    let expected = undisturbed.archive()["archive"]["sha256"].clone();
    for (point, is_told) in [
        (Failpoint::BeforeArchiveName, false),
        (Failpoint::AfterArchiveName, false),
        (Failpoint::AfterArchiveRow, true),
    ] {
        let scene = Scene::new("crash").await;
        scene.control.settle(&jobs).await.unwrap();
        let mut environment = scene.rolecall.environment();
        environment.insert("FAILPOINTS".to_owned(), format!("{}=return", point.name()));
        let mut command = command_of(binary::with_failpoints(), &environment, scene.rolecall.dir());
        let output = command.args(["history", "archive", "--period", MONTH]).output().unwrap();
        assert_eq!(output.status.signal(), Some(SIGABRT), "{point:?}: {output:?}");

        assert_eq!(scene.file().exists(), point != Failpoint::BeforeArchiveName, "{point:?}");
        assert_eq!(scene.month()["archive"].is_object(), is_told, "{point:?}");
        let listed = Scene::all(&scene.client, &format!("period={MONTH}&limit=200")).await;
        assert_eq!(i64::try_from(listed.len()).unwrap(), JOBS, "{point:?}");

        let again = scene.archive();
        assert_eq!(again["archived"], !is_told, "{point:?}");
        assert_eq!(again["archive"]["sha256"], expected, "{point:?}");
        let folder = scene.file().parent().unwrap().to_owned();
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "{point:?}");
        scene.archive_and_drop();
        let listed = Scene::all(&scene.client, &format!("period={MONTH}&limit=200")).await;
        assert_eq!(i64::try_from(listed.len()).unwrap(), JOBS, "{point:?}");
    }
}

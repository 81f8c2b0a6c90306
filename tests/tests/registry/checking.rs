//! `rolecall targets check`: a line for each target, what is wrong below, and the exit code.

use rolecall_tests::{Installation, Running};
use serde_json::json;

use super::{ends, json as printed, targets};

#[tokio::test]
async fn all_targets_are_asked_and_the_exit_code_says_whether_all_are_well() {
    let rolecall = Running::start("checked").await;
    let [first, second] =
        [rolecall.target(1), rolecall.target(2)].map(|target| format!("dev/{}", target.database));
    let well = ends(&rolecall, &["check", "--all"], 0);
    let row = |name: &str, text: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    for name in [&first, &second] {
        let row = row(name, &well);
        assert!(row.contains(" ok ") && row.contains("role_create"), "{row}");
    }
    let count = rolecall.targets().len();
    assert!(
        well.starts_with("TARGET") && well.ends_with(&format!("{count} of {count} are well\n")),
        "{well}"
    );

    // One that nobody may log in to, one that is not there, and one that is not asked.
    let wrong = rolecall.dir().join("wrong");
    std::fs::write(&wrong, "not-its-password\n").unwrap();
    let login = ["--login-user", "role_create", "--password-file", wrong.to_str().unwrap()];
    ends(&rolecall, &[&["set", &first][..], &login].concat(), 0);
    ends(
        &rolecall,
        &[&["add", "lab/away", "--hostname", "127.0.0.1", "--port", "1"][..], &login].concat(),
        0,
    );
    ends(&rolecall, &["add", "lab/off", "--hostname", "db1", "--inactive", "--trust-hosts"], 0);
    let output = targets(&rolecall, &["check", "--all"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(row(&first, &text).contains(" refused "), "{text}");
    assert!(row("lab/away", &text).contains(" refused "), "{text}");
    assert!(row(&second, &text).contains(" ok "), "{text}");
    assert!(!text.contains("lab/off"), "{text}");
    assert!(text.contains(&format!("{first}: the server refuses the log-in (28P01)")), "{text}");
    assert!(text.contains("give the target a log-in that the server lets in"), "{text}");
    assert!(text.ends_with(&format!("{} of {} are well\n", count - 1, count + 1)), "{text}");

    let answer = printed(&rolecall, &["check", "--all"], 1);
    assert_eq!(answer["ok"], json!(false));
    let told = answer["targets"].as_array().unwrap();
    let ok: Vec<_> = told.iter().filter(|target| target["ok"] == json!(true)).collect();
    assert_eq!((told.len(), ok.len()), (count + 1, count - 1));
    assert!(
        ok.iter().all(|target| target["server_version"].is_string() && target["createrole"] == json!(true))
    );

    assert_eq!(printed(&rolecall, &["check", &second], 0)["targets"].as_array().unwrap().len(), 1);
    assert!(ends(&rolecall, &["check", "dev/nothing"], 1).contains("rolecall targets list"));
    ends(&rolecall, &["check"], 2);
    ends(&rolecall, &["check", "--all", &second], 2);
}

#[tokio::test]
async fn nothing_to_check_is_well() {
    let rolecall = Installation::new("unchecked").await;
    assert_eq!(ends(&rolecall, &["check", "--all"], 0), "there is no active target\n");
    assert_eq!(printed(&rolecall, &["check", "--all"], 0), json!({ "ok": true, "targets": [] }));
    assert!(ends(&rolecall, &["list"], 0).contains("rolecall targets add"));
}

//! An api with jobs that ended long ago.

use std::path::PathBuf;
use std::process::Output;

use jiff::{SignedDuration, Timestamp};
use rolecall_shared::control::{Control, Settlement};
use rolecall_shared::domain::ticket::{Ending, Outcome};
use rolecall_shared::domain::{
    Actor, Code, DatabaseName, Env, Job, KindName, Operation, Period, Rights, RoleName, TargetKey, TicketId,
};
use rolecall_tests::installation::run_well;
use rolecall_tests::process::{Process, Role};
use rolecall_tests::{Answer, Client, Installation};
use serde_json::Value;

/// The month in which most of the tests' jobs ended.
pub(crate) const MONTH: &str = "2025-03";

/// More than two blocks of a file.
pub(crate) const JOBS: i64 = 600;

/// An installation whose api runs; nobody works.
pub(crate) struct Scene {
    pub(crate) client: Client,
    pub(crate) api: Process,
    pub(crate) control: Control,
    pub(crate) rolecall: Installation,
}

impl Scene {
    /// With a folder for archives.
    pub(crate) async fn new(name: &str) -> Self {
        let mut rolecall = Installation::new(name).await;
        let folder = rolecall.dir().join("archive");
        std::fs::create_dir(&folder).unwrap();
        rolecall.set("history.archive_folder", folder.display().to_string());
        rolecall.set("history.keep_months", "1");
        Self::of(rolecall).await
    }

    pub(crate) async fn of(rolecall: Installation) -> Self {
        let control = Control::new(&rolecall.control.settings()).unwrap();
        let api = rolecall.start(Role::Api).await;
        Self { client: rolecall.client(&api), api, control, rolecall }
    }

    /// The same with the month's jobs.
    pub(crate) async fn with_jobs(name: &str) -> (Self, Vec<Settlement>) {
        let scene = Self::new(name).await;
        let jobs = jobs(MONTH, JOBS);
        scene.control.settle(&jobs).await.unwrap();
        (scene, jobs)
    }

    pub(crate) fn file(&self) -> PathBuf {
        let folder = PathBuf::from(self.rolecall.setting("history.archive_folder").unwrap());
        folder.join(format!("rolecall-history-{MONTH}.ndjson.gz"))
    }

    /// `rolecall history …`, which must end well; its JSON.
    pub(crate) fn history(&self, arguments: &[&str]) -> Value {
        let command = [&["history"], arguments, &["--json"]].concat();
        let out = run_well(&self.rolecall.environment(), self.rolecall.dir(), &command);
        serde_json::from_str(&out).expect("JSON")
    }

    /// The same, which must fail; what it says on standard error.
    pub(crate) fn refused(&self, arguments: &[&str], exit_code: i32) -> String {
        let Output { status, stderr, .. } = self.rolecall.run(&[&["history"], arguments].concat());
        assert_eq!(status.code(), Some(exit_code), "{}", String::from_utf8_lossy(&stderr));
        String::from_utf8_lossy(&stderr).into_owned()
    }

    /// Archives the month of the jobs.
    pub(crate) fn archive(&self) -> Value {
        self.history(&["archive", "--period", MONTH])
    }

    /// Has it in the file alone.
    pub(crate) fn archive_and_drop(&self) {
        let maintained = self.history(&["maintain"]);
        let dropped = maintained["dropped"].as_array().unwrap();
        assert!(dropped.iter().any(|month| month["period"] == MONTH), "{maintained}");
    }

    /// What `rolecall history list` says of the month.
    pub(crate) fn month(&self) -> Value {
        let months = self.history(&["list"]);
        let month =
            months["months"].as_array().unwrap().iter().find(|month| month["period"] == MONTH).cloned();
        month.unwrap_or(Value::Null)
    }

    /// The list as somebody sees it, all pages of it.
    pub(crate) async fn all(client: &Client, query: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = client.get(&format!("/api/v2/tickets?{query}{cursor}")).await.expect(200);
            items.extend_from_slice(page.list("items"));
            match page.find("next_cursor") {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}

pub(crate) fn tickets(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["ticket"].as_str().unwrap().to_owned()).collect()
}

/// The tickets of a page.
pub(crate) fn of_page(answer: &Answer) -> Vec<String> {
    tickets(answer.list("items"))
}

/// So many jobs that ended in a month, a minute after the other, all sorts of them mixed. Newest last.
pub(crate) fn jobs(month: &str, count: i64) -> Vec<Settlement> {
    let start = Period::parse(month).unwrap().start() + SignedDuration::from_hours(1);
    (0..count).map(|number| job(number, start + SignedDuration::from_mins(number))).collect()
}

/// The job of that number.
pub(crate) fn job(number: i64, finished_at: Timestamp) -> Settlement {
    let pick = |from: &[&str]| from[usize::try_from(number).unwrap() % from.len()].to_owned();
    let account = pick(&["ci", "qa", "ops"]);
    let kind = KindName::parse(&pick(&["devqa", "devqa", "dba", "app"])).unwrap();
    let role = RoleName::from_stored(&format!("role_{}", number % 50)).unwrap();
    let operation = match number % 5 {
        0 => Operation::ResetPassword { role },
        _ => Operation::CreateRole { kind, role },
    };
    let ending = match number % 7 {
        0 => Ending::Failed { code: Code::PermissionDenied, detail: "it may not".into() },
        1 => Ending::Cancelled,
        2 => Ending::Expired,
        _ => Ending::Succeeded {
            outcome: Outcome::Created,
            missing: Vec::new(),
            secret_expires_at: None,
            kind: (number % 5 == 0).then(|| KindName::parse("dba").unwrap()),
        },
    };
    let metadata = match number % 4 {
        0 => [("pipeline".to_owned(), (number % 8).to_string()), ("team".to_owned(), "o'b\"".to_owned())]
            .into(),
        _ => std::collections::BTreeMap::new(),
    };
    let submitted_at = finished_at - SignedDuration::from_secs(7);
    let job = Job {
        ticket: TicketId::new(submitted_at),
        operation,
        target: TargetKey {
            env: Env::parse(&pick(&["dev", "qa"])).unwrap(),
            database: DatabaseName::parse(&pick(&["app", "billing", "app"])).unwrap(),
        },
        host: pick(&["db1:5432", "db2:5432"]).parse().unwrap(),
        actor: Actor { owner: account.clone(), account, address: None, via: Some("basic".into()) },
        fingerprint: "f".repeat(64),
        submitted_at,
        deadline_at: submitted_at + SignedDuration::from_mins(15),
        metadata,
        rights: Rights::all(),
        replay_of: None,
        callback: None,
    };
    Settlement { job, ending, finished_at, attempts: 0 }
}

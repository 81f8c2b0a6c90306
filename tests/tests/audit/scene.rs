//! A control database with a ledger in it, a key, and the commands of an auditor.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use jiff::Timestamp;
use rolecall_shared::audit::{PublicKey, SigningKey, load_key};
use rolecall_shared::control::{Control, Due};
use rolecall_shared::domain::{Actor, Event, EventName};
use rolecall_tests::control::ControlDatabase;
use rolecall_tests::installation::{run, run_well, settings::environment};
use rolecall_tests::stack::Stack;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Rows of each of the three blocks that [`Scene::with_rows`] makes.
pub const BLOCK: i64 = 5;

pub struct Scene {
    pub database: ControlDatabase,
    pub control: Control,
    pub superuser: tokio_postgres::Client,
    pub key: SigningKey,
    dir: TempDir,
    environment: BTreeMap<String, String>,
}

pub fn event(number: i64) -> Event {
    let actor = Actor {
        account: "ci".into(),
        owner: "ci".into(),
        address: Some("192.0.2.7".into()),
        via: Some("basic".into()),
    };
    let at = Timestamp::from_second(1_800_000_000 + number).unwrap();
    Event { detail: json!({ "n": number }), ..Event::new(EventName::SessionOpened, at, actor) }
}

/// So many, with numbers that follow each other.
pub fn events(count: i64) -> Vec<Event> {
    (1..=count).map(event).collect()
}

impl Scene {
    /// Nothing in it.
    pub async fn empty() -> Self {
        let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
        let dir = tempfile::Builder::new().prefix("rolecall-audit-").tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let settings = BTreeMap::from([
            ("control.url".to_owned(), database.writer_url.clone()),
            ("audit.signing_key_file".to_owned(), path("audit.key")),
            ("audit.checkpoint_file".to_owned(), path("checkpoints")),
        ]);
        let environment = environment(&settings);
        run_well(&environment, dir.path(), &["audit", "key", "create", "--name", "audit.example.com"]);
        let key = load_key(&dir.path().join("audit.key")).unwrap();
        let superuser = database.superuser().await;
        Self { database, control, superuser, key, dir, environment }
    }

    /// Three blocks of five rows; a checkpoint after the first and after the last, both kept outside as well.
    pub async fn with_rows() -> Self {
        let scene = Self::empty().await;
        for block in 0..3 {
            let rows: Vec<_> = (1..=BLOCK).map(|row| event(block * BLOCK + row)).collect();
            scene.control.record_all(&rows).await.unwrap();
            if block != 1 {
                scene.sign().await;
            }
        }
        scene
    }

    /// Signs a checkpoint now, and keeps it outside.
    pub async fn sign(&self) {
        let due = Due { every: Duration::ZERO, rows: i64::MAX };
        // With no time between them one is always due: the call would sign as many as it may.
        let due = Due { every: self.since_newest().await, ..due };
        let notes = self.control.sign_due(&self.key, due).await.unwrap();
        assert!(!notes.is_empty());
        let file = self.file("checkpoints");
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::write(&file, kept + &notes[..1].concat()).unwrap();
        assert_eq!(notes.len(), 1);
    }

    /// The time that has passed since the newest checkpoint, or a little less.
    async fn since_newest(&self) -> Duration {
        let sql = "SELECT coalesce(extract(epoch FROM clock_timestamp() - max(at)), 1)::float8 FROM audit_checkpoints";
        Duration::from_secs_f64(self.superuser.query_one(sql, &[]).await.unwrap().get(0))
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn public_key(&self) -> &PublicKey {
        self.key.public()
    }

    /// Runs `rolecall audit …`.
    pub fn audit(&self, arguments: &[&str]) -> Output {
        run(&self.environment, self.dir.path(), &[&["audit"], arguments].concat())
    }

    /// The same, which must succeed; what it printed.
    pub fn audit_well(&self, arguments: &[&str]) -> String {
        run_well(&self.environment, self.dir.path(), &[&["audit"], arguments].concat())
    }

    /// What `rolecall audit verify --json` says; its exit code must say the same.
    pub fn verify(&self, arguments: &[&str]) -> Value {
        let output = self.audit(&[&["verify", "--json"], arguments].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let said: Value = serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(output.status.code(), Some(i32::from(said["ok"] != true)), "{said}");
        said
    }

    /// As a superuser whom no trigger stops.
    pub async fn tamper(&self, sql: &str) {
        let sql = format!("SET session_replication_role = replica; {sql}; RESET session_replication_role");
        self.superuser.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// How many rows, and how many blocks.
    pub async fn counts(&self) -> (i64, i64) {
        let sql = "SELECT (SELECT count(*) FROM audit_ledger), (SELECT count(*) FROM audit_blocks)";
        let row = self.superuser.query_one(sql, &[]).await.unwrap();
        (row.get(0), row.get(1))
    }
}

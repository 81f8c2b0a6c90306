//! Making an installation.

use std::collections::BTreeMap;

use super::{Installation, run_well, settings};
use crate::control::{ControlDatabase, unique};
use crate::stack::Stack;
use crate::target::Target;

/// An installation that is not made yet.
#[derive(Debug)]
pub struct Builder {
    name: String,
    stack: Option<Stack>,
    changes: BTreeMap<String, String>,
    is_migrated: bool,
    has_key: bool,
}

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        let changes = BTreeMap::from([
            // Stretching a password 4096 times takes 20 ms unoptimised; tests make thousands.
            ("target.scram_iterations".to_owned(), "64".to_owned()),
            // Tests wait for what these wait for.
            ("worker.reap_milliseconds".to_owned(), "100".to_owned()),
            ("worker.sweep_seconds".to_owned(), "1".to_owned()),
            ("log.filter".to_owned(), "info,rolecall=debug,rolecall_shared=debug".to_owned()),
        ]);
        Self { name: name.to_owned(), stack: None, changes, is_migrated: true, has_key: true }
    }

    /// States a setting by its key: `.set("worker.linger_milliseconds", "50")`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        self.changes.insert(key.to_owned(), value.into());
        self
    }

    /// On a stack of its own instead of the shared one, for tests that end servers.
    #[must_use]
    pub fn on(mut self, stack: &Stack) -> Self {
        self.stack = Some(stack.clone());
        self
    }

    /// Leaves the control database empty.
    #[must_use]
    pub fn without_migrations(mut self) -> Self {
        self.is_migrated = false;
        self
    }

    /// Makes no keys.
    #[must_use]
    pub fn without_key(mut self) -> Self {
        self.has_key = false;
        self
    }

    /// Makes everything, and runs `rolecall migrate`, `rolecall keys add` and `rolecall audit key create`.
    pub async fn create(self) -> Installation {
        let stack = self.stack.unwrap_or_else(|| Stack::shared().clone());
        let id = unique();
        let (control, targets) = futures_util::future::join(
            ControlDatabase::create(&stack),
            futures_util::future::join_all(
                (1..=stack.target_count()).map(|number| Target::private(&stack, number, &id)),
            ),
        )
        .await;
        let dir = tempfile::Builder::new()
            .prefix(&format!("rolecall-{}-", self.name))
            .tempdir()
            .expect("the temporary folder can be written");
        let (user, password) = ("tester".to_owned(), unique());

        let key_file = dir.path().join("seal.keys");
        let mut settings = settings::of(&stack, &control, &targets, &key_file, &format!("t{id}"));
        settings.insert("account.user".to_owned(), user.clone());
        settings.insert("account.password".to_owned(), password.clone());
        settings.extend(self.changes);

        let installation = Installation { id, stack, control, user, password, settings, targets, dir };
        let environment = installation.environment();
        if self.is_migrated {
            run_well(&environment, installation.dir(), &["migrate"]);
        }
        if self.has_key {
            run_well(&environment, installation.dir(), &["keys", "add"]);
            run_well(&environment, installation.dir(), &["audit", "key", "create"]);
        }
        installation
    }
}

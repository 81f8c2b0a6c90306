//! One operation's installation: an api that never dies, roles to work on, and processes that come and go.

use std::ops::Deref;
use std::os::unix::process::ExitStatusExt;

use rolecall_shared::failpoints::Failpoint;
use rolecall_tests::process::{Process, Role};
use rolecall_tests::{Client, Installation, Target, binary};
use serde_json::Value;

use crate::operation::Operation;

/// What `abort` ends a process with.
const SIGABRT: i32 = 6;

pub(crate) struct Scene {
    pub(crate) operation: Operation,
    pub(crate) client: Client,
    _api: Process,
    /// Tickets that made the roles to work on; none where the operation makes its own.
    makers: Vec<Option<String>>,
    installation: Installation,
}

/// One role, one job, one crash.
pub(crate) struct Case {
    pub(crate) role: String,
    pub(crate) maker: Option<String>,
    pub(crate) job: Value,
    pub(crate) key: String,
}

impl Scene {
    /// For so many cases.
    pub(crate) async fn new(operation: Operation, cases: usize) -> Self {
        // Built before anything has a deadline: the first build takes a while.
        binary::with_failpoints();
        let installation = Installation::new(operation.name()).await;
        let api = installation.start(Role::Api).await;
        let client = installation.client(&api);
        let target = installation.target(1);
        client.put_target("dev", &target.database, &target.registration()).await.expect(201);
        let mut scene = Self { operation, client, _api: api, makers: vec![None; cases], installation };
        if operation.needs_role() {
            let worker = scene.start(Role::Worker).await;
            for number in 0..cases {
                let job = scene.on_target(Operation::CreateRole.job(&scene.role_of(number)));
                let made = scene.client.run(&job).await.expect_outcome("created");
                scene.take(&made.id()).await;
                scene.makers[number] = Some(made.id());
            }
            assert!(worker.stop().await.success());
        }
        scene
    }

    pub(crate) fn cases(&self) -> impl Iterator<Item = Case> {
        self.makers.iter().enumerate().map(|(number, maker)| {
            let role = self.role_of(number);
            let job = self.on_target(self.operation.job(&role));
            Case { job, maker: maker.clone(), key: format!("case-{number}"), role }
        })
    }

    pub(crate) fn on(&self) -> &Target {
        self.target(1)
    }

    fn role_of(&self, number: usize) -> String {
        self.role(&format!("{}{number}", self.operation.name()))
    }

    fn on_target(&self, mut job: Value) -> Value {
        job["env"] = "dev".into();
        job["database"] = self.on().database.clone().into();
        job
    }

    /// A job that gives the role of a case another password.
    pub(crate) fn reset(&self, case: &Case) -> Value {
        self.on_target(Operation::ResetPassword.job(&case.role))
    }

    /// Takes a password that must be there.
    pub(crate) async fn take(&self, ticket: &str) -> String {
        self.client.take_secret(ticket).await.expect(200).text("password").to_owned()
    }

    /// Waits for a ticket to end as it should, and takes its password, if it makes one.
    pub(crate) async fn outcome(&self, ticket: &str) -> Option<String> {
        self.client.wait(ticket).await.expect_outcome(self.operation.outcome());
        if self.operation.makes_secret() { Some(self.take(ticket).await) } else { None }
    }
}

impl Deref for Scene {
    type Target = Installation;

    fn deref(&self) -> &Installation {
        &self.installation
    }
}

/// Waits until a process has ended there, and nowhere else.
pub(crate) async fn assert_died_at(process: &Process, point: Failpoint) {
    let status = process.ended().await;
    assert_eq!(status.signal(), Some(SIGABRT), "{}: {status}", point.name());
    let log = process.log_text();
    assert!(log.contains("failpoint") && log.contains(point.name()), "{}", process.log_tail());
}

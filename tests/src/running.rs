//! An installation with its processes running and its targets registered.

use std::ops::Deref;

use crate::client::Client;
use crate::installation::{Builder, Installation};
use crate::process::{Process, Role};
use crate::stack::Stack;

/// One api, one worker, and a client that may do everything. Derefs to the [`Installation`].
#[derive(Debug)]
pub struct Running {
    /// The caller, with the bootstrap account.
    pub client: Client,
    /// `rolecall api`
    pub api: Process,
    /// `rolecall worker`
    pub worker: Process,
    // Last: its folder outlives the processes that log into it.
    installation: Installation,
}

impl Running {
    /// A new installation, started; see [`Builder::start`].
    pub async fn start(name: &str) -> Self {
        Installation::builder(name).start().await
    }

    /// The same on a stack of its own, for tests that end servers.
    pub async fn on(stack: &Stack, name: &str) -> Self {
        Installation::builder(name).on(stack).start().await
    }

    /// Ends the worker as SIGTERM would and starts another, with the settings of now.
    pub async fn restart_worker(&mut self) {
        self.worker.stop().await;
        self.worker = self.installation.start(Role::Worker).await;
    }

    /// Changes a setting for processes that are started from now on.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.installation.set(key, value);
    }

    /// Leaves a setting to its default for processes that are started from now on.
    pub fn unset(&mut self, key: &str) {
        self.installation.unset(key);
    }
}

impl Deref for Running {
    type Target = Installation;

    fn deref(&self) -> &Installation {
        &self.installation
    }
}

impl Builder {
    /// Makes the installation, starts api and worker, and registers every target in the env `dev`.
    pub async fn start(self) -> Running {
        let installation = self.create().await;
        let (api, worker) =
            futures_util::future::join(installation.start(Role::Api), installation.start(Role::Worker)).await;
        let client = installation.client(&api);
        for target in installation.targets() {
            client.put_target("dev", &target.database, &target.registration()).await.expect(201);
        }
        Running { client, api, worker, installation }
    }
}

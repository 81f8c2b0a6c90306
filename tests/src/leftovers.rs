//! What earlier suites left on the shared servers: a test makes databases of its own, of 8 MB each, and a whole run
//! makes over a thousand of them.

use std::fs::File;
use std::path::Path;
use std::sync::OnceLock;

use futures_util::future::join_all;

use crate::control::connect;
use crate::stack::Stack;

/// The name of a test's database has [`unique`](crate::control::unique) text in it.
const OF_TESTS: &str = "SELECT quote_ident(datname) FROM pg_database WHERE datname ~ '[0-9a-f]{16}'";

/// Drops the databases of tests that have ended, unless another process uses the stack. From now on this one uses it.
pub(crate) fn remove(stack: &Stack) {
    static IN_USE: OnceLock<File> = OnceLock::new();
    let path = Path::new(stack.get("STACK_DIR")).join("tests.lock");
    let lock = File::create(path).expect("the folder of the stack can be written");
    if lock.try_lock().is_ok() {
        // Whoever asks may be in a runtime already.
        std::thread::scope(|scope| {
            scope.spawn(|| drop_databases(stack)).join().expect("the databases of tests can be dropped");
        });
        lock.unlock().expect("a file can be unlocked");
    }
    lock.lock_shared().expect("a file can be locked");
    IN_USE.get_or_init(|| lock);
}

fn drop_databases(stack: &Stack) {
    let targets = (1..=stack.target_count()).map(|number| format!("STACK_TARGET_{number}_URL"));
    let servers = targets.chain(["STACK_CONTROL_URL".to_owned()]).map(async |key| {
        let server = connect(stack.get(&key)).await;
        for row in server.query(OF_TESTS, &[]).await.expect("anybody may list databases") {
            let name: String = row.get(0);
            let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            server.batch_execute(&statement).await.expect("a superuser may drop databases");
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(join_all(servers.collect::<Vec<_>>()));
}

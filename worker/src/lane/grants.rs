//! Step 3b: what a read-only role may read, granted in its own database after the COMMIT that made it.
//!
//! The role is made and its password works. So whatever goes wrong here is said in the result and not hidden behind
//! a failure; only a host that is lost altogether stops the lane.

use std::time::Duration;

use rolecall_shared::domain::{Profile, RoleName, Target};
use rolecall_shared::failpoints::{Failpoint, reach};
use rolecall_shared::retry::delay_after;
use rolecall_shared::target::{Connector, Purpose, Session, TargetError, Verdict};

/// How often it is tried before it is left as missing.
const TRIES: u32 = 3;

/// Grants reading, as far as the server lets us; answers what is missing, in words. Can be repeated.
pub(super) async fn grant_reading(
    connector: &Connector,
    target: &Target,
    role: &RoleName,
    profile: &Profile,
    lock: &Session,
) -> Result<Vec<String>, TargetError> {
    for tries in 0.. {
        let error = match once(connector, target, role, profile, lock).await {
            Ok(missing) => return Ok(missing),
            Err(error) => error,
        };
        // Without the host lock nothing may be changed any more.
        lock.ping().await?;
        let passes = matches!(error.verdict, Verdict::Host { .. } | Verdict::TryAgain);
        if !passes || tries + 1 >= TRIES {
            return Ok(vec![format!("every grant of reading: {}", error.verdict)]);
        }
        tokio::time::sleep(delay_after(tries, Duration::from_millis(100), Duration::from_secs(1))).await;
    }
    Ok(Vec::new())
}

async fn once(
    connector: &Connector,
    target: &Target,
    role: &RoleName,
    profile: &Profile,
    lock: &Session,
) -> Result<Vec<String>, TargetError> {
    reach(Failpoint::BeforeGrants);
    let session = connector.open(target, &target.key.database, Purpose::Grants).await?;
    let missing = session.grant_reading(role, &profile.read_only_schemas, lock).await;
    session.close().await;
    reach(Failpoint::AfterGrants);
    missing
}

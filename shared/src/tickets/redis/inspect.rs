//! A look at the ticket store for people.

use std::collections::HashMap;

use redis::{InfoDict, cmd};

use super::link;
use crate::config;
use crate::domain::{Code, Failure};

/// How Redis is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreReport {
    /// Such as `7.0.15`.
    pub version: String,
    /// `maxmemory-policy`.
    pub eviction: String,
    /// `appendonly`.
    pub append_only: bool,
    /// `appendfsync`; none where our user may not ask (`CONFIG GET`).
    pub append_fsync: Option<String>,
    /// Whether it is one of a cluster, over which our scripts cannot run.
    pub cluster: bool,
}

/// Connects, asks and leaves, within `redis.timeout` for each step.
///
/// # Errors
/// `Code::TicketStoreUnavailable` when it cannot be reached, refuses the log-in or does not answer.
pub async fn inspect(settings: &config::Redis) -> Result<StoreReport, Failure> {
    let client = link::client(settings)?;
    let away = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Failure::new(Code::TicketStoreUnavailable, "Redis cannot be reached, or refuses us.").caused_by(cause)
    };
    let asked = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        let info: InfoDict = cmd("INFO").query_async(&mut connection).await?;
        let fsync: Result<HashMap<String, String>, _> =
            cmd("CONFIG").arg("GET").arg("appendfsync").query_async(&mut connection).await;
        Ok::<_, redis::RedisError>((info, fsync.ok().and_then(|mut found| found.remove("appendfsync"))))
    };
    let (info, append_fsync) = tokio::time::timeout(settings.timeout.saturating_mul(3), asked)
        .await
        .map_err(|elapsed| away(elapsed.into()))?
        .map_err(|error| away(error.into()))?;
    let text = |name: &str| info.get::<String>(name).unwrap_or_default();
    Ok(StoreReport {
        version: text("redis_version"),
        eviction: text("maxmemory_policy"),
        append_only: text("aof_enabled") == "1",
        append_fsync,
        cluster: text("cluster_enabled") == "1",
    })
}

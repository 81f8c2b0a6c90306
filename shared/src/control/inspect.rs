//! A look at the control database for people.

use super::Control;
use crate::domain::Failure;

/// How the control database is, as the writer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlReport {
    /// Such as `15.8`.
    pub server_version: String,
    /// The role we are.
    pub user: String,
    /// Whether that role could change or remove rows of the audit: it owns them, is a superuser, or was granted it.
    pub may_rewrite_audit: bool,
}

impl Control {
    /// Looks at the server and at our rights. The database must be migrated.
    pub async fn inspect(&self) -> Result<ControlReport, Failure> {
        let report = self
            .pool
            .run(async |client| {
                let row = client.query_typed_one(INSPECT, &[]).await?;
                Ok(ControlReport {
                    server_version: row.try_get(0)?,
                    user: row.try_get(1)?,
                    may_rewrite_audit: row.try_get(2)?,
                })
            })
            .await?;
        Ok(report)
    }
}

const INSPECT: &str = "\
    SELECT current_setting('server_version'), current_user::text, \
           has_table_privilege('audit_inbox', 'UPDATE, DELETE, TRUNCATE') \
           OR has_table_privilege('audit_ledger', 'UPDATE, DELETE, TRUNCATE') \
           OR has_table_privilege('audit_blocks', 'UPDATE, DELETE, TRUNCATE') \
           OR has_table_privilege('audit_checkpoints', 'UPDATE, DELETE, TRUNCATE') \
           OR has_table_privilege('secrets_taken', 'UPDATE, DELETE, TRUNCATE') \
           OR has_table_privilege('history', 'UPDATE, DELETE, TRUNCATE') \
           OR has_table_privilege('history_tickets', 'UPDATE, DELETE, TRUNCATE')";

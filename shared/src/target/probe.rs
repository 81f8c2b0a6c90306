//! What must be known of roles before anything is done to them.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use crate::domain::{Mark, RoleName};

use super::reading::{column, mark, raw};
use super::{Session, TargetError};

/// What is known of a role before DDL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleProbe {
    /// The proof that a ticket made it.
    pub mark: Option<Mark>,
    /// Why it is never touched through Rolecall, in words that follow "the role is …"; `None` if it may be.
    pub protected: Option<&'static str>,
}

const ON_THE_LIST: &str = "on the list of protected roles";

/// One round trip for a whole batch. A member can `SET ROLE` to what it is a member of, so membership counts over
/// any number of steps; that includes members of the role we are logged in as.
const PROBE: &str = concat!(
    "
    WITH RECURSIVE above (role, ancestor) AS (
        SELECT r.oid, m.roleid FROM pg_roles r JOIN pg_auth_members m ON m.member = r.oid
        WHERE r.rolname = ANY ($1)
      UNION
        SELECT a.role, m.roleid FROM above a JOIN pg_auth_members m ON m.member = a.ancestor
    ), inherited AS (
        SELECT a.role,
               bool_or(u.rolsuper) AS super,
               bool_or(u.rolreplication) AS replication,
               bool_or(u.rolname IN ('pg_execute_server_program', 'pg_read_server_files',
                                     'pg_write_server_files')) AS files,
               bool_or(u.rolname = session_user) AS self
        FROM above a JOIN pg_roles u ON u.oid = a.ancestor
        GROUP BY a.role
    )
    SELECT r.rolname::text, ",
    raw!("shobj_description(r.oid, 'pg_authid')"),
    ",
           CASE WHEN r.rolname = session_user THEN 'self'
                WHEN r.rolsuper THEN 'super'
                WHEN r.rolreplication THEN 'replication'
                WHEN starts_with(r.rolname::text, 'pg_') THEN 'system'
                WHEN i.super THEN 'member_super'
                WHEN i.replication THEN 'member_replication'
                WHEN i.files THEN 'member_files'
                WHEN i.self THEN 'member_self' END
    FROM pg_roles r LEFT JOIN inherited i ON i.role = r.oid
    WHERE r.rolname = ANY ($1)"
);

/// The words for a reason of the query. A reason nobody knows protects as well.
fn words(reason: &str) -> &'static str {
    match reason {
        "self" => "the one Rolecall itself logs in as",
        "super" => "a superuser",
        "replication" => "a replication role",
        "system" => "a system role",
        "member_super" => "a member of a superuser",
        "member_replication" => "a member of a replication role",
        "member_files" => "a member of a role that may read or write the server's files or run its programs",
        "member_self" => "a member of the role Rolecall itself logs in as",
        _ => "protected",
    }
}

impl Session {
    /// Looks at roles by name. The answer has an entry for every role that exists, and for every name on the list
    /// of protected roles even if no such role exists: nobody makes one through Rolecall either.
    pub async fn probe(&self, roles: &[RoleName]) -> Result<BTreeMap<RoleName, RoleProbe>, TargetError> {
        let names: Vec<&str> = roles.iter().map(RoleName::as_str).collect();
        let rows = self.query(PROBE, &[(&names, Type::NAME_ARRAY)]).await?;
        let mut known = BTreeMap::new();
        for row in rows {
            let (name, reason): (&str, Option<&str>) = (column(&row, 0)?, column(&row, 2)?);
            let Some(role) = roles.iter().find(|role| role.as_str() == name) else { continue };
            let probe = RoleProbe { mark: mark(&row, 1)?, protected: reason.map(words) };
            known.insert(role.clone(), probe);
        }
        for role in roles.iter().filter(|role| self.protected_roles().contains(role)) {
            known.entry(role.clone()).or_default().protected.get_or_insert(ON_THE_LIST);
        }
        Ok(known)
    }
}

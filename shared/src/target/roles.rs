//! Roles as people ask for them.

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::domain::{DatabaseName, Mark, RoleName};

use super::reading::{column, mark, raw, shown, texts};
use super::{Session, TargetError};

/// A role with everything people ask about it.
#[expect(clippy::struct_excessive_bools, reason = "PostgreSQL's attributes of a role")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleInfo {
    /// Its name; may be one that Rolecall would not make.
    pub name: String,
    /// SUPERUSER.
    pub superuser: bool,
    /// CREATEDB.
    pub createdb: bool,
    /// CREATEROLE.
    pub createrole: bool,
    /// REPLICATION.
    pub replication: bool,
    /// LOGIN.
    pub login: bool,
    /// CONNECTION LIMIT; -1 is none.
    pub connection_limit: i32,
    /// VALID UNTIL; `None` also for `infinity` and for years outside 1 to 9998.
    pub valid_until: Option<Timestamp>,
    /// `name=value`, for the role in every database.
    pub settings: Vec<String>,
    /// `name=value`, for the role in the session's database.
    pub database_settings: Vec<String>,
    /// The proof that a ticket made it.
    pub mark: Option<Mark>,
    /// The roles it is a direct member of, by name.
    pub member_of: Vec<String>,
}

/// `$1`: only this role; `$2`: only names after this one, and `$3` the same in bytes; `$4`: how many. Names sort by
/// bytes, so that a page begins where the last one ended whatever the database's collation is.
const ROLES: &str = concat!(
    "
    SELECT ",
    raw!("r.rolname::text"),
    ", ",
    shown!("r.rolname::text"),
    ", r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolcanlogin, r.rolconnlimit,
           CASE WHEN r.rolvaliduntil >= '0001-01-02' AND r.rolvaliduntil < '9999-01-01'
                THEN r.rolvaliduntil END,
           ARRAY(SELECT ",
    shown!("c.setting"),
    " FROM pg_db_role_setting s, unnest(s.setconfig) WITH ORDINALITY c (setting, nth)
                 WHERE s.setrole = r.oid AND s.setdatabase = 0 ORDER BY c.nth),
           ARRAY(SELECT ",
    shown!("c.setting"),
    " FROM pg_db_role_setting s
                 JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = current_database(),
                      unnest(s.setconfig) WITH ORDINALITY c (setting, nth)
                 WHERE s.setrole = r.oid ORDER BY c.nth),
           ",
    raw!("shobj_description(r.oid, 'pg_authid')"),
    ",
           ARRAY(SELECT ",
    shown!("g.name"),
    " FROM (SELECT DISTINCT u.rolname::text COLLATE \"C\" AS name FROM pg_auth_members m
                       JOIN pg_roles u ON u.oid = m.roleid WHERE m.member = r.oid) g ORDER BY g.name)
    FROM pg_roles r
    WHERE NOT starts_with(r.rolname::text, 'pg_')
      AND ($1::text IS NULL OR r.rolname = $1::name)
      AND ($2::text IS NULL OR r.rolname::text COLLATE \"C\" > $2)
      AND ($3::bytea IS NULL OR ",
    raw!("r.rolname::text"),
    " > $3)
    ORDER BY r.rolname::text COLLATE \"C\"
    LIMIT $4"
);

impl Session {
    /// The roles of the host by name, without the system's (`pg_*`) and without those whose name is no
    /// UTF-8: at most `limit` after the name `after`.
    pub async fn list_roles(&self, after: Option<&str>, limit: usize) -> Result<Vec<RoleInfo>, TargetError> {
        self.read_roles(None, after, limit).await
    }

    /// One role.
    pub async fn find_role(&self, role: &RoleName) -> Result<Option<RoleInfo>, TargetError> {
        Ok(self.read_roles(Some(role.as_str()), None, 1).await?.pop())
    }

    /// Whether the host has a database of this name.
    pub async fn database_exists(&self, database: &DatabaseName) -> Result<bool, TargetError> {
        let sql = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)";
        column(&self.query_one(sql, &[(&database.as_str(), Type::NAME)]).await?, 0)
    }

    async fn read_roles(
        &self,
        only: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RoleInfo>, TargetError> {
        let mut found = Vec::new();
        let mut passed: Option<Vec<u8>> = None;
        while found.len() < limit {
            let wanted = limit - found.len();
            let at_most = i64::try_from(wanted).unwrap_or(i64::MAX);
            let params = [
                (&only as _, Type::TEXT),
                (&after as _, Type::TEXT),
                (&passed as _, Type::BYTEA),
                (&at_most as _, Type::INT8),
            ];
            let rows = self.query(ROLES, &params).await?;
            for row in &rows {
                found.extend(role_info(row)?);
            }
            match rows.last() {
                // Some were left out, so the page is not full yet.
                Some(last) if rows.len() >= wanted => passed = Some(column(last, 0)?),
                Some(_) | None => break,
            }
        }
        Ok(found)
    }
}

/// `None` for a role whose name is no UTF-8: nobody could ask for it.
fn role_info(row: &Row) -> Result<Option<RoleInfo>, TargetError> {
    let Ok(name) = std::str::from_utf8(column(row, 1)?) else { return Ok(None) };
    Ok(Some(RoleInfo {
        name: name.to_owned(),
        superuser: column(row, 2)?,
        createdb: column(row, 3)?,
        createrole: column(row, 4)?,
        replication: column(row, 5)?,
        login: column(row, 6)?,
        connection_limit: column(row, 7)?,
        valid_until: column(row, 8)?,
        settings: texts(row, 9)?,
        database_settings: texts(row, 10)?,
        mark: mark(row, 11)?,
        member_of: texts(row, 12)?,
    }))
}

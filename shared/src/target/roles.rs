//! Roles as people ask for them.

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::domain::{DatabaseName, Mark, RoleName};

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

/// `$1`: only this role; `$2`: only names after this one; `$3`: how many. Names sort by bytes, so that a page
/// begins where the last one ended whatever the database's collation is.
const ROLES: &str = "
    SELECT r.rolname::text, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolcanlogin,
           r.rolconnlimit,
           CASE WHEN r.rolvaliduntil >= '0001-01-02' AND r.rolvaliduntil < '9999-01-01'
                THEN r.rolvaliduntil END,
           coalesce((SELECT s.setconfig FROM pg_db_role_setting s
                     WHERE s.setrole = r.oid AND s.setdatabase = 0), '{}'),
           coalesce((SELECT s.setconfig FROM pg_db_role_setting s
                     JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
                     WHERE s.setrole = r.oid), '{}'),
           shobj_description(r.oid, 'pg_authid'),
           ARRAY(SELECT DISTINCT g.rolname::text FROM pg_auth_members m
                 JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1)
    FROM pg_roles r
    WHERE NOT starts_with(r.rolname::text, 'pg_')
      AND ($1::text IS NULL OR r.rolname = $1::name)
      AND ($2::text IS NULL OR r.rolname::text COLLATE \"C\" > $2)
    ORDER BY r.rolname::text COLLATE \"C\"
    LIMIT $3";

impl Session {
    /// The roles of the host by name, without the system's (`pg_*`): at most `limit` after the name `after`.
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
        Ok(self.query_one(sql, &[(&database.as_str(), Type::NAME)]).await?.get(0))
    }

    async fn read_roles(
        &self,
        only: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RoleInfo>, TargetError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows =
            self.query(ROLES, &[(&only, Type::TEXT), (&after, Type::TEXT), (&limit, Type::INT8)]).await?;
        Ok(rows.iter().map(role_info).collect())
    }
}

fn role_info(row: &Row) -> RoleInfo {
    RoleInfo {
        name: row.get(0),
        superuser: row.get(1),
        createdb: row.get(2),
        createrole: row.get(3),
        replication: row.get(4),
        login: row.get(5),
        connection_limit: row.get(6),
        valid_until: row.get(7),
        settings: row.get(8),
        database_settings: row.get(9),
        mark: row.get::<_, Option<String>>(10).and_then(|comment| comment.parse().ok()),
        member_of: row.get(11),
    }
}

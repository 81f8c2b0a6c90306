//! `check`: can we work on this target, and if not, what has to be done?

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::reading::{column, raw, shown, text};
use super::{Session, TargetError};

/// What `check` reports.
#[expect(clippy::struct_excessive_bools, reason = "facts for people, not states of ours")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The server's version as it says it, such as `15.8`.
    pub server_version: String,
    /// The role we are logged in as.
    pub user: String,
    /// Whether this connection is encrypted.
    pub tls: bool,
    /// Whether our role is a superuser.
    pub superuser: bool,
    /// Whether our role may make roles.
    pub createrole: bool,
    /// Whether our role may make databases (and, from PostgreSQL 16 on, hand that right out).
    pub createdb: bool,
    /// Who owns the database.
    pub database_owner: String,
    /// Whether our role is a member of the owner, and so can set the owner's default privileges.
    pub member_of_owner: bool,
    /// Whether something between us and the server shares its sessions out.
    pub pooler: bool,
    /// What is wrong and what to do about it, a sentence each; empty when all is well.
    pub problems: Vec<String>,
}

/// The versions this is written for and tried on: from 140000 to under this.
const SUPPORTED: std::ops::Range<i32> = 140_000..190_000;

/// `$1`: the `statement_timeout` we asked for, in milliseconds; `$2`: what an earlier statement left behind.
const CHECK: &str = concat!(
    "
    SELECT current_setting('server_version'), current_setting('server_version_num')::int, session_user::text,
           coalesce((SELECT s.ssl FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()), false),
           r.rolsuper, r.rolcreaterole, r.rolcreatedb, ",
    shown!("o.rolname::text"),
    ",
           pg_has_role(session_user, d.datdba, 'MEMBER'), pg_is_in_recovery(),
           (SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout') = $1
             AND coalesce(current_setting('rolecall.check', true), '') = $2
    FROM pg_database d JOIN pg_roles o ON o.oid = d.datdba, pg_roles r
    WHERE d.datname = current_database() AND r.rolname = session_user"
);

impl Session {
    /// Looks at server, role and connection.
    ///
    /// A transaction pooler gives itself away in one of three ways: our session settings have not arrived, the
    /// backend changes between two statements, or what one statement sets the next does not find. One that hands
    /// out the same backend every time while it is idle, and passes settings on, is not seen.
    pub async fn check(&self) -> Result<CheckReport, TargetError> {
        let set = "SELECT set_config('rolecall.check', pg_backend_pid()::text, false), pg_backend_pid()";
        let first = self.query_one(set, &[]).await?;
        let (left_behind, first_pid): (String, i32) = (column(&first, 0)?, column(&first, 1)?);
        let second_pid: i32 = column(&self.query_one("SELECT pg_backend_pid()", &[]).await?, 0)?;
        let asked = i64::try_from(self.limits().statement.as_millis().max(1)).unwrap_or(i64::MAX);
        let row = self.query_one(CHECK, &[(&asked, Type::INT8), (&left_behind, Type::TEXT)]).await?;
        let same_session: bool = column(&row, 10)?;
        report(&row, first_pid != second_pid || !same_session)
    }
}

/// Roles with a log-in that somebody could ask us to change, and that a role with CREATEROLE alone cannot.
const BEYOND_REACH: &str = "
    SELECT count(*) FROM pg_roles r
    WHERE current_setting('server_version_num')::int >= 160000
      AND r.rolcanlogin AND NOT r.rolsuper AND NOT r.rolreplication AND r.rolname <> session_user
      AND NOT pg_has_role(session_user, r.oid, 'MEMBER WITH ADMIN OPTION')";

impl Session {
    /// How many roles our role cannot change although it has CREATEROLE: from PostgreSQL 16 on those that it holds
    /// without ADMIN OPTION ("Role Attributes" in the manual). Always 0 before.
    pub async fn count_beyond_reach(&self) -> Result<u64, TargetError> {
        let count: i64 = column(&self.query_one(BEYOND_REACH, &[]).await?, 0)?;
        Ok(count.unsigned_abs())
    }
}

fn report(row: &Row, pooler: bool) -> Result<CheckReport, TargetError> {
    let facts = Facts { version: column(row, 1)?, in_recovery: column(row, 9)? };
    let mut report = CheckReport {
        server_version: column(row, 0)?,
        user: column(row, 2)?,
        tls: column(row, 3)?,
        superuser: column(row, 4)?,
        createrole: column(row, 5)?,
        createdb: column(row, 6)?,
        database_owner: text(row, 7)?,
        member_of_owner: column(row, 8)?,
        pooler,
        problems: Vec::new(),
    };
    report.problems = problems(&report, &facts);
    Ok(report)
}

/// What the problems follow from and the report does not show.
struct Facts {
    version: i32,
    in_recovery: bool,
}

fn problems(report: &CheckReport, facts: &Facts) -> Vec<String> {
    let mut problems = Vec::new();
    let user = &report.user;
    if !SUPPORTED.contains(&facts.version) {
        let version = &report.server_version;
        problems.push(format!("PostgreSQL {version} is not supported; versions 14 to 18 are."));
    }
    if report.pooler {
        problems.push(
            "A connection pooler in transaction mode stands before the server and would break the host lock; \
             register the server's own host and port."
                .to_owned(),
        );
    }
    if facts.in_recovery {
        problems.push(
            "The server is a standby and read only: jobs wait until it is promoted; register the primary."
                .to_owned(),
        );
    }
    if !report.superuser && !report.createrole {
        problems.push(format!(
            "{user} has no CREATEROLE: it can neither make roles nor change them; as a superuser run \
             ALTER ROLE … CREATEROLE for it."
        ));
    }
    // From 16 on, CREATEROLE hands out only what it has itself ("Role Attributes" in the manual).
    if facts.version >= 160_000 && !report.superuser && report.createrole && !report.createdb {
        problems.push(format!(
            "{user} has no CREATEDB, which from PostgreSQL 16 on it needs to make roles that have it (dba); as a \
             superuser run ALTER ROLE … CREATEDB for it."
        ));
    }
    if !report.superuser && !report.member_of_owner {
        problems.push(format!(
            "{user} is not a member of the database's owner {owner}: read-only roles will not see tables made \
             later; grant {owner} to {user} if they should.",
            owner = report.database_owner,
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> CheckReport {
        CheckReport {
            server_version: "16.4".to_owned(),
            user: "role_create".to_owned(),
            tls: true,
            superuser: false,
            createrole: true,
            createdb: true,
            database_owner: "app_owner".to_owned(),
            member_of_owner: true,
            pooler: false,
            problems: Vec::new(),
        }
    }

    #[test]
    fn each_problem_has_its_sentence_and_no_other() {
        let primary = |version| Facts { version, in_recovery: false };
        assert_eq!(problems(&well(), &primary(160_004)), Vec::<String>::new());
        let superuser = CheckReport {
            superuser: true,
            createrole: false,
            createdb: false,
            member_of_owner: false,
            ..well()
        };
        assert_eq!(problems(&superuser, &primary(180_000)), Vec::<String>::new());
        let no_createdb = CheckReport { createdb: false, ..well() };
        assert_eq!(problems(&no_createdb, &primary(150_000)), Vec::<String>::new());

        for (report, facts, word) in [
            (well(), primary(130_020), "not supported"),
            (well(), primary(190_000), "not supported"),
            (CheckReport { pooler: true, ..well() }, primary(150_000), "pooler"),
            (well(), Facts { version: 150_000, in_recovery: true }, "standby"),
            (CheckReport { createrole: false, ..well() }, primary(160_000), "no CREATEROLE"),
            (no_createdb, primary(160_000), "no CREATEDB"),
            (CheckReport { member_of_owner: false, ..well() }, primary(150_000), "not a member"),
        ] {
            let found = problems(&report, &facts);
            assert!(matches!(&found[..], [only] if only.contains(word)), "{word}: {found:?}");
        }
    }
}

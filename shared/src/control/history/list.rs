//! Lists of jobs that ended, newest first, from the control database and from archives.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use tokio_postgres::types::{ToSql, Type};

use super::super::Control;
use super::super::error::Error;
use super::archives::{MOST_SCANNED, Place};
use super::{Settlement, read};
use crate::domain::ticket::State;
use crate::domain::{Failure, Period, TicketId};

/// The most rows that are asked for at once.
const TOGETHER: usize = 500;

/// Which jobs to list. Everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// How they ended.
    pub state: Option<State>,
    /// On targets of this environment.
    pub env: Option<String>,
    /// On targets with this database name.
    pub database: Option<String>,
    /// On this host, as `hostname:port`.
    pub host: Option<String>,
    /// That asked for this kind.
    pub kind: Option<String>,
    /// About this role.
    pub role: Option<String>,
    /// Of this account.
    pub account: Option<String>,
    /// Of this owner.
    pub owner: Option<String>,
    /// With these labels, among others.
    pub metadata: BTreeMap<String, String>,
    /// That ended not before this moment.
    pub from: Option<Timestamp>,
    /// That ended before this moment.
    pub to: Option<Timestamp>,
    /// That ended in this month, which may be archived. Without it archives are not looked into.
    pub period: Option<Period>,
}

impl HistoryFilter {
    fn from(&self) -> Option<Timestamp> {
        self.from.max(self.period.map(Period::start))
    }

    fn to(&self) -> Option<Timestamp> {
        match (self.to, self.period.map(Period::end)) {
            (Some(to), Some(end)) => Some(to.min(end)),
            (to, end) => to.or(end),
        }
    }

    /// The same as the statement below, for rows that come from a file.
    fn matches(&self, row: &Settlement) -> bool {
        let Settlement { job, ending, finished_at, .. } = row;
        let is =
            |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        let kind = job.operation.kind().map_or("", |kind| kind.as_str());
        self.state.is_none_or(|state| state == ending.state())
            && is(&self.env, job.target.env.as_str())
            && is(&self.database, job.target.database.as_str())
            && is(&self.host, &job.host.to_string())
            && is(&self.kind, kind)
            && is(&self.role, job.operation.role().as_str())
            && is(&self.account, &job.actor.account)
            && is(&self.owner, &job.actor.owner)
            && self.metadata.iter().all(|(key, value)| job.metadata.get(key) == Some(value))
            && self.from().is_none_or(|from| *finished_at >= from)
            && self.to().is_none_or(|to| *finished_at < to)
    }
}

/// A page of the list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryPage {
    /// Newest first. May be fewer than asked for, also none, although there are more.
    pub settlements: Vec<Settlement>,
    /// Behind which row the next page begins; none if this is the last.
    pub next: Option<Place>,
}

/// Who may see a row.
pub type See = Arc<dyn Fn(&Settlement) -> bool + Send + Sync>;

/// What is looked for in one place.
pub(super) struct Wanted<'a> {
    pub(super) filter: &'a HistoryFilter,
    pub(super) see: &'a See,
    pub(super) after: Option<Place>,
    pub(super) rows: usize,
}

impl Wanted<'_> {
    /// Neither this row nor one behind it is wanted.
    pub(super) fn is_over(&self, row: &Settlement) -> bool {
        self.filter.from().is_some_and(|from| row.finished_at < from)
    }

    /// Whether a row of a file is wanted.
    pub(super) fn takes(&self, row: &Settlement) -> bool {
        self.after.is_none_or(|after| Place::of(row) < after) && self.filter.matches(row) && (self.see)(row)
    }
}

/// What was found in one place.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) found: Vec<Settlement>,
    /// Where the looking ended although there may be more.
    pub(super) reached: Option<Place>,
}

impl Control {
    /// The jobs that pass the filter and that `see` lets through, behind `after`; at most `limit`.
    ///
    /// Looks at no more than [`MOST_SCANNED`] rows, and then answers what it has. With a period, a month that is only in
    /// an archive is read from there.
    ///
    /// # Errors
    /// `Code::HistoryArchiveUnavailable` and `Code::HistoryArchiveDamaged` if the month's archive cannot be read.
    pub async fn list_history(
        &self,
        filter: &HistoryFilter,
        after: Option<Place>,
        limit: usize,
        see: See,
    ) -> Result<HistoryPage, Failure> {
        let wanted = Wanted { filter, see: &see, after, rows: limit + 1 };
        let here = self.scan_months(&wanted).await?;
        let archive = match filter.period {
            Some(period) => self.find_dropped(period).await?,
            None => None,
        };
        let there = match archive {
            Some(archive) => self.scan_archive(&archive, &wanted).await?,
            None => Scan::default(),
        };
        Ok(merged(here, there, limit))
    }

    async fn scan_months(&self, wanted: &Wanted<'_>) -> Result<Scan, Failure> {
        let mut scan = Scan::default();
        let (mut after, mut scanned) = (wanted.after, 0);
        while scan.found.len() < wanted.rows && scanned < MOST_SCANNED {
            let most = if scanned == 0 { wanted.rows } else { TOGETHER };
            let rows = self.query_months(wanted.filter, after, most).await?;
            scanned += rows.len();
            let is_end = rows.len() < most;
            after = rows.last().map(Place::of).or(after);
            scan.found.extend(rows.into_iter().filter(|row| (wanted.see)(row)));
            if is_end {
                return Ok(scan);
            }
        }
        scan.reached = after;
        Ok(scan)
    }

    async fn query_months(
        &self,
        filter: &HistoryFilter,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<Settlement>, Failure> {
        let state = filter.state.map(State::as_str);
        let metadata = (!filter.metadata.is_empty()).then(|| json!(filter.metadata));
        let (from, to) = (filter.from(), filter.to());
        let (at, ticket) =
            (after.map(|place| place.finished_at), after.map(|place| place.ticket).map(TicketId::as_uuid));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let parameters: [(&(dyn ToSql + Sync), Type); 14] = [
            (&state, Type::TEXT),
            (&filter.env, Type::TEXT),
            (&filter.database, Type::TEXT),
            (&filter.host, Type::TEXT),
            (&filter.kind, Type::TEXT),
            (&filter.role, Type::TEXT),
            (&filter.account, Type::TEXT),
            (&filter.owner, Type::TEXT),
            (&metadata, Type::JSONB),
            (&from, Type::TIMESTAMPTZ),
            (&to, Type::TIMESTAMPTZ),
            (&at, Type::TIMESTAMPTZ),
            (&ticket, Type::UUID),
            (&limit, Type::INT8),
        ];
        let rows = self.pool.run(async |client| Ok(client.query_typed(LIST, &parameters).await?)).await?;
        Ok(rows.iter().map(read).collect::<Result<_, Error>>()?)
    }
}

/// Not a cached statement: planned with its values, it looks only into the months that are meant, and filters that are not
/// set cost nothing. `finished_at <= $12` says nothing new, but months are told by it.
const LIST: &str = "\
    SELECT job, ending, attempts, finished_at FROM history \
    WHERE ($1 IS NULL OR state = $1) \
      AND ($2 IS NULL OR env = $2) \
      AND ($3 IS NULL OR database = $3) \
      AND ($4 IS NULL OR host = $4) \
      AND ($5 IS NULL OR kind = $5) \
      AND ($6 IS NULL OR role = $6) \
      AND ($7 IS NULL OR account = $7) \
      AND ($8 IS NULL OR owner = $8) \
      AND ($9 IS NULL OR job ? 'metadata' AND (job -> 'metadata') @> $9) \
      AND ($10 IS NULL OR finished_at >= $10) \
      AND ($11 IS NULL OR finished_at < $11) \
      AND ($12 IS NULL OR finished_at <= $12 AND (finished_at, ticket) < ($12, $13)) \
    ORDER BY finished_at DESC, ticket DESC LIMIT $14";

/// Both in the order of the list. Where one of them was not read to its end, nothing behind that is certain.
fn merged(here: Scan, there: Scan, limit: usize) -> HistoryPage {
    let reached = here.reached.max(there.reached);
    let mut settlements = here.found;
    settlements.extend(there.found);
    settlements.sort_by_key(|row| std::cmp::Reverse(Place::of(row)));
    settlements.dedup_by_key(|row| row.job.ticket);
    settlements.retain(|row| reached.is_none_or(|reached| Place::of(row) >= reached));
    let is_full = settlements.len() > limit;
    settlements.truncate(limit);
    let next = if is_full { settlements.last().map(Place::of) } else { reached };
    HistoryPage { settlements, next }
}

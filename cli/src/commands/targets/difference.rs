//! What a file changes, in words and as JSON; and what is wrong with its rows. Holds no password.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rolecall_api::registry::{Plan, Planned, RowFault};
use rolecall_api::target_file;
use rolecall_shared::control::NewTarget;
use rolecall_shared::domain::{HostKey, Login, LoginPassword, Target, TargetKey};
use serde_json::{Map, Value, json};

/// More of a kind are counted and not named on a terminal.
const MOST: usize = 100;

/// By field: from what, to what.
type Changes = BTreeMap<String, (Value, Value)>;

/// What rows do to the registry.
pub struct Difference<'a> {
    added: Vec<&'a Planned>,
    /// With the fields that change.
    changed: Vec<(&'a Planned, Changes)>,
    unchanged: Vec<&'a Planned>,
    /// Targets that no row names.
    left_alone: Vec<&'a TargetKey>,
    untrusted: &'a BTreeSet<HostKey>,
    remarks: &'a [(u64, &'static str)],
}

impl<'a> Difference<'a> {
    pub fn new(
        plan: &'a Plan,
        existing: &'a BTreeMap<TargetKey, Target>,
        remarks: &'a [(u64, &'static str)],
    ) -> Self {
        let named: BTreeSet<_> = plan.rows.iter().map(|planned| &planned.target.key).collect();
        let mut difference = Self {
            added: Vec::new(),
            changed: Vec::new(),
            unchanged: Vec::new(),
            left_alone: existing.keys().filter(|key| !named.contains(key)).collect(),
            untrusted: &plan.untrusted,
            remarks,
        };
        for planned in &plan.rows {
            match &planned.before {
                None => difference.added.push(planned),
                Some(_) if planned.is_same() => difference.unchanged.push(planned),
                Some(before) => difference.changed.push((planned, differing(before, &planned.target))),
            }
        }
        difference
    }

    /// `is_done`: it was carried out.
    pub fn json(&self, is_done: bool) -> Value {
        let row = |planned: &Planned| json!({ "target": planned.target.key.to_string(), "row": planned.row });
        let rows = |planned: &[&Planned]| planned.iter().map(|planned| row(planned)).collect::<Vec<_>>();
        let changed = self.changed.iter().map(|(planned, fields)| {
            let mut told = row(planned);
            let fields: Map<_, _> = fields
                .iter()
                .map(|(field, (from, to))| (field.clone(), json!({ "from": from, "to": to })))
                .collect();
            told["fields"] = Value::Object(fields);
            told
        });
        let remarks = self.remarks.iter().map(|(row, text)| json!({ "row": row, "remark": text }));
        json!({
            "done": is_done,
            "added": rows(&self.added),
            "changed": changed.collect::<Vec<_>>(),
            "unchanged": rows(&self.unchanged),
            "not_in_file": self.left_alone.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "hosts_to_trust": self.untrusted,
            "remarks": remarks.collect::<Vec<_>>(),
        })
    }

    /// The same for people.
    pub fn text(&self, is_done: bool) -> String {
        let mut text = String::new();
        each(&mut text, &self.added, |planned| {
            let inactive = if planned.target.active { "" } else { "  inactive" };
            format!("added    {}  {}{inactive}", planned.target.key, planned.target.host)
        });
        each(&mut text, &self.changed, |(planned, fields)| {
            let fields: Vec<_> = fields
                .iter()
                .map(|(field, (from, to))| format!("{field} {} -> {}", shown(from), shown(to)))
                .collect();
            format!("changed  {}  {}", planned.target.key, fields.join(", "))
        });
        each(&mut text, self.remarks, |(row, remark)| format!("row {row}: {remark}"));
        let hosts: Vec<_> = self.untrusted.iter().collect();
        each(&mut text, &hosts, |host| {
            let word = if is_done { "gets" } else { "would get" };
            format!("{host} {word} the default log-in")
        });
        each(&mut text, &self.left_alone, |key| format!("not in the file, left alone: {key}"));
        let [added, changed] = [self.added.len(), self.changed.len()];
        let end = if is_done { "" } else { "; nothing was changed" };
        let _ = write!(
            text,
            "{added} added, {changed} changed, {} unchanged, {} not in the file{end}",
            self.unchanged.len(),
            self.left_alone.len()
        );
        text
    }
}

/// Why rows cannot be imported.
pub fn faults_json(faults: &[RowFault]) -> Value {
    let fault = |fault: &RowFault| {
        json!({
            "row": fault.row,
            "target": fault.target.as_ref().map(ToString::to_string),
            "field": (!fault.field.is_empty()).then_some(&fault.field),
            "reason": fault.reason,
        })
    };
    json!({ "done": false, "faults": faults.iter().map(fault).collect::<Vec<_>>() })
}

/// The same for people, a line for each: whoever mends a file wants to see all of them.
pub fn faults_text(faults: &[RowFault]) -> String {
    let mut text = String::new();
    for fault in faults {
        let target = fault.target.as_ref().map(|key| format!(" ({key})")).unwrap_or_default();
        let _ = writeln!(text, "  row {}{target}: {}", fault.row, reason(fault));
    }
    text
}

/// Only the reasons, where there is but one row.
pub fn reasons(faults: &[RowFault]) -> String {
    let mut text = String::new();
    for fault in faults {
        let _ = writeln!(text, "  {}", reason(fault));
    }
    text.trim_end().to_owned()
}

fn reason(fault: &RowFault) -> String {
    if fault.field.is_empty() { fault.reason.clone() } else { format!("{} {}", fault.field, fault.reason) }
}

/// Somebody's text cannot steer the terminal.
fn shown(value: &Value) -> String {
    value.to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn each<T>(text: &mut String, items: &[T], line: impl Fn(&T) -> String) {
    for item in items.iter().take(MOST) {
        text.push_str(&line(item));
        text.push('\n');
    }
    if items.len() > MOST {
        let _ = writeln!(text, "… and {} more", items.len() - MOST);
    }
}

/// The fields that are another than before. That a password was given anew is said, and never which.
fn differing(before: &Target, new: &NewTarget) -> Changes {
    let (old, now) = (facts(before), facts(&new.as_target(Some(before), before.updated_at)));
    now.into_iter()
        .filter_map(|(field, now)| {
            let old = old.get(&field).cloned().unwrap_or_default();
            (old != now).then_some((field, (old, now)))
        })
        .collect()
}

fn facts(target: &Target) -> Map<String, Value> {
    let mut facts = target_file::stated(target);
    if let Login::Own { password: LoginPassword::Sealed(_), .. } = &target.login {
        facts["login"]["password"] = json!("sealed");
    }
    facts
}

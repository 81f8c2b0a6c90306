//! A job as it stands in a request.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use rolecall_shared::config::Settings;
use rolecall_shared::domain::{
    Code, DatabaseName, Env, Failure, KindName, Operation, Profile, RoleName, SchemaName, TargetKey,
};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::fields::{self, Fields};
use crate::app::naming::{self, NameParts};
use crate::app::submission::{self, AskedCallback, IdempotencyKey, Submission};

/// A job to be done. Which fields belong to it depends on `operation` and `kind`; others are refused.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents what `parse` reads, which finds all faults at once; a test compares the two"
)]
#[schema(as = Job, example = json!({
    "operation": "create_role", "kind": "app", "env": "dev", "database": "myapp_dev",
    "servername": "web01", "port": 8080, "deadline": "15m", "metadata": { "pipeline": "4711" },
}))]
pub(super) struct JobBody {
    /// `create_role`, `reset_password` or `set_search_path`.
    operation: String,
    /// The environment of the target.
    env: String,
    /// The database of the target.
    database: String,
    /// `create_role`: which profile applies, such as `app`.
    kind: Option<String>,
    /// Kinds named `servername_port`, such as `app`.
    servername: Option<String>,
    /// Kinds named `servername_port`: 1 to 65535.
    port: Option<u16>,
    /// Kinds named `env_prefix_farmname`, such as `app-k8s`.
    env_prefix: Option<String>,
    /// Kinds named `env_prefix_farmname`.
    farmname: Option<String>,
    /// The role's name: for the other kinds, and for operations on existing roles.
    username: Option<String>,
    /// `set_search_path`: 1 to 32 schemas, in order; `"$user"` is allowed.
    schemas: Option<Vec<String>>,
    /// How long the job may wait: `15m`, `90s`, `2h`, or whole seconds.
    #[schema(value_type = Option<Object>)]
    deadline: Option<Value>,
    /// Labels of yours: at most 16, keys of at most 64 bytes, values of at most 256.
    metadata: Option<BTreeMap<String, String>>,
    /// Where the job's end is told: the id of a webhook of yours, or a URL on a host that the operator lists.
    callback: Option<String>,
    /// Items of a batch only: what the header `Idempotency-Key` is for a single job.
    idempotency_key: Option<String>,
}

/// The fields from which some kind's role is named.
const NAMING_FIELDS: [&str; 5] = ["servername", "port", "env_prefix", "farmname", "username"];
const MAX_LABELS: usize = 16;
const MAX_LABEL_KEY: usize = 64;
const MAX_LABEL_VALUE: usize = 256;

/// Where the idempotency key stands.
pub(super) enum KeySource {
    /// In a header, read already; a field of that name is unknown.
    Header(Option<IdempotencyKey>),
    /// In the field `idempotency_key`.
    Field,
}

/// Reads a job, or tells all its faults at once.
pub(super) fn parse(
    map: &Map<String, Value>,
    key: KeySource,
    settings: &Settings,
) -> Result<Submission, Failure> {
    let fields = Fields::of(map);
    let operation = match fields.required_text("operation") {
        Some("create_role") => create_role(&fields, settings)?,
        Some("reset_password") => {
            username(&fields, settings).map(|role| Parsed::plain(Operation::ResetPassword { role }))
        }
        Some("set_search_path") => set_search_path(&fields, settings),
        Some(_) => return Err(unknown_operation()),
        None => {
            // Which fields belong here is not known without it.
            for field in NAMING_FIELDS.into_iter().chain(["kind", "schemas"]) {
                fields.value(field);
            }
            None
        }
    };
    let env = fields.parsed("env", fields.required_text("env"), Env::parse);
    let database = fields.parsed("database", fields.required_text("database"), DatabaseName::parse);
    let deadline = deadline(&fields, settings);
    let metadata = metadata(&fields);
    let callback = fields.text("callback");
    let callback = fields.parsed("callback", callback, |text| AskedCallback::parse(text, settings));
    let key = match key {
        KeySource::Header(key) => key,
        KeySource::Field => {
            fields.parsed("idempotency_key", fields.text("idempotency_key"), IdempotencyKey::parse)
        }
    };
    fields.finish()?;
    let (Some(Parsed { operation, kind }), Some(env), Some(database)) = (operation, env, database) else {
        return Err(Failure::internal("a job without a fault and without its parts"));
    };
    if let Some((kind, profile)) = kind {
        submission::allowed(&kind, &profile, &env)?;
    }
    Ok(Submission { operation, target: TargetKey { env, database }, deadline, metadata, key, callback })
}

struct Parsed {
    operation: Operation,
    kind: Option<(KindName, Profile)>,
}

impl Parsed {
    fn plain(operation: Operation) -> Self {
        Self { operation, kind: None }
    }
}

fn unknown_operation() -> Failure {
    let known = Operation::NAMES;
    Failure::new(
        Code::UnknownOperation,
        format!("There is no such operation. Known are: {}.", known.join(", ")),
    )
    .with_context(serde_json::json!({ "known_operations": known }))
}

fn create_role(fields: &Fields<'_>, settings: &Settings) -> Result<Option<Parsed>, Failure> {
    let Some(kind) = fields.required_text("kind") else {
        for field in NAMING_FIELDS {
            fields.value(field);
        }
        return Ok(None);
    };
    let (kind, profile) = submission::profile(&settings.profiles, kind)?;
    let mut parts = NameParts::default();
    for field in naming::fields_of(profile.naming) {
        fields.require(field);
        match *field {
            "servername" => parts.servername = fields.text("servername"),
            "port" => parts.port = fields.port("port"),
            "env_prefix" => parts.env_prefix = fields.text("env_prefix"),
            "farmname" => parts.farmname = fields.text("farmname"),
            "username" => parts.username = fields.text("username"),
            _ => return Err(Failure::internal("a naming asks for a field that nobody reads")),
        }
    }
    let role = match naming::role_name(profile.naming, parts, &settings.names) {
        None => return Ok(None),
        Some(Ok(role)) => role,
        Some(Err(fault)) => {
            fields.fault(&fault.field, fault.detail);
            return Ok(None);
        }
    };
    let operation = Operation::CreateRole { kind: kind.clone(), role };
    Ok(Some(Parsed { operation, kind: Some((kind, profile.clone())) }))
}

fn username(fields: &Fields<'_>, settings: &Settings) -> Option<RoleName> {
    let text = fields.required_text("username");
    fields.parsed("username", text, |text| RoleName::parse(text, &settings.names))
}

fn set_search_path(fields: &Fields<'_>, settings: &Settings) -> Option<Parsed> {
    let role = username(fields, settings);
    fields.require("schemas");
    let schemas = schemas(fields, settings);
    Some(Parsed::plain(Operation::SetSearchPath { role: role?, schemas: schemas? }))
}

fn schemas(fields: &Fields<'_>, settings: &Settings) -> Option<Vec<SchemaName>> {
    let value = fields.value("schemas")?;
    let most = Operation::MAX_SCHEMAS;
    let Some(items) = value.as_array().filter(|items| (1..=most).contains(&items.len())) else {
        fields.fault("schemas", format!("must be a list of 1 to {most} names"));
        return None;
    };
    let parsed = items.iter().enumerate().map(|(at, item)| {
        let field = format!("schemas[{at}]");
        if item.as_str().is_none() {
            fields.fault(&field, "must be a string");
        }
        fields.parsed(&field, item.as_str(), |text| SchemaName::parse(text, &settings.names))
    });
    // All of them are read before any is missed, so that each fault is told.
    parsed.collect::<Vec<_>>().into_iter().collect()
}

fn deadline(fields: &Fields<'_>, settings: &Settings) -> Option<SignedDuration> {
    let asked = match fields.value("deadline")? {
        Value::String(text) if text.len() <= 64 => text.parse().ok(),
        // A negative number is understood, and refused for what it is.
        Value::Number(seconds) => seconds.as_i64().map(SignedDuration::from_secs),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let Some(asked) = asked else {
        fields.fault("deadline", "must be a duration such as 15m, 90s or 2h, or a whole number of seconds");
        return None;
    };
    submission::deadline(asked, settings.tickets.max_deadline)
        .map_err(|fault| fields.fault("deadline", fault))
        .ok()
}

fn metadata(fields: &Fields<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Some(value) = fields.value("metadata") else { return labels };
    let Some(map) = value.as_object().filter(|map| map.len() <= MAX_LABELS) else {
        fields.fault("metadata", format!("must be an object of at most {MAX_LABELS} strings"));
        return labels;
    };
    for (key, value) in map {
        // PostgreSQL's jsonb, where history keeps them, takes no NUL; the other controls are for logs' sake.
        let is_key = (1..=MAX_LABEL_KEY).contains(&key.len()) && !key.chars().any(char::is_control);
        match value.as_str().filter(|v| v.len() <= MAX_LABEL_VALUE && !v.chars().any(char::is_control)) {
            Some(value) if is_key => drop(labels.insert(key.clone(), value.to_owned())),
            Some(_) => fields.fault(
                "metadata",
                format!("a key must be 1 to {MAX_LABEL_KEY} bytes without control characters"),
            ),
            None if is_key => fields.fault(
                &format!("metadata.{}", fields::shown(key)),
                format!("must be a string of at most {MAX_LABEL_VALUE} bytes without control characters"),
            ),
            None => fields.fault("metadata", "a key and its value break the limits"),
        }
    }
    labels
}

#[cfg(test)]
mod tests;

//! JSON: a list of targets, or an object that has it as `targets` or, as pg-user-api answers, as `databases`.

use rolecall_api::registry::RowFault;
use serde_json::{Map, Value};

use super::{MAX_ROWS, Rows, Unreadable, take, too_many};

const LISTS: [&str; 2] = ["targets", "databases"];

pub fn read(bytes: &[u8]) -> Result<Rows, Unreadable> {
    let whole: Value =
        serde_json::from_slice(bytes).map_err(|error| Unreadable(format!("it is no JSON: {error}")))?;
    let list = match whole {
        Value::Array(list) => Some(list),
        Value::Object(mut fields) => LISTS.iter().find_map(|name| match fields.remove(*name) {
            Some(Value::Array(list)) => Some(list),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_))
            | None => None,
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    let list = list.ok_or_else(|| {
        Unreadable("it is neither a list of targets nor an object with such a list as `targets`".to_owned())
    })?;
    if list.len() > MAX_ROWS {
        return Err(too_many());
    }
    let (mut rows, mut faults): (Vec<(u64, Map<_, _>)>, _) = (Vec::new(), Vec::new());
    for (number, item) in (1..).zip(list) {
        match item {
            Value::Object(fields) => rows.push((number, fields)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let reason = "must be an object".to_owned();
                faults.push(RowFault { row: number, target: None, field: String::new(), reason });
            }
        }
    }
    let mut taken = take(rows);
    taken.faults.extend(faults);
    Ok(taken)
}

//! A row of the ledger: an event with its number, as canonical JSON (RFC 8785).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// A row. Its fields are texts as they were recorded: what stands in the inbox enters the ledger, whether this program
/// could make sense of it or not.
///
/// The order of the fields is that of the canonical form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Who did it.
    pub account: String,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// When, by the clock of the process that did it.
    pub at: Timestamp,
    /// On which database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// More, as an object.
    pub detail: Value,
    /// In which environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// What happened.
    pub event: String,
    /// On which host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Random, from the inbox.
    pub id: Uuid,
    /// The kind of the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The operation of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The outcome, or the code of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Who owns what was made.
    pub owner: String,
    /// When it was recorded, by the clock of the control database.
    pub recorded_at: Timestamp,
    /// The role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Its number: from 1, without gaps, in the order in which rows entered the ledger.
    pub seq: i64,
    /// The ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Uuid>,
    /// By which proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
}

/// The text is no row of a ledger.
#[derive(Debug, thiserror::Error)]
#[error("it is not a row of an audit: {0}")]
pub struct EntryFault(#[from] serde_json::Error);

impl Entry {
    /// The text that is hashed.
    pub fn to_text(&self) -> String {
        canonical(self)
    }

    /// Reads the text.
    pub fn parse(text: &str) -> Result<Self, EntryFault> {
        Ok(serde_json::from_str(text)?)
    }
}

/// RFC 8785. Its numbers are those of ECMAScript: beyond 2^53 they are rounded.
pub(super) fn canonical(value: &impl Serialize) -> String {
    // Texts, numbers and objects with texts as keys: nothing of which serialising could fail.
    serde_json_canonicalizer::to_string(value).unwrap_or_default()
}

/// A row for tests.
#[cfg(test)]
pub(super) fn example(seq: i64) -> Entry {
    Entry {
        account: "ci".into(),
        address: Some("10.0.0.1".into()),
        at: "2026-11-28T08:00:00.000001Z".parse().unwrap(),
        database: None,
        detail: serde_json::json!({ "z": 1, "a": ["é", 1.5] }),
        env: None,
        event: "host.paused".into(),
        host: Some("db1:5432".into()),
        id: Uuid::from_u128(7),
        kind: None,
        operation: None,
        outcome: None,
        owner: "ci".into(),
        recorded_at: "2026-11-28T08:00:01Z".parse().unwrap(),
        role: None,
        seq,
        ticket: None,
        via: Some("basic".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The examples of RFC 8785, section 3.2.2 and 3.2.3, and some of the numbers of its appendix B.
    #[test]
    fn canonical_json_is_that_of_the_rfc() {
        let value: Value = serde_json::from_str(
            r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
                "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#,
        )
        .unwrap();
        assert_eq!(
            canonical(&value),
            "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
             \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
        );
        let value = json!({ "\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7 });
        assert_eq!(
            canonical(&value),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}",
            "sorted by UTF-16 code units"
        );
        for (bits, expected) in [
            (0x0000_0000_0000_0000_u64, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        ] {
            assert_eq!(canonical(&f64::from_bits(bits)), expected);
        }
    }

    #[test]
    fn a_row_reads_back_and_begins_with_its_account() {
        let text = example(3).to_text();
        assert_eq!(
            text,
            "{\"account\":\"ci\",\"address\":\"10.0.0.1\",\"at\":\"2026-11-28T08:00:00.000001Z\",\
             \"detail\":{\"a\":[\"é\",1.5],\"z\":1},\"event\":\"host.paused\",\"host\":\"db1:5432\",\
             \"id\":\"00000000-0000-0000-0000-000000000007\",\"owner\":\"ci\",\
             \"recorded_at\":\"2026-11-28T08:00:01Z\",\"seq\":3,\"via\":\"basic\"}"
        );
        assert_eq!(Entry::parse(&text).unwrap(), example(3));
        assert!(Entry::parse(&text.replace("\"seq\":3", "\"seq\":3,\"more\":1")).is_err());
        assert!(Entry::parse("").is_err());
    }
}

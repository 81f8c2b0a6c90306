//! What is said of many measurements.

use std::fmt;
use std::time::Duration;

/// How long something took, each time. Displayed as median and 99th percentile, in milliseconds.
#[derive(Debug, Clone)]
pub struct Times(Vec<Duration>);

impl Times {
    /// In any order; at least one.
    pub fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self(took)
    }

    /// What so many of a hundred did not exceed, in milliseconds.
    ///
    /// # Panics
    /// When there are none.
    pub fn at(&self, hundredths: usize) -> f64 {
        self.0[(self.0.len() - 1) * hundredths / 100].as_secs_f64() * 1e3
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms (median), {:.1} ms (p99)", self.at(50), self.at(99))
    }
}

/// The one in the middle.
///
/// # Panics
/// When there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

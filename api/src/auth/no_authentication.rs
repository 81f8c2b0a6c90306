//! A router without the layer that asks who is calling, for the benchmarks to measure what that layer costs.
//!
//! Exists only with the feature `no-authentication`, and even then every process asks who is calling until it calls
//! [`let_everybody_in`], which the binary `rolecall-no-authentication` alone does.

use std::sync::{Arc, OnceLock};

use rolecall_shared::domain::Rights;

use super::{Identity, Via};

static EVERYBODY: OnceLock<Arc<Identity>> = OnceLock::new();

/// From now on this process lets everybody do everything.
pub fn let_everybody_in() {
    EVERYBODY.get_or_init(|| {
        let name = "everybody".to_owned();
        Arc::new(Identity {
            account: name.clone(),
            owner: name,
            rights: Rights::all(),
            is_admin: true,
            via: Via::Basic,
        })
    });
}

/// Who everybody is, in a process that asks nobody.
pub(super) fn everybody() -> Option<Arc<Identity>> {
    EVERYBODY.get().cloned()
}

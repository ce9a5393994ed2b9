//! When each other site last answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::identifier::SiteName;

use crate::clock;

/// One site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastHeard {
    /// When it last answered, in milliseconds since 1970.
    pub answered_ms: Option<u64>,
    /// Why it did not the last time; absent if it did.
    pub failure: Option<String>,
}

/// All sites; clones are the same table.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<Mutex<BTreeMap<SiteName, LastHeard>>>);

impl Heard {
    /// The site answered.
    pub fn answered(&self, site: &SiteName) {
        let heard = LastHeard { answered_ms: Some(clock::now_ms()), failure: None };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(site.clone(), heard);
    }

    /// The site did not.
    pub fn failed(&self, site: &SiteName, why: impl ToString) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.entry(site.clone()).or_default().failure = Some(why.to_string());
    }

    /// All of it, now.
    #[must_use]
    pub fn table(&self) -> BTreeMap<SiteName, LastHeard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

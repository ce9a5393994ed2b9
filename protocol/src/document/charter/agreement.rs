//! On what ground a site stands in another country. For people, and for the warning before it ends: no rule decides by it.

use serde::{Deserialize, Serialize};

use crate::document::check_text;
use crate::timestamp::Timestamp;

/// No two places on Earth are further apart, in km.
pub const DISTANCE_KM_MAX: u32 = 20_100;

/// The legal facts about one site, as the officials know them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// The treaty, contract or decision, in words: `Estonia-Luxembourg, 20 June 2017, art. 3`.
    pub reference: String,
    /// Since when it holds.
    pub in_force: Option<Timestamp>,
    /// When it ends; absent if it does not.
    pub expires: Option<Timestamp>,
    /// Whether the host may not enter, search or seize.
    pub inviolable: bool,
    /// Whether the host may all the same enter in an emergency, such as a fire.
    pub emergency_entry: bool,
    /// From home to the site, in km.
    pub distance_km: Option<u32>,
}

impl Agreement {
    /// Checks it by itself.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self) -> Result<(), String> {
        check_text("the agreement's reference", &self.reference)?;
        if self.in_force.zip(self.expires).is_some_and(|(begins, ends)| ends <= begins) {
            return Err("the agreement ends before it begins".to_owned());
        }
        if self.distance_km.is_some_and(|km| km > DISTANCE_KM_MAX) {
            return Err(format!("distance_km is at most {DISTANCE_KM_MAX}"));
        }
        Ok(())
    }
}

//! What people, sites and writers sign. One file a kind; `docs/format.md` lists the bytes.

mod audit_answer;
mod audit_report;
mod card;
pub(crate) mod charter;
mod inventory;
mod join_request;
mod manifest;
mod mask_dealing;
mod receipt;
mod release_notice;
mod release_order;
mod resharing;
mod suspicion;
mod veto;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use audit_answer::{AuditAnswer, Challenge};
pub use audit_report::{AuditReport, Tally};
pub use card::{Bearer, Card};
pub use charter::{
    Agreement, Alliance, Charter, CharterChain, CharterError, DISTANCE_KM_MAX, Database, Keep, Official, Period,
    Quarantine, Retention, Roles, Site, SiteKind, SiteState, Span, Succession,
};
pub use inventory::Inventory;
pub use join_request::JoinRequest;
pub use manifest::{Custody, LiveStripe, LiveStripes, Manifest, Stripe};
pub use mask_dealing::{MaskDealing, RecoveryScope, snapshots_max};
pub use receipt::Receipt;
pub use release_notice::ReleaseNotice;
pub use release_order::{OrderError, Purpose, ReleaseOrder, Selector};
pub use resharing::{
    BLOCK_SNAPSHOTS, Ballot, Certified, DEALT_EPOCH, Electorate, Epoch, Instance, LockedAt, Proposal, ReshareScope,
    Said, ShareDealing, Vote, block_of, quorum,
};
pub use suspicion::Suspicion;
pub use veto::Veto;

use crate::limits::TEXT_BYTES_MAX;

/// A kind of signed document.
pub trait Document: Serialize + DeserializeOwned {
    /// The kind, as it stands in the envelope, the signature domain and the armour.
    const KIND: &'static str;
    /// Version of the format, not of the document.
    const VERSION: u16 = 1;
    /// Payload in bytes at the most.
    const BYTES_MAX: usize;
    /// Signatures at the most; one, unless a quorum decides. Each is verified over the whole payload, so their number
    /// is what a hostile envelope costs.
    const SIGNATURES_MAX: usize = 1;

    /// Checks what the types cannot say; the text of the error is for people. Made before anybody looks at signatures,
    /// so it costs little more than decoding does.
    ///
    /// # Errors
    /// What is wrong.
    fn validate(&self) -> Result<(), String>;

    /// The checks that cost more, made once a quorum stands behind the document, or for a person who may sign it.
    ///
    /// # Errors
    /// What is wrong.
    fn validate_costly(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Refuses text that is empty, too long, or could draw on a terminal.
fn check_text(what: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(is_deceptive) {
        return Err(format!("{what} must be 1 to {TEXT_BYTES_MAX} bytes without control characters"));
    }
    Ok(())
}

/// Control characters, and those that turn the direction of writing or end a line: an official would sign another
/// text than the one on the screen.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

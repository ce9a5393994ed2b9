//! What a site tells people, as far as a swarm counts it.

use protocol::machine::Event;

/// What a swarm must reach now and then, of what sites tell people.
pub(super) const fn reached_by(event: &Event) -> Option<&'static str> {
    match event {
        Event::Reshared { .. } => Some("shares were given on"),
        Event::EpochForked { .. } => Some("two epochs of one number"),
        Event::ReshareFailed { .. } => Some("shares were not given on at once"),
        Event::LossProven { .. } => Some("a loss was proven"),
        Event::ShardMissing { .. } => Some("a shard was found missing"),
        Event::ShardMended { .. } => Some("a shard was mended"),
        Event::RepairFailed { .. } => Some("a repair failed"),
        Event::Declared { stripes: 0, shares: 0, .. } => Some("a site was whole again"),
        Event::SharesRecovered { .. } => Some("a share was recovered"),
        Event::CustodianLied { .. } => Some("a custodian lied"),
        Event::Declared { .. } => Some("a site said what it lacks"),
        Event::Discarded { .. } => Some("snapshots were let go"),
        Event::CharterAdopted { .. }
        | Event::SnapshotHeld { .. }
        | Event::Forked { .. }
        | Event::OrderAccepted { .. }
        | Event::ShareReleased { .. }
        | Event::Vetoed { .. }
        | Event::HelperLied { .. }
        | Event::ShareRecoveryFailed { .. }
        | Event::Refused { .. } => None,
    }
}

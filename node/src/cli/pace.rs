//! How fast a site audits and repairs, as arguments of `legation site run`.

use protocol::audit::AuditOptions;
use protocol::host::Pace;
use protocol::repair::RepairOptions;
use protocol::retention::RetentionOptions;

/// How fast.
#[derive(Debug, clap::Args)]
pub(super) struct PaceArguments {
    /// Mean time between two challenges to one other site, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    audit_interval: u64,
    /// The most that repairs may fetch from other sites in a second, in MiB, on average.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    repair_rate: u64,
    /// A file that is gone may come back with its disk: so many seconds it is waited for, unless its stripe is in danger.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    repair_patience: u64,
    /// Stripes that are repaired at once.
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    repair_jobs: u64,
    /// Time between two looks at what retention lets go, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    retention_interval: u64,
    /// A shard that nothing refers to is removed so many seconds after that was first seen: a week.
    #[arg(long, value_name = "SECONDS", default_value_t = 7 * 86_400)]
    retention_grace: u64,
}

impl PaceArguments {
    pub(super) fn pace(&self) -> Pace {
        Pace {
            audit: AuditOptions { interval_ms: self.audit_interval.saturating_mul(1_000), ..AuditOptions::default() },
            repair: RepairOptions {
                bytes_per_second: self.repair_rate.saturating_mul(1 << 20),
                patience_ms: self.repair_patience.saturating_mul(1_000),
                jobs_max: usize::try_from(self.repair_jobs).unwrap_or(1),
                ..RepairOptions::default()
            },
            retention: RetentionOptions {
                interval_ms: self.retention_interval.saturating_mul(1_000),
                grace_ms: self.retention_grace.saturating_mul(1_000),
                ..RetentionOptions::default()
            },
        }
    }
}

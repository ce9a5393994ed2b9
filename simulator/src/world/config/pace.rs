//! How often sites look after what they hold: real times are minutes and hours, those of a run are seconds.

use protocol::audit::AuditOptions;
use protocol::host::Pace;
use protocol::repair::RepairOptions;
use protocol::retention::RetentionOptions;
use serde::{Deserialize, Serialize};

/// Times in milliseconds, of every site alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaceConfig {
    /// The machines are told that time passes.
    pub tick_ms: u32,
    /// Mean time between two challenges of one site to another.
    pub audit_interval_ms: u32,
    /// Who has not answered a challenge by then is left.
    pub audit_patience_ms: u32,
    /// Between two audit reports.
    pub report_interval_ms: u32,
    /// So long a shard whose file is gone may come back by itself.
    pub repair_patience_ms: u32,
    /// Between two looks through the store.
    pub sweep_interval_ms: u32,
    /// Between two shards that are read again to see whether they rot.
    pub scrub_interval_ms: u32,
    /// Between two looks at what retention lets go.
    #[serde(default = "retention_interval_ms")]
    pub retention_interval_ms: u32,
    /// So long after it was first seen a shard is removed that nothing refers to.
    #[serde(default = "retention_grace_ms")]
    pub retention_grace_ms: u32,
}

const fn retention_interval_ms() -> u32 {
    600_000
}

const fn retention_grace_ms() -> u32 {
    7 * 86_400_000
}

impl Default for PaceConfig {
    fn default() -> Self {
        Self {
            tick_ms: 2_000,
            audit_interval_ms: 30_000,
            audit_patience_ms: 10_000,
            report_interval_ms: 120_000,
            repair_patience_ms: 10_000,
            sweep_interval_ms: 20_000,
            scrub_interval_ms: 4_000,
            retention_interval_ms: retention_interval_ms(),
            retention_grace_ms: retention_grace_ms(),
        }
    }
}

impl PaceConfig {
    /// For the machines.
    #[must_use]
    pub fn machines(&self) -> Pace {
        Pace {
            audit: AuditOptions {
                interval_ms: self.audit_interval_ms.into(),
                report_interval_ms: self.report_interval_ms.into(),
                patience_ms: self.audit_patience_ms.into(),
            },
            repair: RepairOptions {
                patience_ms: self.repair_patience_ms.into(),
                sweep_interval_ms: self.sweep_interval_ms.into(),
                ..RepairOptions::default()
            },
            retention: RetentionOptions {
                interval_ms: self.retention_interval_ms.into(),
                grace_ms: self.retention_grace_ms.into(),
                stride_ms: 2 * u64::from(self.tick_ms),
            },
        }
    }

    /// By then a site that stays up has said what it lacks: it has looked through its store, has waited for what may come
    /// back, and has not said anything else just before.
    #[must_use]
    pub fn confesses_within_ms(&self) -> u64 {
        u64::from(self.sweep_interval_ms) + u64::from(self.repair_patience_ms) + 4 * u64::from(self.tick_ms) + 10_000
    }

    pub(super) fn numbers(&self) -> [(&'static str, u32); 9] {
        [
            ("pace.tick_ms", self.tick_ms),
            ("pace.audit_interval_ms", self.audit_interval_ms),
            ("pace.audit_patience_ms", self.audit_patience_ms),
            ("pace.report_interval_ms", self.report_interval_ms),
            ("pace.repair_patience_ms", self.repair_patience_ms),
            ("pace.sweep_interval_ms", self.sweep_interval_ms),
            ("pace.scrub_interval_ms", self.scrub_interval_ms),
            ("pace.retention_interval_ms", self.retention_interval_ms),
            ("pace.retention_grace_ms", self.retention_grace_ms),
        ]
    }
}

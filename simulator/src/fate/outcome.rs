//! What fate mode answers: every probability with its interval and the way it was found. Ready for JSON.
//!
//! Everything here is a function of the model, the seed and the number of replications; nothing of the machine, of the
//! number of threads or of the clock.

mod interval;

use serde::Serialize;

pub use interval::{counted, weighted};

/// All that is known about a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Years from the start to the end.
    pub horizon_years: f64,
    /// Fewer than `data_shards` intact shards, or fewer than `threshold` shares, anywhere.
    pub loss: EventOutcome,
    /// Enough shares of one epoch, and enough shards, in other hands.
    pub disclosure: EventOutcome,
    /// Fewer than `data_shards` or `threshold` sites up.
    pub unavailability: Unavailability,
    /// How it goes over time.
    pub curves: Curves,
    /// Per database, in the order of the model.
    pub databases: Vec<DatabaseOutcome>,
    /// Traffic of repair.
    pub repair: RepairOutcome,
    /// How much was simulated.
    pub effort: Effort,
    /// What was assumed, in sentences.
    pub assumptions: Vec<String>,
}

/// A probability, a rate or a share of time, with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Best value. Zero when nothing was seen: read `high95` then.
    pub estimate: f64,
    /// Lower end of the interval.
    pub low95: f64,
    /// Upper end of the interval.
    pub high95: f64,
    /// Standard error divided by the estimate; `None` where nothing was seen.
    pub relative_error: Option<f64>,
    /// How it was found.
    pub method: Method,
}

impl Estimate {
    /// Known but for rounding.
    pub fn exact(value: f64) -> Self {
        Self { estimate: value, low95: value, high95: value, relative_error: Some(0.0), method: Method::Exact }
    }

    /// Nines of a small probability, `-log10 p`; `None` for zero.
    pub fn nines(&self) -> Option<f64> {
        (self.estimate > 0.0).then(|| -libm::log10(self.estimate))
    }

    /// A probability over `years` as a constant rate per year, `-ln(1-p) / years`, ends of the interval alike.
    #[must_use]
    pub fn per_year(&self, years: f64) -> Self {
        let rate = |chance: f64| if chance < 1.0 { -libm::log1p(-chance) / years } else { f64::MAX };
        Self { estimate: rate(self.estimate), low95: rate(self.low95), high95: rate(self.high95), ..*self }
    }
}

/// How a figure was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// From a Markov chain or a closed form: rounding alone.
    Exact,
    /// Replications counted; the interval is that of Clopper and Pearson, for zero the rule of three.
    Counted,
    /// Importance sampling; the interval is that of the normal law, from the spread of the weights.
    Weighted,
    /// Importance sampling in which so few samples carry the sum that its error is not to be trusted, and the estimate is
    /// an order of magnitude at best, mostly too low. The interval goes from zero to what counting leaves possible.
    WeightedUnevenly,
    /// Mean over replications; the interval is that of the normal law.
    Averaged,
}

/// An event that happens once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventOutcome {
    /// Probability by the horizon.
    pub by_horizon: Estimate,
    /// The same plan without groups and timeline: what remains if every site fails by itself. `None` where neither is
    /// in the plan, or it was not asked for.
    pub independent: Option<Estimate>,
    /// Which events together made it, the likeliest first.
    pub causes: Vec<Cause>,
}

/// A minimal set of causes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cause {
    /// Names: a kind of event that befalls one site, a group, an event of the timeline. Sorted.
    pub together: Vec<String>,
    /// Share of the probability, 0 to 1.
    pub share: f64,
}

/// Time without service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unavailability {
    /// Share of the time, on average; after a loss there is no service.
    pub share_of_time: Estimate,
    /// Probability of any.
    pub any: Estimate,
    /// How often service fell, per year.
    pub falls_per_year: Estimate,
    /// What made the first fall, the likeliest first.
    pub causes: Vec<Cause>,
}

/// Per point of time: the share of replications.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curves {
    /// Years, from 0 to the horizon, evenly.
    pub years: Vec<f64>,
    /// Lost by then.
    pub lost: Vec<f64>,
    /// Disclosed by then.
    pub disclosed: Vec<f64>,
    /// Without service at that time.
    pub unavailable: Vec<f64>,
}

/// What becomes of one database.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatabaseOutcome {
    /// As in the model.
    pub name: String,
    /// Hours of data lost when home is lost, or the writer's key stolen.
    pub rpo_hours: Distribution,
    /// Hours from the loss of home until it is restored.
    pub rto_hours: Distribution,
}

/// A distribution, by quantiles; bins of 1 % width, so that a quantile is off by 0.5 % at most.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Distribution {
    /// Samples, also those that never ended.
    pub samples: u64,
    /// Share that had not ended at the horizon.
    pub never: f64,
    /// Mean of those that ended.
    pub mean: Option<f64>,
    /// Quantiles of all samples; `None` where that share never ended.
    pub p5: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 75 %.
    pub p75: Option<f64>,
    /// 90 %.
    pub p90: Option<f64>,
    /// 95 %.
    pub p95: Option<f64>,
    /// 99 %.
    pub p99: Option<f64>,
    /// Points (value, share of samples at or below), at most 100, rising.
    pub ecdf: Vec<(f64, f64)>,
}

/// What repair moves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RepairOutcome {
    /// Sites or shards repaired per year.
    pub repairs_per_year: Estimate,
    /// Bytes read per year to repair them: each rebuilt shard reads `data_shards` shards.
    pub bytes_per_year: Estimate,
}

/// How much was simulated, and with what.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effort {
    /// The same seed and replications give the same outcome.
    pub seed: u64,
    /// Plain replications; zero when everything was found otherwise.
    pub replications: u64,
    /// Events of the plain replications.
    pub events: u64,
    /// Replications of importance sampling, for loss and disclosure together.
    pub rare_replications: u64,
    /// Sites times years of the plain replications.
    pub site_years: f64,
    /// Name of the random generator.
    pub generator: &'static str,
}

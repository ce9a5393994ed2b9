//! Laws of lifetimes and durations.

use serde::Serialize;

/// How long something takes, in years.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Law {
    /// At a constant rate.
    Exponential {
        /// Mean.
        mean_years: f64,
    },
    /// Shape above 1 wears out, below 1 dies young; shape 1 is exponential.
    Weibull {
        /// Dimensionless.
        shape: f64,
        /// 63 % are over by then.
        scale_years: f64,
    },
    /// The logarithm is normal.
    LogNormal {
        /// Mean of the time itself.
        mean_years: f64,
        /// Standard deviation divided by the mean.
        cv: f64,
    },
    /// Always the same.
    Constant {
        /// This long; zero is at once.
        years: f64,
    },
    /// Anything between two times.
    Uniform {
        /// At least.
        low_years: f64,
        /// At most.
        high_years: f64,
    },
}

impl Law {
    /// Mean, years.
    pub fn mean_years(&self) -> f64 {
        match *self {
            Self::Exponential { mean_years } | Self::LogNormal { mean_years, .. } => mean_years,
            Self::Weibull { shape, scale_years } => scale_years * libm::tgamma(1.0 + 1.0 / shape),
            Self::Constant { years } => years,
            Self::Uniform { low_years, high_years } => low_years + (high_years - low_years) / 2.0,
        }
    }

    /// Rate per year, when it is constant.
    pub fn rate(&self) -> Option<f64> {
        match *self {
            Self::Exponential { mean_years } => Some(1.0 / mean_years),
            Self::Weibull { .. } | Self::LogNormal { .. } | Self::Constant { .. } | Self::Uniform { .. } => None,
        }
    }

    /// It is over before it begins.
    pub fn is_instant(&self) -> bool {
        matches!(*self, Self::Constant { years } if years <= 0.0)
    }

    /// The name and value of the first parameter that makes no sense. A lifetime must not be zero, a duration may be.
    pub(super) fn fault(&self, may_be_instant: bool) -> Option<(&'static str, f64)> {
        let positive = |name, value: f64| (!(value.is_finite() && value > 0.0)).then_some((name, value));
        let not_negative = |name, value: f64| (!(value.is_finite() && value >= 0.0)).then_some((name, value));
        let end = |name, value| if may_be_instant { not_negative(name, value) } else { positive(name, value) };
        match *self {
            Self::Exponential { mean_years } => positive("mean", mean_years),
            Self::Weibull { shape, scale_years } => {
                let wild = (!(0.05..=1000.0).contains(&shape)).then_some(("shape", shape));
                wild.or_else(|| positive("scale", scale_years))
            }
            Self::LogNormal { mean_years, cv } => positive("mean", mean_years).or_else(|| not_negative("cv", cv)),
            Self::Constant { years } => end("constant", years),
            Self::Uniform { low_years, high_years } => {
                let turned = (high_years < low_years).then_some(("upper end", high_years));
                not_negative("lower end", low_years).or_else(|| end("upper end", high_years)).or(turned)
            }
        }
    }
}

//! Durations as people write them, and random durations.
//!
//! `"30d"`, `"1h 30min"`, `"10y"`; a year has 365.25 days. `"never"` is a rate of zero.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds of a year of 365.25 days.
const YEAR_MS: f64 = 31_557_600_000.0;
/// The longest duration: ten thousand years.
const SPAN_MS_MAX: u128 = 315_576_000_000_000;

/// A duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    ms: u64,
}

impl Span {
    /// So many milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self { ms }
    }

    /// So many days.
    pub const fn from_days(days: u64) -> Self {
        Self { ms: days * 86_400_000 }
    }

    /// In milliseconds.
    pub const fn ms(self) -> u64 {
        self.ms
    }

    /// In years.
    #[allow(clippy::cast_precision_loss, reason = "ten thousand years are below 2^53 milliseconds")]
    pub fn years(self) -> f64 {
        self.ms as f64 / YEAR_MS
    }

    /// In days.
    pub fn days(self) -> f64 {
        self.years() * 365.25
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", humantime::format_duration(Duration::from_millis(self.ms)))
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = humantime::parse_duration(text)
            .map_err(|error| format!("'{text}' is not a duration such as \"30d\", \"6h\" or \"10y\": {error}"))?;
        if duration.as_millis() > SPAN_MS_MAX {
            return Err(format!("'{text}' is longer than ten thousand years"));
        }
        Ok(Self { ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) })
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The mean time between two events of a Poisson process; `"never"` for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// It does not happen.
    Never,
    /// Once in this time, on average.
    Mean(Span),
}

impl Every {
    /// Events per year.
    pub fn per_year(self) -> f64 {
        match self {
            Self::Never => 0.0,
            Self::Mean(span) => 1.0 / span.years(),
        }
    }
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text == "never" {
            return Ok(Self::Never);
        }
        let span: Span = text.parse().map_err(serde::de::Error::custom)?;
        if span.ms == 0 {
            return Err(serde::de::Error::custom("the mean time between two events must be above zero"));
        }
        Ok(Self::Mean(span))
    }
}

impl Serialize for Every {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Never => to.serialize_str("never"),
            Self::Mean(span) => span.serialize(to),
        }
    }
}

/// The law of a random duration. A bare `"30d"` takes exactly 30 days, every time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "law")]
pub enum Law {
    /// Always the same.
    Constant {
        /// How long.
        mean: Span,
    },
    /// Without memory.
    Exponential {
        /// On average.
        mean: Span,
    },
    /// A `shape` above 1 wears out, below 1 dies young.
    Weibull {
        /// On average.
        mean: Span,
        /// Of the law.
        shape: f64,
    },
    /// Many small delays multiplied.
    Lognormal {
        /// On average.
        mean: Span,
        /// Standard deviation divided by the mean.
        cv: f64,
    },
    /// Anything between, alike.
    Uniform {
        /// At least.
        from: Span,
        /// At most.
        to: Span,
    },
}

impl Law {
    /// The mean in years.
    pub fn mean_years(self) -> f64 {
        match self {
            Self::Constant { mean }
            | Self::Exponential { mean }
            | Self::Weibull { mean, .. }
            | Self::Lognormal { mean, .. } => mean.years(),
            Self::Uniform { from, to } => f64::midpoint(from.years(), to.years()),
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant { mean } => write!(f, "{mean}"),
            Self::Exponential { mean } => write!(f, "{mean} on average (exponential)"),
            Self::Weibull { mean, shape } => write!(f, "{mean} on average (Weibull, shape {shape})"),
            Self::Lognormal { mean, cv } => write!(f, "{mean} on average (lognormal, cv {cv})"),
            Self::Uniform { from, to } => write!(f, "{from} to {to}"),
        }
    }
}

/// A law as written: a bare duration or a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LawTable {
    law: String,
    mean: Option<Span>,
    shape: Option<f64>,
    cv: Option<f64>,
    from: Option<Span>,
    to: Option<Span>,
}

impl TryFrom<LawTable> for Law {
    type Error = String;

    fn try_from(table: LawTable) -> Result<Self, String> {
        let LawTable { law, mean, shape, cv, from, to } = table;
        let positive = |name: &str, value: Option<f64>| match value {
            Some(value) if value.is_finite() && value > 0.0 => Ok(value),
            Some(value) => Err(format!("{name}: {value} must be above zero")),
            None => Err(format!("law '{law}' needs {name}")),
        };
        let used = match law.as_str() {
            "constant" | "exponential" => [mean.is_some(), false, false, false, false],
            "weibull" => [mean.is_some(), true, false, false, false],
            "lognormal" => [mean.is_some(), false, true, false, false],
            "uniform" => [false, false, false, true, true],
            other => {
                return Err(format!(
                    "no law '{other}': the laws are constant, exponential, weibull, lognormal, uniform"
                ));
            }
        };
        let given = [mean.is_some(), shape.is_some(), cv.is_some(), from.is_some(), to.is_some()];
        let names = ["mean", "shape", "cv", "from", "to"];
        if let Some(name) =
            (given.iter().zip(used).zip(names)).find_map(|((given, used), n)| (*given && !used).then_some(n))
        {
            return Err(format!("law '{law}' takes no {name}"));
        }
        let within = |name: &str, value: Option<f64>, least: f64, most: f64| match positive(name, value)? {
            value if (least..=most).contains(&value) => Ok(value),
            value => Err(format!("{name}: {value} must be from {least} to {most}")),
        };
        let mean = match mean {
            Some(mean) if mean.ms == 0 && law != "constant" => Err(format!("law '{law}' needs a mean above zero")),
            mean => mean.ok_or_else(|| format!("law '{law}' needs mean")),
        };
        Ok(match law.as_str() {
            "constant" => Self::Constant { mean: mean? },
            "exponential" => Self::Exponential { mean: mean? },
            "weibull" => Self::Weibull { mean: mean?, shape: within("shape", shape, 0.05, 1000.0)? },
            "lognormal" => Self::Lognormal { mean: mean?, cv: within("cv", cv, 1e-6, 1000.0)? },
            _ => match (from, to) {
                (Some(from), Some(to)) if from <= to => Self::Uniform { from, to },
                _ => return Err("law 'uniform' needs from and to, from not above to".to_owned()),
            },
        })
    }
}

impl<'de> Deserialize<'de> for Law {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Law;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"30d\", or { law = \"lognormal\", mean = \"30d\", cv = 0.5 }")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Law, E> {
                text.parse().map(|mean| Law::Constant { mean }).map_err(E::custom)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Law, A::Error> {
                let table = LawTable::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                table.try_into().map_err(serde::de::Error::custom)
            }
        }
        from.deserialize_any(Visitor)
    }
}

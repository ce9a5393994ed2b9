//! Numbers for people: no more digits than the interval supports, and words where words say more.
//!
//! Every function gives plain ASCII, for a terminal; [`typeset`] turns it into `1.2 x 10^-7` with proper signs, for a page.

use crate::fate::outcome::Estimate;

/// The most digits of any figure.
const DIGITS_MAX: i32 = 3;
/// Hours of a year of 365.25 days.
const YEAR_HOURS: f64 = 8766.0;

/// How many digits an interval supports: the last one is worth at least half of its half width; at most three.
pub fn digits(estimate: &Estimate) -> i32 {
    let half_width = (estimate.high95 - estimate.low95) / 2.0;
    if estimate.estimate <= 0.0 || half_width <= 0.0 {
        return DIGITS_MAX;
    }
    let digits = 1.3 - libm::log10(half_width / estimate.estimate);
    if digits >= f64::from(DIGITS_MAX) {
        DIGITS_MAX
    } else if digits >= 2.0 {
        2
    } else {
        1
    }
}

/// `0.0123`, `4.2`, `1,230`, `1.2e-7`; zero is `0`, and what has no upper end is `unbounded`.
pub fn number(value: f64, digits: i32) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if value.is_nan() || value.abs() >= f64::MAX {
        return "unbounded".to_owned();
    }
    let digits = usize::try_from(digits.max(1)).unwrap_or(1);
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-3..6).contains(&exponent) {
        let places = usize::try_from(i32::try_from(digits).unwrap_or(1) - 1 - exponent).unwrap_or(0);
        let rounded: f64 = scientific.parse().unwrap_or(value);
        grouped(&format!("{rounded:.places$}"))
    } else {
        format!("{mantissa}e{exponent}")
    }
}

/// Thousands apart: `12,300`.
fn grouped(plain: &str) -> String {
    let (whole, rest) = plain.split_once('.').map_or((plain, None), |(whole, rest)| (whole, Some(rest)));
    let mut text = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 && digit.is_ascii_digit() && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    rest.map_or(text.clone(), |rest| format!("{text}.{rest}"))
}

/// The best value with the digits it deserves; where nothing was seen, `below` the upper end.
pub fn best(estimate: &Estimate) -> String {
    if estimate.estimate > 0.0 {
        number(estimate.estimate, digits(estimate))
    } else if estimate.high95 >= f64::MAX {
        "not seen".to_owned()
    } else if estimate.high95 > 0.0 {
        format!("below {}", number(estimate.high95, 2))
    } else {
        "0".to_owned()
    }
}

/// The interval: `1.1e-7 to 1.4e-7`; nothing where the figure is exact.
pub fn interval(estimate: &Estimate) -> Option<String> {
    if estimate.high95 <= estimate.low95 || estimate.high95 >= f64::MAX {
        return None;
    }
    let digits = if estimate.estimate > 0.0 { (digits(estimate) + 1).min(DIGITS_MAX) } else { 2 };
    Some(format!("{} to {}", number(estimate.low95, digits), number(estimate.high95, digits)))
}

/// A rate per year as a recurrence: `about once in 120 million years`.
pub fn recurrence(per_year: f64) -> Option<String> {
    if !(per_year > 0.0 && per_year < f64::MAX) {
        return None;
    }
    if per_year >= 1.0 {
        return Some(format!("about {} times a year", number(per_year, 2)));
    }
    let years = 1.0 / per_year;
    if years < 1.5 {
        return Some("about once a year".to_owned());
    }
    Some(format!("about once in {} years", large(years)))
}

/// `7.4`, `120`, `45,000`, `3.2 million`, `1.4 billion`, `2.5e14`.
fn large(value: f64) -> String {
    let named = [(1e12, "trillion"), (1e9, "billion"), (1e6, "million")];
    if value >= 1e15 {
        return number(value, 2);
    }
    match named.into_iter().find(|(unit, _)| value >= *unit) {
        Some((unit, name)) => format!("{} {name}", number(value / unit, 2)),
        None => number(value, 2),
    }
}

/// A share as `3.4 %`; below one in ten thousand as a power of ten.
pub fn percent(share: f64, digits: i32) -> String {
    if share >= 1e-4 || share == 0.0 { format!("{} %", number(share * 100.0, digits)) } else { number(share, digits) }
}

/// A share of time as time in a year: `about 5.3 minutes a year`.
pub fn time_a_year(share: f64) -> String {
    format!("{} a year", hours(share * YEAR_HOURS))
}

/// A duration in words: `45 s`, `3 h 20 min`, `2 days 4 h`, `3.1 years`.
pub fn hours(hours: f64) -> String {
    if hours >= f64::MAX {
        return "never".to_owned();
    }
    let seconds = hours * 3600.0;
    let two = |large: f64, name: &str, small: f64, unit: &str| {
        let count = libm::floor(seconds / large);
        let rest = libm::round((seconds - count * large) / small);
        let (count, rest) = if rest * small >= large { (count + 1.0, 0.0) } else { (count, rest) };
        if rest > 0.0 { format!("{count} {name} {rest} {unit}") } else { format!("{count} {name}") }
    };
    if seconds <= 0.0 {
        "0 s".to_owned()
    } else if seconds < 0.01 {
        format!("{} s", number(seconds, 1))
    } else if seconds < 90.0 {
        format!("{} s", number(seconds, 2))
    } else if seconds < 3570.0 {
        format!("{} min", libm::round(seconds / 60.0))
    } else if seconds < 86_400.0 {
        two(3600.0, "h", 60.0, "min")
    } else if hours < 60.0 * 24.0 {
        let days = two(86_400.0, "days", 3600.0, "h");
        days.strip_prefix("1 days").map_or(days.clone(), |rest| format!("1 day{rest}"))
    } else if hours < 2.0 * YEAR_HOURS {
        format!("{} days", number(hours / 24.0, DIGITS_MAX))
    } else {
        format!("{} years", number(hours / YEAR_HOURS, 2))
    }
}

/// The same from years.
pub fn years(value: f64) -> String {
    if value < 0.999 {
        return hours(value * YEAR_HOURS);
    }
    let count = written(value);
    if count == "1" { "1 year".to_owned() } else { format!("{count} years") }
}

/// A number that somebody wrote, or a round one: without the zeros that say how exact a measured one is.
pub fn written(value: f64) -> String {
    trimmed(&number(value, DIGITS_MAX))
}

/// Without the zeros after the point, before a unit or an exponent: `3.20 TB` becomes `3.2 TB`.
pub fn trimmed(text: &str) -> String {
    let end = text.find(['e', ' ']).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number}{rest}")
}

/// A count as a number.
#[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(crate) fn whole(count: u64) -> f64 {
    count as f64
}

/// `4.2 TB`.
pub fn bytes(value: f64, digits: i32) -> String {
    let units = [(1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.into_iter().find(|(unit, _)| value >= *unit) {
        Some((unit, name)) => format!("{} {name}", number(value / unit, digits)),
        None => format!("{} bytes", number(value, digits)),
    }
}

/// The same text with typographic signs: `1.2e-7` becomes 1.2 times ten with a raised exponent.
pub fn typeset(text: &str) -> String {
    let mut set = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('e') {
        let (before, after) = rest.split_at(at);
        let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).count();
        let sign = usize::from(after.get(1..).is_some_and(|text| text.starts_with('-')));
        let count = after.get(1 + sign..).map_or(0, digits);
        let follows_digit = before.ends_with(|last: char| last.is_ascii_digit());
        set.push_str(before);
        let end = 1 + sign + count;
        if follows_digit && count > 0 {
            set.push_str("\u{2009}\u{d7}\u{2009}10");
            set.extend(after.chars().take(end).skip(1).filter_map(raised));
        } else {
            set.extend(after.chars().take(1));
        }
        let taken = if follows_digit && count > 0 { end } else { 1 };
        rest = after.get(taken..).unwrap_or("");
    }
    set.push_str(rest);
    set
}

/// A digit or a minus sign, raised.
pub fn raised(sign: char) -> Option<char> {
    let raised = [
        '\u{2070}', '\u{b9}', '\u{b2}', '\u{b3}', '\u{2074}', '\u{2075}', '\u{2076}', '\u{2077}', '\u{2078}',
        '\u{2079}',
    ];
    match sign {
        '-' => Some('\u{207b}'),
        digit => raised.get(usize::try_from(digit.to_digit(10)?).ok()?).copied(),
    }
}

#[cfg(test)]
mod tests;

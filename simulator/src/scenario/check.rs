//! From the file as written to a scenario that makes sense: defaults filled in, limits and rules checked.

use super::file::{CodeEntry, EventEntry, File, Role, SiteEntry};
use super::problem::Step::{Entry, Key};
use super::problem::{Gathered, Problems, Step};
use super::time::{Every, Law, Span};
use super::{Code, ENTRIES_MAX, Event, Restore, SCHEMA, SITES_MAX, Scenario, Site, When, select};

mod entries;
mod limits;

/// The most missions of one run.
pub const MISSIONS_MAX: u64 = 10_000_000_000;
/// The longest file that is read.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// Reads a scenario file.
///
/// # Errors
/// Everything that is wrong with it, each with its line and field.
pub fn read(text: &str) -> Result<Scenario, Problems> {
    if text.len() > FILE_BYTES_MAX {
        return Err(Problems::Form(format!("{} bytes; a scenario file has at most {FILE_BYTES_MAX}", text.len())));
    }
    let file: File = toml::from_str(text).map_err(|error| Problems::Form(error.to_string()))?;
    let mut gathered = Gathered::new(text);
    limits::check(&file, &mut gathered);
    let sites = entries::sites(&file, &mut gathered);
    let events = entries::events(&file, &sites, &mut gathered);
    let code = file.code.as_ref().map(|code| checked_code(code, &sites, &mut gathered));
    if code.is_none() && file.search.is_none() {
        gathered.add(&[Key("code")], "a scenario needs [code] (data_shards, threshold), or [search] to look for one");
    }
    let restore = Restore {
        order_takes: file.restore.order_takes.unwrap_or(Law::Constant { mean: Span::from_ms(0) }),
        answer_takes: file.restore.answer_takes.unwrap_or(Law::Constant { mean: Span::from_ms(0) }),
        ingress_mbit_s: file.restore.ingress_mbit_s.unwrap_or(10_000.0),
    };
    gathered.finish()?;
    let File { title, about, sources, assumptions, run, policy, databases, alliances, officials, .. } = file;
    let (writer, target, search) = (file.writer, file.target, file.search);
    let (title, about) = (title.trim().to_owned(), about.trim().to_owned());
    Ok(Scenario {
        title,
        about,
        sources,
        assumptions,
        run,
        code,
        policy,
        restore,
        databases,
        sites,
        alliances,
        events,
        officials,
        writer,
        target,
        search,
    })
}

fn checked_code(code: &CodeEntry, sites: &[Site], gathered: &mut Gathered<'_>) -> Code {
    let shards = sites.iter().filter(|site| site.holds_shards).count();
    let shares = sites.iter().filter(|site| site.holds_shares).count();
    let mut bound = |field, value: u32, least: u32, holders: usize, what: &str| {
        if value < least {
            gathered.add(&[Key("code"), Key(field)], format!("{value} must be at least {least}"));
        } else if value as usize > holders {
            let message =
                format!("{value} is more than the {holders} sites that hold {what}: no restore could succeed");
            gathered.add(&[Key("code"), Key(field)], message);
        }
    };
    bound("data_shards", code.data_shards, 1, shards, "shards");
    bound("threshold", code.threshold, 2, shares, "shares");
    if code.refresh.is_some_and(|span| span.ms() == 0) {
        gathered.add(&[Key("code"), Key("refresh")], "must be above zero; leave it out for no refresh");
    }
    let ciphertext_is_public = code.ciphertext_is_public.unwrap_or(true);
    Code { data_shards: code.data_shards, threshold: code.threshold, refresh: code.refresh, ciphertext_is_public }
}

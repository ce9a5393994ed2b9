//! Which sites an event hits.

use std::collections::BTreeMap;

use super::file::{Alliance, Kind};
use super::{Scenario, Site};

/// What a selector may begin with.
const FORMS: &str = "all, home, abroad, site:NAME, jurisdiction:XX, alliance:NAME, building:NAME, owner:NAME, \
                     vendor:NAME, network:NAME, software:NAME, kind:home|embassy|data-centre|cloud";

/// Positions of the sites that one of the selectors names, in order and once each; or, by selector, what is wrong.
pub fn sites(selectors: &[String], all: &[Site], alliances: &[Alliance]) -> Result<Vec<usize>, Vec<(usize, String)>> {
    let mut hit = vec![false; all.len()];
    let mut wrong = Vec::new();
    for (at, selector) in selectors.iter().enumerate() {
        let matches = match matcher(selector, alliances) {
            Ok(matches) => matches,
            Err(why) => {
                wrong.push((at, why));
                continue;
            }
        };
        let mut any = false;
        for (_, hit) in all.iter().zip(&mut hit).filter(|(site, _)| matches(site)) {
            (any, *hit) = (true, true);
        }
        if !any {
            wrong.push((at, format!("'{selector}' names no site of this scenario")));
        }
    }
    if wrong.is_empty() {
        Ok(hit.iter().enumerate().filter(|(_, hit)| **hit).map(|(at, _)| at).collect())
    } else {
        Err(wrong)
    }
}

type Matcher<'a> = Box<dyn Fn(&Site) -> bool + 'a>;

fn matcher<'a>(selector: &'a str, alliances: &'a [Alliance]) -> Result<Matcher<'a>, String> {
    let is = |field: fn(&Site) -> Option<&str>, wanted: &'a str| -> Matcher<'a> {
        Box::new(move |site| field(site) == Some(wanted))
    };
    Ok(match selector.split_once(':') {
        None if selector == "all" => Box::new(|_site| true),
        None if selector == "home" => Box::new(|site| site.kind == Kind::Home),
        None if selector == "abroad" => Box::new(|site| site.kind != Kind::Home),
        Some(("site", name)) => is(|site| Some(&site.name), name),
        Some(("jurisdiction", code)) => is(|site| Some(&site.jurisdiction), code),
        Some(("building", name)) => is(|site| site.building.as_deref(), name),
        Some(("owner", name)) => is(|site| site.owner.as_deref(), name),
        Some(("vendor", name)) => is(|site| site.vendor.as_deref(), name),
        Some(("network", name)) => is(|site| site.network.as_deref(), name),
        Some(("software", name)) => is(|site| site.software.as_deref(), name),
        Some(("alliance", name)) => {
            let alliance = alliances.iter().find(|alliance| alliance.name == name);
            let alliance = alliance.ok_or_else(|| format!("'{selector}': no alliance of that name"))?;
            Box::new(|site| alliance.jurisdictions.contains(&site.jurisdiction))
        }
        Some(("kind", "home")) => Box::new(|site| site.kind == Kind::Home),
        Some(("kind", "embassy")) => Box::new(|site| site.kind == Kind::Embassy),
        Some(("kind", "data-centre")) => Box::new(|site| site.kind == Kind::DataCentre),
        Some(("kind", "cloud")) => Box::new(|site| site.kind == Kind::Cloud),
        None | Some(_) => return Err(format!("'{selector}' selects nothing; a selector is one of: {FORMS}")),
    })
}

/// Sites that may act or fail together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bond {
    /// As a selector.
    pub selector: String,
    /// Positions of its sites.
    pub sites: Vec<usize>,
}

/// Every jurisdiction, alliance, owner, vendor, network, building and software, with its sites.
pub fn bonds(scenario: &Scenario) -> Vec<Bond> {
    let mut bonds: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, site) in scenario.sites.iter().enumerate() {
        let jurisdiction = Some(&site.jurisdiction);
        let named = [
            ("jurisdiction", jurisdiction),
            ("building", site.building.as_ref()),
            ("owner", site.owner.as_ref()),
            ("vendor", site.vendor.as_ref()),
            ("network", site.network.as_ref()),
            ("software", site.software.as_ref()),
        ];
        for (kind, name) in named {
            if let Some(name) = name {
                bonds.entry(format!("{kind}:{name}")).or_default().push(at);
            }
        }
    }
    for alliance in &scenario.alliances {
        let allied = |(at, site): (usize, &Site)| alliance.jurisdictions.contains(&site.jurisdiction).then_some(at);
        let sites: Vec<usize> = scenario.sites.iter().enumerate().filter_map(allied).collect();
        if !sites.is_empty() {
            bonds.insert(format!("alliance:{}", alliance.name), sites);
        }
    }
    bonds.into_iter().map(|(selector, sites)| Bond { selector, sites }).collect()
}

//! The ready-made scenarios, part of the program.

/// Name and text of every one: the baseline first, a search for a plan last.
pub const ALL: &[(&str, &str)] = &[
    ("quiet-decade", include_str!("../../scenarios/quiet-decade.toml")),
    ("estonia-2007", include_str!("../../scenarios/estonia-2007.toml")),
    ("wannacry-2017", include_str!("../../scenarios/wannacry-2017.toml")),
    ("notpetya-2017", include_str!("../../scenarios/notpetya-2017.toml")),
    ("strasbourg-2021", include_str!("../../scenarios/strasbourg-2021.toml")),
    ("ukraine-2022", include_str!("../../scenarios/ukraine-2022.toml")),
    ("baltic-cables-2023", include_str!("../../scenarios/baltic-cables-2023.toml")),
    ("daejeon-2025", include_str!("../../scenarios/daejeon-2025.toml")),
    ("home-occupied", include_str!("../../scenarios/home-occupied.toml")),
    ("embassy-closed", include_str!("../../scenarios/embassy-closed.toml")),
    ("ally-turns", include_str!("../../scenarios/ally-turns.toml")),
    ("officials-captured", include_str!("../../scenarios/officials-captured.toml")),
    ("choose-hosts", include_str!("../../scenarios/choose-hosts.toml")),
];

/// The text of the one with this name.
pub fn find(name: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

//! Attacks on the chain of charters, and charters that contradict themselves.

use shard_codec::Digest;

use super::{Alliance, Charter, CharterChain, CharterError, SiteState};
use crate::document::Document as _;
use crate::fixture::{State, name, sign};
use crate::machine::Announcement;
use crate::signature::quorum::QuorumError;
use crate::signature::{EnvelopeError, Keypair, PublicKey, Signed};

fn too_few(version: u64, roll: u64, valid: usize, quorum: usize, strangers: usize) -> CharterError {
    CharterError::Quorum { version, roll, error: QuorumError::TooFew { valid, quorum, strangers } }
}

#[test]
fn a_state_is_founded_by_a_quorum_of_its_own_officials() {
    let state = State::new();
    let genesis = state.chain.newest().clone();
    assert!(CharterChain::found(genesis.clone(), Some(genesis.digest())).is_ok());
    let two = sign(genesis.document().clone(), &state.officials[..2]);
    assert_eq!(CharterChain::found(two, None).unwrap_err(), too_few(1, 1, 2, 3, 0));
    let strangers = sign(genesis.document().clone(), &[Keypair::generate(&mut crate::fixture::rng(1))]);
    assert_eq!(CharterChain::found(strangers, None).unwrap_err(), too_few(1, 1, 0, 3, 1));
}

#[test]
fn the_pinned_state_is_the_only_one_taken() {
    let state = State::new();
    let other = State::founded(|charter| charter.state_name = "Ruritania restored".to_owned());
    let (expected, found) = (state.chain.state(), other.chain.state());
    let refused = CharterChain::found(other.chain.newest().clone(), Some(expected)).unwrap_err();
    assert_eq!(refused, CharterError::OtherState { expected, found });
    // A whole other chain cannot be continued into this one.
    let mut chain = state.chain.clone();
    let mut next = other.next_charter(|_| {});
    next.previous = Some(state.chain.newest().digest());
    assert_eq!(chain.extend(sign(next, &state.officials)), Err(CharterError::OtherState { expected, found }));
}

#[test]
fn a_chain_does_not_begin_in_the_middle() {
    let mut state = State::new();
    let second = state.amend(|_| {});
    assert_eq!(CharterChain::found(second, None).unwrap_err(), CharterError::NotNext { newest: 0, found: 2 });
}

#[test]
fn the_next_version_needs_the_old_quorum_and_the_new_one() {
    let state = State::new();
    let usurpers: Vec<Keypair> = (0..3).map(|seed| Keypair::generate(&mut crate::fixture::rng(100 + seed))).collect();
    let usurped = state.next_charter(|charter| {
        charter.officials.truncate(3);
        for (official, usurper) in charter.officials.iter_mut().zip(&usurpers) {
            official.key = usurper.public();
        }
    });
    let mut chain = state.chain.clone();
    // The new officials alone.
    assert_eq!(chain.extend(sign(usurped.clone(), &usurpers)), Err(too_few(2, 1, 0, 3, 3)));
    // With two of the old ones.
    let mut two_old = sign(usurped.clone(), &usurpers);
    state.officials[..2].iter().for_each(|official| two_old.sign(official));
    assert_eq!(chain.extend(two_old), Err(too_few(2, 1, 2, 3, 3)));
    // The old officials alone: the new ones have not shown that they hold their keys.
    assert_eq!(chain.extend(sign(usurped.clone(), &state.officials)), Err(too_few(2, 2, 0, 3, 5)));
    let mut both = sign(usurped, &usurpers);
    state.officials[..3].iter().for_each(|official| both.sign(official));
    assert_eq!(chain.extend(both), Ok(true));
}

#[test]
fn a_higher_quorum_binds_the_version_that_sets_it() {
    let state = State::new();
    let mut chain = state.chain.clone();
    let stricter = state.next_charter(|charter| charter.quorum = 5);
    assert_eq!(chain.extend(sign(stricter.clone(), &state.officials[..4])), Err(too_few(2, 2, 4, 5, 0)));
    assert_eq!(chain.extend(sign(stricter, &state.officials)), Ok(true));
    // And every later one is measured by it.
    let lax = Charter { version: 3, quorum: 1, previous: Some(chain.newest().digest()), ..chain.charter().clone() };
    assert_eq!(chain.extend(sign(lax, &state.officials[..4])), Err(too_few(3, 2, 4, 5, 0)));
}

#[test]
fn gaps_forks_and_replays() {
    let mut state = State::new();
    let before = state.chain.clone();
    let second = state.amend(|charter| charter.state_name = "Ruritania in exile".to_owned());
    let third = state.amend(|_| {});
    // A gap.
    assert_eq!(before.clone().extend(third.clone()), Err(CharterError::NotNext { newest: 1, found: 3 }));
    // Replay of versions that are here changes nothing and is no alarm.
    let mut chain = state.chain.clone();
    assert_eq!(chain.extend(second.clone()), Ok(false));
    assert_eq!(chain.extend(before.newest().clone()), Ok(false));
    assert_eq!(chain.newest().digest(), third.digest());
    // Officials sign two second versions: whoever has one refuses the other, and what follows it.
    let mut fork = second.document().clone();
    fork.state_name = "Ruritania occupied".to_owned();
    let fork = sign(fork, &state.officials);
    assert_eq!(chain.extend(fork.clone()), Err(CharterError::Fork { version: 2 }));
    let mut after_fork = third.document().clone();
    after_fork.previous = Some(fork.digest());
    let mut chain = before;
    assert_eq!(chain.extend(second), Ok(true));
    assert_eq!(chain.extend(sign(after_fork, &state.officials)), Err(CharterError::Fork { version: 2 }));
}

#[test]
fn only_officials_can_raise_the_alarm_of_a_fork() {
    let mut state = State::new();
    let mut nonsense = state.charter().clone();
    nonsense.state_name = "Nonsense".to_owned();
    let refused = state.chain.extend(sign(nonsense, &state.officials[..1])).unwrap_err();
    assert_eq!(refused, too_few(1, 1, 1, 3, 0));
}

#[test]
fn a_site_keeps_its_name_and_its_keys_for_ever() {
    let state = State::new();
    let refused = |change: &dyn Fn(&mut Charter)| {
        let next = sign(state.next_charter(change), &state.officials);
        state.chain.clone().extend(next).unwrap_err()
    };
    let changed = |site| CharterError::SiteChanged { version: 2, site: name(site) };
    let thief = Keypair::generate(&mut crate::fixture::rng(5)).public();
    assert_eq!(refused(&|charter| charter.sites[2].identity = thief), changed("helsinki"));
    let stolen = shard_codec::SealingSecretKey::generate(&mut crate::fixture::rng(6)).public();
    assert_eq!(refused(&|charter| charter.sites[4].sealing_key = stolen.as_bytes().to_vec()), changed("bern"));
    let removed = refused(&|charter| {
        charter.sites.pop();
        charter.databases[0].placement.pop();
        charter.databases[0].custodians.pop();
    });
    assert_eq!(removed, changed("ottawa"));
    assert_eq!(
        removed.to_string(),
        "charter version 2 drops site ottawa or changes its keys: mark it lost or expelled, and give its successor a new \
         name"
    );
}

#[test]
fn a_removed_site_is_known_and_is_no_member() {
    let mut state = State::new();
    let identity = state.sites[6].identity.public();
    assert!(state.charter().active_site_by_identity(identity).is_some());
    state.amend(|charter| charter.sites[6].state = SiteState::Expelled);
    assert!(state.charter().active_site_by_identity(identity).is_none());
    assert!(state.charter().site(&name("ottawa")).is_some());
    assert_eq!(state.charter().active_sites().count(), 6);
}

/// The text that an official reads when `change` is made to a good charter.
fn invalid(change: impl FnOnce(&mut Charter)) -> String {
    let mut charter = State::new().charter().clone();
    change(&mut charter);
    let EnvelopeError::Invalid { kind: "charter", reason } = Signed::draft(charter).unwrap_err() else {
        panic!("refused for another reason");
    };
    reason
}

#[test]
fn databases_that_cannot_be_kept() {
    type Change = fn(&mut Charter);
    let cases: [(Change, &str); 13] = [
        (|c| c.databases[0].data_shards = 8, "database land-register: 8 data shards do not fit on 7 sites"),
        (
            |c| c.databases[0].data_shards = 0,
            "database land-register: 0 data and 7 parity shards: need at least 1 data shard and at most 255 in all",
        ),
        (|c| c.databases[0].threshold = 1, "database land-register: threshold must be 2 to 7 (its custodians)"),
        (|c| c.databases[0].threshold = 0, "database land-register: threshold must be 2 to 7 (its custodians)"),
        (|c| c.databases[0].threshold = 8, "database land-register: threshold must be 2 to 7 (its custodians)"),
        (|c| c.databases[0].placement[6] = name("tallinn"), "database land-register: placement names a site twice"),
        (|c| c.databases[0].custodians[6] = name("tallinn"), "database land-register: custodians names a site twice"),
        (|c| c.databases[0].custodians[0] = name("atlantis"), "database land-register: no site atlantis"),
        (
            |c| c.sites[0].roles.shards = false,
            "database land-register: site tallinn does not have the role for placement",
        ),
        (
            |c| c.sites[0].roles.shares = false,
            "database land-register: site tallinn does not have the role for custodians",
        ),
        (|c| c.databases[0].writers.clear(), "database land-register: needs at least one usable writer key"),
        (|c| c.databases[0].rpo_seconds = Some(59), "database land-register: rpo_seconds must be a minute to a year"),
        (|c| c.databases[0].stripe_bytes = 1 << 27, "database land-register: stripe_bytes must be 1 MiB to 64 MiB"),
    ];
    for (change, expected) in cases {
        assert_eq!(invalid(change), expected);
    }
    assert_eq!(invalid(|c| c.databases.push(c.databases[0].clone())), "at most 1000 databases, each named once");
}

#[test]
fn sites_and_officials_that_are_not_what_they_seem() {
    let weak = PublicKey::from_bytes([0; 32]);
    let shared = "two sites share a name, an identity or a sealing key";
    assert_eq!(invalid(|c| c.sites[1].identity = c.sites[0].identity), shared);
    assert_eq!(invalid(|c| c.sites[1].name = c.sites[0].name.clone()), shared);
    assert_eq!(invalid(|c| c.sites[1].sealing_key = c.sites[0].sealing_key.clone()), shared);
    assert_eq!(invalid(|c| c.sites[1].identity = c.officials[0].key), "an official's key is also a site's identity");
    assert_eq!(invalid(|c| c.sites[1].identity = weak), "site luxembourg: the identity is not a usable key");
    assert_eq!(
        invalid(|c| (c.sites[1].roles.shards, c.sites[1].roles.shares) = (false, false)),
        "site luxembourg: holds neither shards nor shares"
    );
    assert_eq!(
        invalid(|c| c.sites[1].sealing_key.truncate(1215)),
        "site luxembourg: sealing key: a sealing key of 1215 bytes, expected 1216"
    );
    assert_eq!(
        invalid(|c| c.sites[1].sealing_key[1184..].fill(0)),
        "site luxembourg: sealing key: the X25519 half has low order"
    );
    let code = "site luxembourg: jurisdiction must be two capital letters (ISO 3166), as in EE";
    assert_eq!(invalid(|c| c.sites[1].jurisdiction = "lu".to_owned()), code);
    assert_eq!(invalid(|c| c.officials[1].key = c.officials[0].key), "two officials have the same key");
    assert_eq!(invalid(|c| c.officials[1].key = weak), "the key of official 1 is not usable");
    assert_eq!(invalid(|c| c.quorum = 6), "a quorum of 6 cannot be reached by 5 officials");
    assert_eq!(invalid(|c| c.quorum = 0), "a quorum of 0 cannot be reached by 5 officials");
}

#[test]
fn an_alliance_that_would_match_no_site_is_refused() {
    let refused = |codes: &[&str]| {
        let jurisdictions = codes.iter().map(|code| (*code).to_owned()).collect();
        invalid(|c| c.alliances = vec![Alliance { name: "CIS".to_owned(), jurisdictions }])
    };
    let code = "alliance 'CIS': a jurisdiction is two capital letters (ISO 3166), as in EE";
    assert_eq!(refused(&["RU", "by"]), code);
    assert_eq!(refused(&["Russia"]), code);
    assert_eq!(refused(&[]), "alliance 'CIS': needs jurisdictions, each once");
    assert_eq!(refused(&["RU", "RU"]), "alliance 'CIS': needs jurisdictions, each once");
    let alliance = Alliance { name: "CIS".to_owned(), jurisdictions: vec!["RU".to_owned()] };
    assert_eq!(invalid(|c| c.alliances = vec![alliance; 65]), "at most 64 alliances");
}

/// Envelopes as anybody may send them, whatever is in them.
fn forged(charter: Charter, signers: &[Keypair]) -> Result<Signed<Charter>, EnvelopeError> {
    let mut signed = Signed::decode_form(&Signed::unchecked(charter).encode())?;
    signers.iter().for_each(|signer| signed.sign(signer));
    Ok(signed)
}

/// Looking for coalitions in a charter of the largest size costs much more than its signatures do.
#[test]
fn who_is_no_official_does_not_get_to_the_costly_checks() {
    let state = State::new();
    let costly = [
        |charter: &mut Charter| charter.databases[0].data_shards = 6,
        |charter: &mut Charter| charter.databases[0].writers.push(PublicKey::from_bytes([0; 32])),
    ];
    let texts = [
        "charter: database land-register: without alliance 'Nordic mutual assistance' (helsinki, reykjavik) only 5 shards \
         remain of 6 needed: add sites in other domains or lower data_shards",
        "charter: database land-register: needs at least one usable writer key",
    ];
    for (change, text) in costly.iter().zip(texts) {
        let next = |signers: &[Keypair]| forged(state.next_charter(change), signers).unwrap();
        let extended = |signers: &[Keypair]| state.chain.clone().extend(next(signers)).unwrap_err();
        // It would fail both ways.
        assert_eq!(extended(&state.officials[..2]), too_few(2, 1, 2, 3, 0));
        assert_eq!(extended(&state.officials[..3]).to_string(), text);
        // And the first version.
        let mut founding = state.charter().clone();
        change(&mut founding);
        let founded = |signers| CharterChain::found(forged(founding.clone(), signers).unwrap(), None).unwrap_err();
        assert_eq!(founded(&state.officials[..2]), too_few(1, 1, 2, 3, 0));
        assert_eq!(founded(&state.officials[..3]).to_string(), text);
        // The machine that anybody may hand a charter goes that way ...
        let hand = |signers| state.site(0).hear(Announcement::Charter(next(signers).encode().into())).unwrap_err();
        assert_eq!(hand(&state.officials[..2]).message, too_few(2, 1, 2, 3, 0).to_string());
        assert_eq!(hand(&state.officials[..3]).message, text);
        // ... and an official who is to sign it is told before there is any signature.
        assert_eq!(Signed::<Charter>::decode(&next(&[]).encode()).unwrap_err().to_string(), text);
        assert_eq!(Signed::draft(founding.clone()).unwrap_err().to_string(), text);
    }
    // What costs little is looked at first.
    let error = forged(state.next_charter(|charter| charter.quorum = 0), &[]).unwrap_err();
    assert_eq!(error.to_string(), "charter: a quorum of 0 cannot be reached by 5 officials");
}

#[test]
fn texts_that_would_draw_on_a_terminal_are_refused() {
    for text in ["", " ", "a\u{1b}[2J", "gnirts a\u{202e}", "isolated \u{2066}", "two\u{2028}lines", &"x".repeat(513)] {
        let expected = "the state's name must be 1 to 512 bytes without control characters";
        assert_eq!(invalid(|c| c.state_name = text.to_owned()), expected, "{text:?}");
    }
    let mut charter = State::new().charter().clone();
    charter.state_name = "Eesti Vabariik \u{2013} \u{0420}\u{0443}\u{0440}".to_owned();
    assert_eq!(charter.validate(), Ok(()));
}

#[test]
fn versions_name_their_predecessors() {
    let digest = Some(Digest::of(b"another"));
    let first = "version 1 has no predecessor, every later version names one";
    assert_eq!(invalid(|c| c.version = 0), first);
    assert_eq!(invalid(|c| c.version = 2), first);
    assert_eq!(invalid(|c| c.previous = digest), first);
    let later = "a later version names genesis and predecessor";
    assert_eq!(invalid(|c| (c.version, c.previous) = (2, digest)), later);
    assert_eq!(invalid(|c| (c.version, c.genesis) = (2, digest)), later);
}

#[test]
fn names_are_safe_in_a_file_name_a_log_line_and_a_command() {
    use crate::identifier::{DatabaseName, SiteName};
    for good in ["a", "tallinn", "land-register-2", &"x".repeat(63)] {
        assert!(good.parse::<SiteName>().is_ok() && good.parse::<DatabaseName>().is_ok(), "{good}");
    }
    for bad in ["", "-rf", "2nd", "Tallinn", "a/b", "..", "a b", "a\n", "\u{0430}", &"x".repeat(64)] {
        assert!(bad.parse::<SiteName>().is_err() && bad.parse::<DatabaseName>().is_err(), "{bad:?}");
    }
    let error = "a\u{1b}[31m".parse::<SiteName>().unwrap_err();
    assert_eq!(error.text, "a[31m");
}

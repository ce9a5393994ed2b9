//! Sites that say what they like: whoever asks them asks a bounded number of questions, and soon none but the first.

use proptest::prelude::*;

use serde_bytes::ByteBuf;

use super::*;
use crate::fixture::rng;
use crate::limits::PAGE_ENTRIES_MAX;

/// Questions of one round at the most, whatever these liars answer: 16 parts or spans in vain, mostly two questions each.
const QUESTIONS_MAX: usize = 64;

/// A state whose history has more spans than may be asked for in vain.
fn long_history(state: &mut State) -> Vec<Announcement> {
    let mut document = state.snapshot(None, 0).manifest.document().clone();
    let mut run: Vec<Signed<crate::document::Manifest>> = Vec::new();
    for sequence in 1..=40 * crate::catalog::SPAN {
        (document.sequence, document.previous) = (sequence, run.last().map(Signed::digest));
        run.push(Signed::sign_new(document.clone(), &state.writer).unwrap());
    }
    let runs = run.chunks(PAGE_ENTRIES_MAX);
    runs.map(|run| Announcement::Manifests(run.iter().map(|signed| signed.encode().into()).collect())).collect()
}

fn digest(rng: &mut impl rand::CryptoRng) -> Digest {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    Digest::from_bytes(bytes)
}

/// Something else about everything.
fn other_summary(database: Option<&DatabaseName>, rng: &mut impl rand::CryptoRng) -> Summary {
    let parts = match database {
        None => vec![Part::Charters, Part::Database(crate::fixture::database()), Part::Releases],
        Some(name) => vec![Part::Manifests(name.clone()), Part::Forks(name.clone()), Part::Receipts(name.clone())],
    };
    parts.into_iter().map(|part| (part, digest(rng))).collect()
}

/// An answer of the right kind, with as much as fits and nothing in it that is of use.
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever is not answered by digests is answered by documents")]
fn lie(request: &Request, rng: &mut impl rand::CryptoRng) -> Response {
    let rubbish = |count: usize| vec![ByteBuf::from(vec![0xa0]); count];
    match request {
        Request::Summary { database, .. } => Response::Summary(other_summary(database.as_ref(), rng)),
        Request::ReceiptSpans { .. } | Request::ReceiptSpan { .. } => {
            Response::Digests((0..PAGE_ENTRIES_MAX).map(|_| digest(rng)).collect())
        }
        Request::Head { .. } => Response::Head(Some((u64::MAX, digest(rng)))),
        Request::ReleaseLog { .. } => Response::Announcements(vec![Announcement::Order(rubbish(1).remove(0))]),
        _ => Response::Documents(rubbish(1)),
    }
}

#[test]
fn lies_that_change_every_time_cost_a_bounded_round_each() {
    let mut state = State::new();
    let history = long_history(&mut state);
    let (mut site, mut dialogue, mut rng) = (state.site(0), Dialogue::default(), rng(5));
    history.into_iter().for_each(|run| drop(site.hear(run).unwrap()));
    for _ in 0..8 {
        let said = ask_whom(&mut site, &mut dialogue, 10_000, |request| lie(request, &mut rng));
        assert!(said.asked.len() <= QUESTIONS_MAX, "{} questions", said.asked.len());
    }
    let round = dialogue.begin(&site);
    assert_eq!(dialogue.ended(&site, round), crate::host::PAUSE_MAX_MS);
}

#[test]
fn a_lie_that_stays_is_asked_about_once() {
    let mut state = State::new();
    let history = long_history(&mut state);
    let (mut site, mut dialogue) = (state.site(0), Dialogue::default());
    history.into_iter().for_each(|run| drop(site.hear(run).unwrap()));
    let mut rounds = Vec::new();
    for _ in 0..8 {
        let said = ask_whom(&mut site, &mut dialogue, 10_000, |request| lie(request, &mut rng(5)));
        rounds.push(said.asked.len());
    }
    assert!(rounds[0] > 10 && rounds.iter().all(|count| *count <= QUESTIONS_MAX), "{rounds:?}");
    assert!(rounds[6..].iter().all(|count| *count <= 20), "the log goes on where it stopped: {rounds:?}");
}

/// Empty lists, where something was promised: not even the release log is read again.
#[test]
fn a_site_that_promises_and_gives_nothing_is_asked_about_once() {
    let mut state = State::new();
    let history = long_history(&mut state);
    let (mut site, mut dialogue) = (state.site(0), Dialogue::default());
    history.into_iter().for_each(|run| drop(site.hear(run).unwrap()));
    let mut rounds = Vec::new();
    for _ in 0..4 {
        let said = ask_whom(&mut site, &mut dialogue, 10_000, |request| {
            let lie = lie(request, &mut rng(5));
            if let Response::Documents(_) = lie {
                return Response::Documents(Vec::new());
            }
            if let Response::Announcements(_) = lie { Response::Announcements(Vec::new()) } else { lie }
        });
        rounds.push(said.asked.len());
    }
    assert!(rounds[0] > 10 && rounds.iter().all(|count| *count <= QUESTIONS_MAX), "{rounds:?}");
    assert_eq!(rounds[3], 1, "{rounds:?}");
}

/// Any answer to any question, mostly of the right kind.
fn any_response() -> impl Strategy<Value = u8> {
    0_u8..12
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_answers_end_the_round(kinds in proptest::collection::vec(any_response(), 1..60), seed in any::<u64>()) {
        let mut state = State::new();
        let snapshot = state.snapshot(None, 1);
        let (mut site, mut peer, mut rng) = (state.site(0), state.site(1), rng(seed));
        site.publish(state.writer.public(), &snapshot).unwrap();
        peer.publish(state.writer.public(), &snapshot).unwrap();
        let mut kinds = kinds.into_iter().cycle();
        let mut dialogue = Dialogue::default();
        for _ in 0..4 {
            let said = ask_whom(&mut site, &mut dialogue, 10_000, |request| match kinds.next() {
                Some(0) => Response::Same,
                Some(1) => Response::Digests(Vec::new()),
                Some(2) => Response::Documents(Vec::new()),
                Some(3) => Response::Summary(Vec::new()),
                Some(4) => Response::Head(Some((0, Digest::of(b"nothing")))),
                Some(5..=7) => answer(&peer, request).unwrap(),
                _ => lie(request, &mut rng),
            });
            prop_assert!(said.asked.len() <= QUESTIONS_MAX);
        }
    }
}

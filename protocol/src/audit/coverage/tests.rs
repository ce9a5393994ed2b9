//! Unit tests of `coverage`: known values, and draws.

use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::audit::schedule::below;

#[test]
fn known_values() {
    // ln(0.01) / ln(0.99) = 458.2; ln(0.05) / ln(0.5) = 4.3; ln(0.001) / ln(0.999) = 6904.3
    assert_eq!(challenges_to_find(10_000, 990_000), Some(459));
    assert_eq!(challenges_to_find(500_000, 950_000), Some(5));
    assert_eq!(challenges_to_find(1_000, 999_000), Some(6_905));
    assert_eq!(challenges_to_find(PPM, 999_999), Some(1));
    assert_eq!(challenges_to_find(PPM, PPM), Some(1));
    assert_eq!((challenges_to_find(0, 500_000), challenges_to_find(10, PPM)), (None, None));
    // A site of 1 TiB in leaves of 16 KiB, four auditors, a challenge a minute, 30 days: 172,800 of 67,108,864.
    let challenges = challenges_in(30 * 86_400_000, 60_000, 4);
    assert_eq!(challenges, 172_800);
    assert_eq!(expected_share_ppm(1 << 26, challenges), 2_571);
    assert_eq!(time_for_ms(459, 60_000, 4), 115 * 60_000);
    assert_eq!((expected_share_ppm(1, 1), expected_share_ppm(0, 0), expected_share_ppm(1 << 40, 0)), (PPM, PPM, 0));
}

#[test]
fn draws_agree_with_the_promise() {
    let (leaves, lost, runs) = (1_000_u64, 20_u64, 4_000_u64);
    let promised = challenges_to_find(lost * PPM / leaves, 900_000).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let mut found = 0_u64;
    let mut proven = 0_u64;
    for _ in 0..runs {
        let drawn: std::collections::BTreeSet<u64> = (0..promised).map(|_| below(leaves, &mut rng)).collect();
        found += u64::from(drawn.iter().any(|leaf| *leaf < lost));
        proven += drawn.len() as u64;
    }
    // 90 % of 4,000 runs, three standard deviations of 19.
    assert!((3_600 - 57..=3_600 + 57 + 40).contains(&found), "{found}");
    let expected = expected_share_ppm(leaves, promised) * leaves / PPM * runs;
    assert!(proven.abs_diff(expected) * 100 < expected, "{proven} {expected}");
}

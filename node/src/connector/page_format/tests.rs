//! Page files are recognised by what they are and where they lie.

use super::*;

fn sqlite_head(high: u8, low: u8) -> Vec<u8> {
    let mut head = SQLITE_MAGIC.to_vec();
    head.extend([high, low]);
    head
}

#[test]
fn sqlite_databases_are_recognised_by_their_head() {
    for (high, low, expected) in [(2, 0, 4096), (0x10, 0, 4096), (0x20, 0, 8192), (0, 1, 65_536)] {
        let hint = cut_hint("any/name", 12_345, &sqlite_head(high, low));
        assert_eq!(hint, CutHint::Pages { unit_bytes: expected });
    }
    for (high, low) in [(0, 0), (0, 64), (0x10, 1)] {
        assert_eq!(cut_hint("any/name", 12_345, &sqlite_head(high, low)), CutHint::ContentDefined);
    }
    assert_eq!(cut_hint("any/name", 12_345, SQLITE_MAGIC), CutHint::ContentDefined);
}

#[test]
fn postgresql_relations_are_recognised_by_their_path() {
    let pages = CutHint::Pages { unit_bytes: 8192 };
    let relations =
        ["base/5/16384", "base/5/16384.1", "data/base/5/16384_fsm", "base/5/16384_vm", "global/1260", "base/5/1_fsm.2"];
    for path in relations {
        assert_eq!(cut_hint(path, 81_920, &[]), pages, "{path}");
    }
    for path in ["base/5/PG_VERSION", "global/pg_control", "16384", "other/16384", "base/5/16384.", "base/5/_fsm"] {
        assert_eq!(cut_hint(path, 81_920, &[]), CutHint::ContentDefined, "{path}");
    }
    assert_eq!(cut_hint("base/5/16384", 81_921, &[]), CutHint::ContentDefined);
    assert_eq!(cut_hint("base/5/16384", 0, &[]), CutHint::ContentDefined);
}

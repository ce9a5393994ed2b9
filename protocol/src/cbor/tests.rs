//! Hostile encodings, each accepted by `serde_cbor` alone.

use super::{DecodeError, decode, encode};

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    first: u8,
    second: u8,
}

#[test]
fn round_trip() {
    let pair = Pair { first: 1, second: 2 };
    assert_eq!(decode::<Pair>(&encode(&pair), 64), Ok(pair));
}

#[test]
fn refuses_what_is_not_canonical() {
    let overlong_integer = b"\xa2\x65first\x18\x01\x66second\x02";
    let indefinite_map = b"\xbf\x65first\x01\x66second\x02\xff";
    let array_for_struct = b"\x82\x01\x02";
    let tagged = b"\xc1\xa2\x65first\x01\x66second\x02";
    let swapped_fields = b"\xa2\x66second\x02\x65first\x01";
    for bytes in [&overlong_integer[..], indefinite_map, array_for_struct, tagged, swapped_fields] {
        assert_eq!(decode::<Pair>(bytes, 64), Err(DecodeError::NotCanonical), "{bytes:02x?}");
    }
}

#[test]
fn refuses_trailing_bytes_unknown_fields_depth_and_length() {
    let mut trailing = encode(&Pair { first: 1, second: 2 });
    trailing.push(0);
    let unknown = b"\xa3\x65first\x01\x66second\x02\x65third\x03";
    let deep = vec![0x81; 1_000_000];
    let giant_header = b"\x5b\x00\x00\x00\x00\x40\x00\x00\x00";
    for bytes in [&trailing[..], unknown, giant_header] {
        assert!(matches!(decode::<Pair>(bytes, 1 << 20), Err(DecodeError::Malformed(_))), "{bytes:02x?}");
    }
    assert!(matches!(decode::<Pair>(&deep, 2_000_000), Err(DecodeError::Malformed(_))));
    assert_eq!(decode::<Pair>(&deep, 64), Err(DecodeError::TooLong { actual: 1_000_000, max: 64 }));
}

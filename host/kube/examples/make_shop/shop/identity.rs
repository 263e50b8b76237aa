//! Names, UIDs and times that are made up, but the same every time.

/// 2026-11-20T10:00:00Z, when the dump was taken.
const NOW: i64 = 1_795_168_800;
/// Letters and digits of generated names: no vowels, nothing that looks like another.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A number from a text (FNV-1a, mixed).
fn hash(text: &str) -> u64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (hash >> 32)
}

/// A UID like those of API servers.
pub fn uid(of: &str) -> String {
    let bits = u128::from(hash(of)) << 64 | u128::from(hash(&format!("{of}/uid")));
    let hex = format!("{bits:032x}");
    format!("{}-{}-4{}-9{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// The end of a generated name.
pub fn suffix(of: &str, length: usize) -> String {
    let mut rest = hash(of);
    (0..length)
        .map(|_| {
            let letter = ALPHABET[(rest % 27) as usize];
            rest /= 27;
            char::from(letter)
        })
        .collect()
}

/// A number below `limit`.
pub fn pick(of: &str, limit: u64) -> u64 {
    hash(of) % limit
}

/// The moment this many seconds before the dump.
pub fn before(seconds: u64) -> String {
    let moment = jiff::Timestamp::from_second(NOW - seconds.cast_signed()).expect("a moment of our time");
    moment.to_string()
}

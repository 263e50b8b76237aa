//! Kubernetes quantities, exactly.
//!
//! The grammar is that of `k8s.io/apimachinery/pkg/api/resource`: a signed decimal number with a binary
//! suffix (`Ki` … `Ei`), a decimal suffix (`n`, `u`, `m`, none, `k` … `E`) or a decimal exponent (`e3`, `E-2`).
//! Finer parts than a nano-unit are rounded up, as there.

use crate::{Bytes, MilliCpu};

const NANO: i128 = 1_000_000_000;
/// The API holds quantities in 64 signed bits; what is larger reads as this.
const CEILING: i128 = i64::MAX as i128;

/// An amount of something, in billionths of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Quantity(i128);

/// What is wrong with the text of a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The text follows no quantity's grammar.
    #[error("\"{0}\" is not a quantity; write a number with an optional suffix, like 500m, 2, 1.5Gi or 1e3")]
    Syntax(String),
    /// Below zero, where only an amount makes sense.
    #[error("{0} is negative; an amount cannot be less than 0")]
    Negative(String),
}

impl Quantity {
    /// Reads a quantity. What exceeds 2^63 - 1 units becomes that, as in the API server.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        parse(text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            QuantityError::Syntax(shown)
        })
    }

    /// Reads an amount, which may not be negative.
    pub fn parse_amount(text: &str) -> Result<Self, QuantityError> {
        let quantity = Self::parse(text)?;
        if quantity.0 < 0 { Err(QuantityError::Negative(text.to_owned())) } else { Ok(quantity) }
    }

    /// A whole number of units.
    pub fn from_units(units: i64) -> Self {
        Self(i128::from(units) * NANO)
    }

    /// Whole units, rounded up; zero when negative.
    pub fn units(self) -> u64 {
        self.scaled(NANO)
    }

    /// Thousandths, rounded up; zero when negative.
    pub fn milli_units(self) -> u64 {
        self.scaled(NANO / 1000)
    }

    /// As CPU.
    pub fn cpu(self) -> MilliCpu {
        MilliCpu(self.milli_units())
    }

    /// As memory.
    pub fn bytes(self) -> Bytes {
        Bytes(self.units())
    }

    fn scaled(self, unit: i128) -> u64 {
        let up = (self.0.max(0) + unit - 1) / unit;
        u64::try_from(up.min(CEILING)).unwrap_or(0)
    }
}

fn parse(text: &str) -> Option<Quantity> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let scale = scale(suffix)?;
    let nano = amount(whole, fraction, scale).min(CEILING * NANO);
    Some(Quantity(if negative { -nano } else { nano }))
}

/// What one unit of the suffix is worth: `2^binary * 10^decimal`.
struct Scale {
    binary: u32,
    decimal: i32,
}

fn scale(suffix: &str) -> Option<Scale> {
    let decimal = |decimal| Some(Scale { binary: 0, decimal });
    let binary = |binary| Some(Scale { binary, decimal: 0 });
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => decimal(suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?),
    }
}

/// Billionths, rounded up and clipped at what fits.
fn amount(whole: &str, fraction: &str, scale: Scale) -> i128 {
    let mut value: i128 = 0;
    let mut power = scale.decimal.saturating_add(9);
    let mut dropped = false;
    for (index, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
        let digit = i128::from(digit - b'0');
        // 30 digits are more than the ceiling needs: the rest only shifts or rounds.
        if value > i128::pow(10, 28) {
            dropped |= digit != 0;
            power = power.saturating_add(1);
        } else {
            value = value * 10 + digit;
        }
        if index >= whole.len() {
            power = power.saturating_sub(1);
        }
    }
    if value == 0 {
        return 0;
    }
    let Some(value) = value.checked_mul(1i128 << scale.binary) else { return CEILING * NANO };
    if power >= 0 {
        i128::checked_pow(10, power.unsigned_abs()).and_then(|p| value.checked_mul(p)).unwrap_or(CEILING * NANO)
    } else {
        let Some(divisor) = i128::checked_pow(10, power.unsigned_abs()) else { return 1 };
        let rest = value % divisor != 0 || dropped;
        value / divisor + i128::from(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_kubernetes_writes() {
        for (text, milli) in [
            ("0", 0u128),
            ("1", 1000),
            ("100m", 100),
            ("1.5", 1500),
            (".5", 500),
            ("5.", 5000),
            ("+2", 2000),
            ("1e3", 1_000_000),
            ("1E3", 1_000_000),
            ("12e-2", 120),
            ("2k", 2_000_000),
            ("1Ki", 1_024_000),
            ("1.5Gi", 1_610_612_736_000),
            ("14226852Ki", 14_568_296_448_000),
            ("1n", 1),
            ("1000001n", 2),
            ("0.0000000001", 1),
            ("1u", 1),
            ("3E", 3_000_000_000_000_000_000_000),
        ] {
            let read = Quantity::parse(text).unwrap();
            assert_eq!(u128::from(read.milli_units()), milli.min(i64::MAX.unsigned_abs().into()), "{text}");
        }
    }

    #[test]
    fn what_is_too_large_stops_at_the_ceiling() {
        for text in ["9223372036854775807", "1e18", "10E", "1e30", "16Ei", "1e2000000000", &"9".repeat(500)] {
            let units = Quantity::parse(text).unwrap().units();
            assert!(
                units == i64::MAX.unsigned_abs() || text == "1e18" && units == 1_000_000_000_000_000_000,
                "{text}: {units}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_quantity() {
        for text in ["", "m", "1 Gi", "1gi", "1Gib", "1.2.3", "--1", "0x10", "1e", "NaN", "½", "1K", "e3"] {
            assert!(matches!(Quantity::parse(text), Err(QuantityError::Syntax(_))), "{text}");
        }
        assert!(matches!(Quantity::parse_amount("-1"), Err(QuantityError::Negative(_))));
        assert_eq!(Quantity::parse("-1").unwrap().units(), 0);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}") {
            let _ = Quantity::parse(&text);
        }

        #[test]
        fn whole_numbers_are_exact(units in 0i64..=i64::MAX) {
            prop_assert_eq!(Quantity::parse(&units.to_string()).unwrap(), Quantity::from_units(units));
        }

        #[test]
        fn milli_and_units_agree(milli in 0u64..1_000_000_000_000) {
            let read = Quantity::parse(&format!("{milli}m")).unwrap();
            prop_assert_eq!(read.milli_units(), milli);
            prop_assert_eq!(read.units(), milli.div_ceil(1000));
        }
    }
}

//! Prices for people.

use core::fmt;

/// Millionths of a US dollar, shown as dollars: `$0.096`, `$12.50`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(pub u64);

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, mut rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let mut digits = 6;
        // Prices are read as dollars and cents; what lies below a cent shows only where there is any.
        while digits > 2 && rest.is_multiple_of(10) {
            rest /= 10;
            digits -= 1;
        }
        write!(f, "${dollars}.{rest:0digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::Usd;

    #[test]
    fn shows_what_there_is() {
        for (micros, expected) in [
            (0, "$0.00"),
            (96_000, "$0.096"),
            (58_200, "$0.0582"),
            (1, "$0.000001"),
            (500_000, "$0.50"),
            (12_500_000, "$12.50"),
            (u64::MAX, "$18446744073709.551615"),
        ] {
            assert_eq!(Usd(micros).to_string(), expected);
        }
    }
}

//! Quantities in thousandths.

use serde_json::Value;

/// A quantity in thousandths, rounded up; zero for what is none.
pub(super) fn milli(value: &Value) -> i128 {
    match value {
        Value::String(text) => parse(text).unwrap_or_default(),
        Value::Number(number) => parse(&number.to_string()).unwrap_or_default(),
        _ => 0,
    }
}

fn parse(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (times, per) = match suffix {
        "" => (1000, 1),
        "n" => (1, 1_000_000),
        "u" => (1, 1000),
        "m" => (1, 1),
        "k" => (1_000_000, 1),
        "M" => (1_000_000_000, 1),
        "G" => (1_000_000_000_000, 1),
        "T" => (1_000_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000_000, 1),
        "Ki" => (1000 << 10, 1),
        "Mi" => (1000 << 20, 1),
        "Gi" => (1000 << 30, 1),
        "Ti" => (1000 << 40, 1),
        "Pi" => (1000 << 50, 1),
        "Ei" => (1000_i128 << 60, 1),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let ten = 10_i128.checked_pow(power.unsigned_abs())?;
            if power >= 0 { (ten.checked_mul(1000)?, 1) } else { (1000, ten) }
        }
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.get(..fraction.len().min(12))?;
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let per = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?.checked_mul(per)?;
    let exact = digits.checked_mul(times)?;
    Some(exact.div_euclid(per) + i128::from(exact.rem_euclid(per) != 0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_read() {
        for (text, expected) in [
            (json!("100m"), 100),
            (json!("1"), 1000),
            (json!(2), 2000),
            (json!("0.5"), 500),
            (json!("1.5Gi"), 1_610_612_736_000),
            (json!("1e3"), 1_000_000),
            (json!("5e-1"), 500),
            (json!("1n"), 1),
            (json!("16Gi"), 17_179_869_184_000),
            (json!("much"), 0),
            (json!("1e999999"), 0),
            (json!(null), 0),
            (json!("-1"), -1000),
        ] {
            assert_eq!(milli(&text), expected, "{text}");
        }
    }
}

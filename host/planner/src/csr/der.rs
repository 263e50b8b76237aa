//! DER, read strictly (X.690, section 10): one encoding for each value, and nothing left over.

/// Tags that requests are made of.
pub(super) mod tag {
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OID: u8 = 0x06;
    pub const UTF8_STRING: u8 = 0x0c;
    pub const PRINTABLE_STRING: u8 = 0x13;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    pub const ATTRIBUTES: u8 = 0xa0;
}

/// Bytes of a length field: no request is longer than its text.
const LENGTH_BYTES: usize = 3;
const LONG_FORM: u8 = 0x80;
const LONG_TAG: u8 = 0x1f;

/// What has not been read yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'a> {
    rest: &'a [u8],
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    /// With its tag and length.
    pub whole: &'a [u8],
}

/// A sentence.
pub(super) type Flaw = String;

// === impl Der ===

impl<'a> Der<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next value.
    pub(super) fn next_tag(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next value, whatever it is. `what` names it for people.
    pub(super) fn any(&mut self, what: &str) -> Result<Element<'a>, Flaw> {
        let bytes = self.rest;
        let ends = || format!("it ends within its {what}");
        let [tag, first, after @ ..] = bytes else { return Err(ends()) };
        if tag & LONG_TAG == LONG_TAG {
            return Err(format!("its {what} has a tag that no request has"));
        }
        let (length, after) = match *first {
            short if short < LONG_FORM => (usize::from(short), after),
            long => {
                let count = usize::from(long & !LONG_FORM);
                if count == 0 || count > LENGTH_BYTES {
                    return Err(format!("the length of its {what} is no DER"));
                }
                let (digits, after) = after.split_at_checked(count).ok_or_else(ends)?;
                let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
                if digits.first() == Some(&0) || length < usize::from(LONG_FORM) {
                    return Err(format!("the length of its {what} is longer than DER writes it"));
                }
                (length, after)
            }
        };
        let (content, rest) = after.split_at_checked(length).ok_or_else(ends)?;
        let (whole, _) = bytes.split_at(bytes.len() - rest.len());
        self.rest = rest;
        Ok(Element { tag: *tag, content, whole })
    }

    /// The next value, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8, what: &str) -> Result<Element<'a>, Flaw> {
        let element = self.any(what)?;
        if element.tag == tag {
            Ok(element)
        } else {
            Err(format!("its {what} has tag {:#04x} where {tag:#04x} belongs", element.tag))
        }
    }

    /// What is inside the next value.
    pub(super) fn inside(&mut self, tag: u8, what: &str) -> Result<Der<'a>, Flaw> {
        self.expect(tag, what).map(|element| Der::new(element.content))
    }

    /// The content of a bit string of whole bytes.
    pub(super) fn whole_bits(&mut self, what: &str) -> Result<&'a [u8], Flaw> {
        match self.expect(tag::BIT_STRING, what)?.content {
            [0, bits @ ..] => Ok(bits),
            _ => Err(format!("its {what} is not made of whole bytes")),
        }
    }

    /// The bytes of an integer above zero, without the one that only says so.
    pub(super) fn positive(&mut self, what: &str) -> Result<&'a [u8], Flaw> {
        match self.expect(tag::INTEGER, what)?.content {
            [0, digits @ ..] if digits.first().is_some_and(|high| high & 0x80 != 0) => Ok(digits),
            digits @ [1..=0x7f, ..] => Ok(digits),
            _ => Err(format!("its {what} is no positive number as DER writes it")),
        }
    }

    /// Refuses whatever is left.
    pub(super) fn end(self, what: &str) -> Result<(), Flaw> {
        if self.rest.is_empty() { Ok(()) } else { Err(format!("there is something after its {what}")) }
    }
}

/// An object identifier as people write it.
pub(super) fn oid_text(content: &[u8]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut value: u64 = 0;
    for byte in content.iter().take(64) {
        value = value.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if parts.is_empty() {
                let first = (value / 40).min(2);
                parts.push(first.to_string());
                value -= first * 40;
            }
            parts.push(value.to_string());
            value = 0;
        }
    }
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(bytes: &[u8]) -> Result<Element<'_>, Flaw> {
        Der::new(bytes).any("value")
    }

    #[test]
    fn lengths_have_one_form() {
        assert_eq!(any(&[4, 1, 9, 7]).unwrap().content, [9]);
        let mut long = vec![4, 0x81, 0x80];
        long.extend([0; 128]);
        assert_eq!(any(&long).unwrap().whole, long);
        for wrong in [
            &[][..],
            &[4],
            &[4, 1],
            &[4, 0x80, 0, 0],
            &[4, 0x81, 1, 0],
            &[4, 0x82, 0, 0x80],
            &[4, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[4, 0xff, 0],
            &[0x1f, 1, 0],
            &[4, 0x83, 0xff, 0xff, 0xff, 0],
        ] {
            assert!(any(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn numbers_are_positive_and_short() {
        let positive = |bytes: &[u8]| Der::new(bytes).positive("number").map(<[u8]>::to_vec);
        assert_eq!(positive(&[2, 1, 5]).unwrap(), [5]);
        assert_eq!(positive(&[2, 2, 0, 0x80]).unwrap(), [0x80]);
        for wrong in [&[2, 0][..], &[2, 1, 0], &[2, 1, 0x80], &[2, 2, 0, 1], &[2, 2, 0xff, 1]] {
            assert!(positive(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn identifiers_read_well() {
        assert_eq!(oid_text(&[0x55, 4, 3]), "2.5.4.3");
        assert_eq!(oid_text(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14]), "1.2.840.113549.1.9.14");
        assert_eq!(oid_text(&[0xff; 100]), "");
        assert_eq!(oid_text(&[]), "");
    }
}

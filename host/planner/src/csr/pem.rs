//! The text around a request.
//!
//! Go's `pem.Decode`, which the signer uses, skips what it does not understand and stops after the first block.
//! Whoever sees another request in the same bytes than the signer can be fooled, so here only one reading is left.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN CERTIFICATE REQUEST-----";
const END: &str = "-----END CERTIFICATE REQUEST-----";
/// Go and OpenSSL write 64 characters, RFC 1421 allows no more.
const LONGEST_LINE: usize = 64;

/// The bytes of the one block. The error is a sentence.
pub(super) fn contents(text: &[u8]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "spec.request is not text".to_owned())?;
    let mut lines = text.trim_ascii_end().split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    if lines.next() != Some(BEGIN) {
        return Err("spec.request does not start with a PEM block of type CERTIFICATE REQUEST".to_owned());
    }
    let mut base64 = String::with_capacity(text.len());
    let mut last = false;
    loop {
        match lines.next() {
            None => return Err("its PEM block has no end".to_owned()),
            Some(END) => break,
            Some(line) if line.contains(':') => return Err("its PEM block has headers".to_owned()),
            Some(line) if line.is_empty() || line.len() > LONGEST_LINE => {
                return Err(format!("its PEM block has a line of {} characters", line.len()));
            }
            Some(_) if last => return Err("its PEM block goes on after a short line".to_owned()),
            Some(line) => {
                last = line.len() < LONGEST_LINE;
                base64.push_str(line);
            }
        }
    }
    if lines.next().is_some() {
        return Err("there is something after its PEM block".to_owned());
    }
    STANDARD.decode(base64).map_err(|error| format!("its PEM block is no canonical base64: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(body: &str) -> String {
        format!("{BEGIN}\n{body}\n{END}\n")
    }

    #[test]
    fn one_block_is_read() {
        let long = "A".repeat(64);
        for text in [block("AQID"), block("AQID") + "\n", block("AQID").replace('\n', "\r\n")] {
            assert_eq!(contents(text.as_bytes()), Ok(vec![1, 2, 3]), "{text}");
        }
        assert_eq!(contents(block(&format!("{long}\nAQID")).as_bytes()).unwrap().len(), 51);
    }

    #[test]
    fn everything_else_is_refused() {
        let (one, long) = (block("AQID"), "A".repeat(65));
        for text in [
            String::new(),
            format!("x\n{one}"),
            format!("\n{one}"),
            format!("{one}x"),
            format!("{one}{one}"),
            format!("{one}\n{one}"),
            one.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
            one.replacen("CERTIFICATE REQUEST", "CERTIFICATE", 1),
            one.replace("-----END CERTIFICATE REQUEST-----", ""),
            one.replace("-----END", "----END"),
            block("Proc-Type: 4\n\nAQID"),
            block("\nAQID"),
            block("AQ\nID"),
            block("AQ ID"),
            block(" AQID"),
            block("AQI"),
            // The same bytes as AQ==, with bits that nobody reads.
            block("AR=="),
            block("AQ==AQ=="),
            block(&long),
            block("AQID\u{a0}"),
        ] {
            assert!(contents(text.as_bytes()).is_err(), "{text}");
        }
        assert!(contents(&[0xff, 0xfe]).is_err());
    }
}

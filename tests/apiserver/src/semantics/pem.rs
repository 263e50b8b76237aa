//! PEM blocks, as Go reads them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// What stands after `BEGIN`.
    pub label: String,
    /// Whether there are headers before the data.
    pub has_headers: bool,
    /// The data.
    pub data: Vec<u8>,
}

/// All whole blocks; what stands between them is skipped.
pub(super) fn blocks(text: &[u8]) -> Vec<Block> {
    let text = String::from_utf8_lossy(text);
    let mut blocks = Vec::new();
    let mut open: Option<(String, bool, String)> = None;
    for line in text.lines() {
        let line = line.trim_end();
        let marked = |start: &str| line.strip_prefix(start).and_then(|rest| rest.strip_suffix("-----"));
        if let Some(label) = marked("-----BEGIN ") {
            open = Some((label.to_owned(), false, String::new()));
        } else if let Some(end) = marked("-----END ") {
            let Some((label, has_headers, data)) = open.take().filter(|(label, _, _)| label == end) else { continue };
            if let Ok(data) = STANDARD.decode(data) {
                blocks.push(Block { label, has_headers, data });
            }
        } else if let Some((_, has_headers, data)) = &mut open {
            if line.contains(':') {
                *has_headers = true;
            } else {
                data.push_str(line.trim());
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_between_other_text() {
        let text = b"hello\n-----BEGIN A-----\nAQID\n-----END A-----\n-----BEGIN B-----\nX: y\n\nAQ\nID\n-----END B-----\n-----BEGIN C-----\nAQID\n";
        let found = blocks(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], Block { label: "A".to_owned(), has_headers: false, data: vec![1, 2, 3] });
        assert!(found[1].has_headers);
        assert!(blocks(b"-----BEGIN A-----\n!!\n-----END A-----").is_empty());
        assert!(blocks(b"-----BEGIN A-----\nAQID\n-----END B-----").is_empty());
        assert!(blocks(&[0xff, 0xfe]).is_empty());
    }
}

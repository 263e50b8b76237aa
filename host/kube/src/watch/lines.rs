//! Cuts a stream of bytes into lines or into the items of a list, wherever the pieces end.

use memchr::{memchr, memchr2};
use serde::Deserialize;

/// No object is larger: etcd takes 1.5 MB unless told otherwise.
const LONGEST_OBJECT: usize = 32 << 20;
/// What a list says beside its items.
const LONGEST_HEAD: usize = 1 << 20;

/// What comes is no watch and no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Nonsense {
    #[error("one object is longer than {} MiB", LONGEST_OBJECT >> 20)]
    TooLong,
    #[error("the list is no JSON")]
    NoList,
}

/// Lines of a watch.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
}

/// Items of a list, each as its text. All else of the list is kept until its end.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// The list without its items.
    head: Vec<u8>,
    /// The beginning of an item whose end has not come.
    begun: Vec<u8>,
    depth: u32,
    in_text: bool,
    escaped: bool,
    place: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Outside of the array of items.
    #[default]
    Head,
    /// Between two items.
    Between,
    Item,
}

/// `metadata` of a list.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListMetadata {
    pub resource_version: String,
    /// Where the next page begins; empty on the last.
    #[serde(rename = "continue")]
    pub token: String,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    metadata: ListMetadata,
}

// === impl Lines ===

impl Lines {
    /// Takes the next bytes; gives every line that ends in them.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Nonsense> {
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.begun.is_empty() {
                each(line);
            } else {
                self.begun.extend_from_slice(line);
                each(&self.begun);
                self.begun.clear();
            }
            bytes = rest;
        }
        keep(&mut self.begun, bytes, LONGEST_OBJECT)
    }
}

// === impl Items ===

impl Items {
    /// Takes the next bytes; gives every item that ends in them.
    pub(super) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Nonsense> {
        // Where the part begins that belongs to the present place.
        let (mut start, mut at) = (0, 0);
        while at < bytes.len() {
            if self.in_text {
                at = self.text(bytes, at);
                continue;
            }
            match bytes[at] {
                b'"' => self.in_text = true,
                open @ (b'{' | b'[') => {
                    self.depth = self.depth.checked_add(1).ok_or(Nonsense::NoList)?;
                    match self.place {
                        Place::Head if open == b'[' && self.depth == 2 => {
                            keep(&mut self.head, &bytes[start..=at], LONGEST_HEAD)?;
                            start = at + 1;
                            if self.at_items() {
                                self.place = Place::Between;
                            }
                        }
                        Place::Between if self.depth == 3 => (self.place, start) = (Place::Item, at),
                        _ => {}
                    }
                }
                b'}' | b']' => {
                    self.depth = self.depth.checked_sub(1).ok_or(Nonsense::NoList)?;
                    match self.place {
                        Place::Item if self.depth == 2 => {
                            self.item(&bytes[start..=at], &mut each)?;
                            self.place = Place::Between;
                        }
                        Place::Between if self.depth == 1 => (self.place, start) = (Place::Head, at),
                        _ => {}
                    }
                }
                _ => {}
            }
            at += 1;
        }
        match self.place {
            Place::Head => keep(&mut self.head, &bytes[start..], LONGEST_HEAD),
            Place::Between => Ok(()),
            Place::Item => keep(&mut self.begun, &bytes[start..], LONGEST_OBJECT),
        }
    }

    /// What the list says of itself, after its last byte.
    pub(super) fn finish(&self) -> Result<ListMetadata, Nonsense> {
        let head: Head = serde_json::from_slice(&self.head).map_err(|_| Nonsense::NoList)?;
        Ok(head.metadata)
    }

    /// Goes on inside of a text; gives where it stopped.
    fn text(&mut self, bytes: &[u8], at: usize) -> usize {
        if std::mem::take(&mut self.escaped) {
            return at + 1;
        }
        match memchr2(b'"', b'\\', &bytes[at..]) {
            None => bytes.len(),
            Some(found) => {
                self.escaped = bytes[at + found] == b'\\';
                self.in_text = self.escaped;
                at + found + 1
            }
        }
    }

    fn item(&mut self, end: &[u8], each: &mut impl FnMut(&[u8])) -> Result<(), Nonsense> {
        if self.begun.is_empty() {
            each(end);
            return Ok(());
        }
        keep(&mut self.begun, end, LONGEST_OBJECT)?;
        each(&self.begun);
        self.begun.clear();
        Ok(())
    }

    /// The array that has just begun is that of the items.
    fn at_items(&self) -> bool {
        let before = |text: &[u8], end: &[u8]| text.trim_ascii_end().strip_suffix(end).map(<[u8]>::to_vec);
        let key = before(&self.head, b"[").and_then(|text| before(&text, b":"));
        key.is_some_and(|text| text.trim_ascii_end().ends_with(b"\"items\""))
    }
}

fn keep(kept: &mut Vec<u8>, more: &[u8], longest: usize) -> Result<(), Nonsense> {
    if kept.len().saturating_add(more.len()) > longest {
        return Err(Nonsense::TooLong);
    }
    if kept.is_empty() && kept.capacity() > 1 << 20 {
        // One huge object is no reason to hold as much for ever.
        kept.shrink_to(64 << 10);
    }
    kept.extend_from_slice(more);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(piece, |line| found.push(String::from_utf8_lossy(line).into_owned())).expect("short lines");
        }
        found
    }

    fn items(pieces: &[&[u8]]) -> Result<(Vec<Value>, ListMetadata), Nonsense> {
        let (mut items, mut found) = (Items::default(), Vec::new());
        for piece in pieces {
            items.push(piece, |item| found.push(serde_json::from_slice(item).expect("an object")))?;
        }
        Ok((found, items.finish()?))
    }

    #[test]
    fn lines_end_where_they_end() {
        assert_eq!(lines(&[b"a\nb", b"c", b"\n\nd"]), ["a", "bc", ""]);
        let mut endless = Lines::default();
        let megabyte = vec![b'x'; 1 << 20];
        let pushed = (0..40).map(|_| endless.push(&megabyte, |_| {})).find(Result::is_err);
        assert_eq!(pushed, Some(Err(Nonsense::TooLong)));
    }

    #[test]
    fn only_the_items_of_the_list_are_items() {
        let list =
            br#"{"items2":[{"a":1}],"kind":"items","metadata":{"continue":"t","resourceVersion":"7","items":[{}]},
            "items" : [ {"a":"}]\"{"} , null, {"items":[{"b":[]}]},{}],"more":[[1]]}"#;
        let (found, metadata) = items(&[list]).expect("a list");
        assert_eq!(found, [json!({"a": "}]\"{"}), json!({"items": [{"b": []}]}), json!({})]);
        assert_eq!(metadata, ListMetadata { resource_version: "7".into(), token: "t".into() });
        for empty in [r#"{"items":[],"metadata":{}}"#, r#"{"items":null}"#, "{}"] {
            assert_eq!(items(&[empty.as_bytes()]), Ok((vec![], ListMetadata::default())), "{empty}");
        }
        for cut in ["", r#"{"items":[{"a":1}"#, r#"{"items":[]"#, "]", "<html>"] {
            assert_eq!(items(&[cut.as_bytes()]), Err(Nonsense::NoList), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_pieces_end(texts in prop::collection::vec(".{0,12}", 0..6), cuts in prop::collection::vec(0usize..400, 0..8)) {
            let objects: Vec<Value> = texts.iter().map(|text| json!({"metadata": {"name": text}, "list": [text, {}]})).collect();
            let list = json!({"apiVersion": "v1", "items": &objects, "metadata": {"resourceVersion": "7"}}).to_string();
            let stream: String = objects.iter().map(|object| format!("{object}\n")).collect();
            let pieces = |text: &str| {
                let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).chain([0, text.len()]).collect();
                places.sort_unstable();
                places.windows(2).map(|pair| text.as_bytes()[pair[0]..pair[1]].to_vec()).collect::<Vec<_>>()
            };
            let (list, stream) = (pieces(&list), pieces(&stream));
            let (list, stream): (Vec<&[u8]>, Vec<&[u8]>) = (list.iter().map(Vec::as_slice).collect(), stream.iter().map(Vec::as_slice).collect());
            prop_assert_eq!(items(&list).expect("a list").0, objects.clone());
            let lines: Vec<Value> = lines(&stream).iter().map(|line| serde_json::from_str(line).expect("an object")).collect();
            prop_assert_eq!(lines, objects);
        }
    }
}

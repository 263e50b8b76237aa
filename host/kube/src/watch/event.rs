//! What a line of a watch means.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Answer;

/// The annotation of the bookmark that ends a streaming list (KEP-3157).
const LIST_ENDS: &str = "k8s.io/initial-events-end";

/// A line of a watch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// The text of an object as it is now.
    Put(&'a [u8]),
    /// The text of an object as it was last.
    Gone(&'a [u8]),
    /// Everything up to this version has been sent; with `listed`, so has everything that was there at first.
    Bookmark { version: String, listed: bool },
    /// The watch ends here.
    Error(Answer),
}

#[derive(Deserialize)]
struct RawEvent<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: BookmarkMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMetadata {
    resource_version: String,
    #[serde(default)]
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

impl<'a> Event<'a> {
    /// Reads a line; the error says what is wrong with it.
    pub(super) fn read(line: &'a [u8]) -> Result<Self, String> {
        let (kind, object) = match plain(line) {
            Some(found) => found,
            None => {
                let event: RawEvent<'a> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
                (event.kind.as_bytes(), event.object.get().as_bytes())
            }
        };
        match kind {
            b"ADDED" | b"MODIFIED" => Ok(Self::Put(object)),
            b"DELETED" => Ok(Self::Gone(object)),
            b"BOOKMARK" => {
                let bookmark: Bookmark = serde_json::from_slice(object).map_err(|error| error.to_string())?;
                let annotations = bookmark.metadata.annotations.unwrap_or_default();
                let listed = annotations.get(LIST_ENDS).is_some_and(|value| value == "true");
                Ok(Self::Bookmark { version: bookmark.metadata.resource_version, listed })
            }
            b"ERROR" => Ok(Self::Error(Answer::read(0, None, object))),
            other => Err(format!("an event of type {:?}", String::from_utf8_lossy(other))),
        }
    }
}

/// Type and object of a line as API servers write it, without a look at the object.
fn plain(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.trim_ascii().strip_prefix(br#"{"type":""#)?;
    let end = memchr::memchr(b'"', rest.get(..16).unwrap_or(rest))?;
    let object = rest[end..].strip_prefix(br#"","object":"#)?.strip_suffix(b"}")?;
    Some((&rest[..end], object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_mean_what_the_api_says() {
        let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#;
        let answer = Answer { code: 410, reason: "Expired".into(), message: "too old".into(), ..Answer::default() };
        let bookmark = |annotations: &str| {
            format!(r#"{{"type":"BOOKMARK","object":{{"metadata":{{"resourceVersion":"12"{annotations}}}}}}}"#)
        };
        let at = |listed| Event::Bookmark { version: "12".into(), listed };
        let (end, no_end) = (
            bookmark(r#","annotations":{"k8s.io/initial-events-end":"true"}"#),
            bookmark(r#","annotations":{"k8s.io/initial-events-end":"false"}"#),
        );
        let (plain, null) = (bookmark(""), bookmark(r#","annotations":null"#));
        for (line, event) in [
            (r#"{"type":"ADDED","object":{"a":{}}}"#, Event::Put(br#"{"a":{}}"#)),
            ("{\"type\":\"MODIFIED\",\"object\":{}}\r", Event::Put(b"{}")),
            (r#" { "object" : {"a":1}, "type" : "DELETED" } "#, Event::Gone(br#"{"a":1}"#)),
            (&plain, at(false)),
            (&null, at(false)),
            (&no_end, at(false)),
            (&end, at(true)),
            (gone, Event::Error(answer)),
        ] {
            assert_eq!(Event::read(line.as_bytes()), Ok(event), "{line}");
        }
        for line in [
            "",
            "{}",
            "null",
            r#"{"type":"ADDED"}"#,
            r#"{"type":"SYNC","object":{}}"#,
            r#"{"type":"BOOKMARK","object":{}}"#,
            "\u{0}",
        ] {
            assert!(Event::read(line.as_bytes()).is_err(), "{line}");
        }
    }
}

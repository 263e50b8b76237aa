//! Finds the objects of JSON documents.
//!
//! A document is one object, a list with `items`, a plain map whose values are lists of objects, or an array of
//! any of these. Items go to the sink as they come. Only an object that cannot be told yet (its list's kind
//! comes later) and what lies beside the lists is kept until the document ends.

use std::io::Read;

use super::StreamError;
use super::head::Head;
use super::window::Window;

/// Lists in lists beyond this are no dump.
const DEEPEST_LIST: usize = 8;

/// Takes the objects of a stream.
pub(crate) trait Sink {
    /// One object.
    fn object(&mut self, object: RawObject<'_>);
}

/// One object as text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawObject<'a> {
    /// JSON text of one object; syntactically right.
    pub text: &'a [u8],
    /// The line its text starts on.
    pub line: u64,
    /// Its kind, or that of its list; `None` if neither says.
    pub kind: Option<&'a str>,
    /// Its `apiVersion`, or that of its list.
    pub api_version: Option<&'a str>,
}

/// What is known of a document while it is read.
#[derive(Default)]
struct Document {
    head: Head,
    /// Objects without a kind, of which the rest of the document may tell more.
    undecided: Vec<Undecided>,
    /// Objects with a kind were among its arrays: it is a list or a map of lists.
    holds_objects: bool,
    /// It has arrays, however empty.
    holds_arrays: bool,
    /// It has anything at all.
    holds_fields: bool,
    /// It has `metadata`, as objects and lists do.
    holds_metadata: bool,
    /// Its metadata says where the next page begins.
    goes_on: bool,
}

/// What the metadata of a list says of further pages.
#[derive(serde::Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

struct Undecided {
    text: Vec<u8>,
    line: u64,
    api_version: Option<String>,
    in_items: bool,
}

/// Gives every object of a stream of JSON documents to `sink`.
pub(super) fn read(window: &mut Window<impl Read>, sink: &mut dyn Sink) -> Result<(), StreamError> {
    read_nested(window, sink, 0)
}

fn read_nested(window: &mut Window<impl Read>, sink: &mut dyn Sink, depth: usize) -> Result<(), StreamError> {
    if depth > DEEPEST_LIST {
        return Err(window.error("lists in lists in lists; write the dump with `kubectl get`"));
    }
    while let Some(byte) = window.peek()? {
        match byte {
            b'{' => read_map(window, sink, depth)?,
            b'[' => read_array(window, &mut Document::default(), false, sink, depth)?,
            // An empty YAML document.
            b'n' => {
                let (_, length) = window.value::<()>()?;
                window.consume(length);
            }
            _ => {
                return Err(
                    window.error("this is no Kubernetes object; a dump is JSON or YAML as `kubectl get` writes it")
                );
            }
        }
    }
    Ok(())
}

fn read_map(window: &mut Window<impl Read>, sink: &mut dyn Sink, depth: usize) -> Result<(), StreamError> {
    let mut document = Document::default();
    let line = window.line();
    window.start_tape();
    window.skip_byte();
    while let Some(key) = next_key(window, document.holds_fields)? {
        document.holds_fields = true;
        document.holds_metadata |= key == "metadata";
        if window.peek_inside()? == b'[' {
            document.holds_arrays = true;
            if key == "items" {
                // Only lists have items, so what is in them is not part of an object.
                document.head.items = true;
                let tape = window.take_tape();
                read_array(window, &mut document, true, sink, depth)?;
                window.resume_tape(tape.map(|tape| [tape.as_slice(), b"[]"].concat()));
            } else {
                read_array(window, &mut document, false, sink, depth)?;
            }
            continue;
        }
        let length = match key.as_str() {
            "kind" => {
                let (head, length) = window.value::<serde_json::Value>()?;
                document.head.kind = head.as_str().map(str::to_owned);
                length
            }
            "apiVersion" => {
                let (head, length) = window.value::<serde_json::Value>()?;
                document.head.api_version = head.as_str().map(str::to_owned);
                length
            }
            _ => window.value_length()?,
        };
        document.goes_on |= key == "metadata" && PageMetadata::goes_on(window.next_bytes(length));
        // `items: null` is how some clients write an empty list.
        document.head.items |= key == "items" && window.next_bytes(length) == b"null";
        window.consume(length);
    }
    let tape = window.take_tape().unwrap_or_default();
    finish(document, &tape, line, window, sink)
}

/// The next key of a map with its colon; `None` once the map has ended, which is consumed.
fn next_key(window: &mut Window<impl Read>, follows: bool) -> Result<Option<String>, StreamError> {
    let mut byte = window.peek_inside()?;
    if byte == b'}' {
        window.skip_byte();
        return Ok(None);
    }
    if follows {
        if byte != b',' {
            return Err(window.error("expected , or } here; is this JSON cut off or edited?"));
        }
        window.skip_byte();
        byte = window.peek_inside()?;
    }
    if byte != b'"' {
        return Err(window.error("expected a field name in quotes here; is this JSON cut off or edited?"));
    }
    let (key, length) = window.value::<String>()?;
    window.consume(length);
    if window.peek_inside()? != b':' {
        return Err(window.error("expected : after the field name; is this JSON cut off or edited?"));
    }
    window.skip_byte();
    Ok(Some(key))
}

fn read_array(
    window: &mut Window<impl Read>,
    document: &mut Document,
    in_items: bool,
    sink: &mut dyn Sink,
    depth: usize,
) -> Result<(), StreamError> {
    let mut first = true;
    window.skip_byte();
    loop {
        let mut byte = window.peek_inside()?;
        if byte == b']' {
            window.skip_byte();
            return Ok(());
        }
        if !first {
            if byte != b',' {
                return Err(window.error("expected , or ] here; is this JSON cut off or edited?"));
            }
            window.skip_byte();
            byte = window.peek_inside()?;
        }
        first = false;
        let length = if byte == b'{' {
            let (head, length) = window.value::<Head>()?;
            take_item(window.next_bytes(length), window.line(), head, document, in_items, sink, depth)?;
            length
        } else {
            window.value_length()?
        };
        // A map of lists is no object, and it is large: nothing of it is kept.
        if document.holds_objects {
            window.take_tape();
        }
        window.consume(length);
    }
}

fn take_item(
    text: &[u8],
    line: u64,
    head: Head,
    document: &mut Document,
    in_items: bool,
    sink: &mut dyn Sink,
    depth: usize,
) -> Result<(), StreamError> {
    if document.is_object() {
        return Ok(());
    }
    if head.item_kind().is_some() {
        document.holds_objects = true;
        return read_nested(&mut Window::starting_at(text, line), sink, depth + 1);
    }
    let list_kind = document.head.kind.as_deref().and_then(|kind| kind.strip_suffix("List"));
    let api_version = head.api_version.as_deref();
    match (head.kind.as_deref(), list_kind) {
        (Some(kind), _) => {
            document.holds_objects = true;
            sink.object(RawObject { text, line, kind: Some(kind), api_version });
        }
        (None, Some(kind)) if in_items => {
            document.holds_objects = true;
            let kind = (!kind.is_empty()).then_some(kind);
            let api_version = api_version.or(document.head.api_version.as_deref());
            sink.object(RawObject { text, line, kind, api_version });
        }
        (None, _) => {
            let api_version = head.api_version;
            document.undecided.push(Undecided { text: text.to_owned(), line, api_version, in_items });
        }
    }
    Ok(())
}

impl Document {
    /// It is known to be an object of its own, whose arrays are its fields.
    fn is_object(&self) -> bool {
        self.head.kind.as_deref().is_some_and(|kind| !kind.ends_with("List"))
    }
}

impl PageMetadata {
    fn goes_on(metadata: &[u8]) -> bool {
        let read: Option<Self> = serde_json::from_slice(metadata).ok();
        read.and_then(|read| read.next).is_some_and(|next| !next.is_empty())
    }
}

/// Decides what could not be decided before the whole document was read.
fn finish(
    document: Document,
    tape: &[u8],
    line: u64,
    window: &Window<impl Read>,
    sink: &mut dyn Sink,
) -> Result<(), StreamError> {
    let Document { head, undecided, holds_objects, holds_arrays, holds_fields, holds_metadata, goes_on } = document;
    let api_version = head.api_version.as_deref();
    let is_list = head.item_kind().is_some();
    if let Some(kind) = head.item_kind() {
        for item in undecided.iter().filter(|item| item.in_items) {
            let kind = (!kind.is_empty()).then_some(kind);
            let api_version = item.api_version.as_deref().or(api_version);
            sink.object(RawObject { text: &item.text, line: item.line, kind, api_version });
        }
    }
    // `kubectl get -o yaml` writes the kind of a list after its items.
    if !is_list && head.items && (holds_objects || head.kind.is_none()) && api_version.is_some() {
        return Err(window.error("this list does not say its kind, so its end is missing; write the dump again"));
    }
    if is_list && goes_on {
        return Err(window.error("this list is one page of several (metadata.continue is set); get it without ?limit="));
    }
    let is_object = head.kind.is_some() || holds_metadata || (holds_fields && !holds_arrays);
    if !is_list && !holds_objects && is_object {
        sink.object(RawObject { text: tape, line, kind: head.kind.as_deref(), api_version });
    } else if !is_list && !is_object {
        for item in &undecided {
            let api_version = item.api_version.as_deref();
            sink.object(RawObject { text: &item.text, line: item.line, kind: None, api_version });
        }
    }
    Ok(())
}

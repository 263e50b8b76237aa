//! Many objects that differ in a few words: rendered as text, never held as trees.

use serde_json::Value;

use super::object;
use crate::semantics::refusal::Refusal;

/// An object with placeholders like `$(name)` in its strings. The store fills `$(uid)`, `$(rv)` and `$(now)` itself.
#[derive(Clone, Debug)]
pub struct Template {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pieces: Vec<Piece>,
    size: usize,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Vec<u8>),
    Slot(String),
}

// === impl Template ===

impl Template {
    /// A template out of an object. It must name its kind, and its `metadata` a `$(name)`.
    pub fn new(object: &Value) -> Self {
        let mut object = object.clone();
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let metadata = super::state::metadata(&mut object);
        for (field, slot) in [("resourceVersion", "$(rv)"), ("uid", "$(uid)"), ("creationTimestamp", "$(now)")] {
            metadata.entry(field).or_insert_with(|| slot.into());
        }
        let (body, _) = object::encode(&object);
        let mut pieces = Vec::new();
        let mut rest: &[u8] = &body;
        while let Some((before, name, after)) = next_slot(rest) {
            pieces.push(Piece::Text(before.to_vec()));
            pieces.push(Piece::Slot(String::from_utf8_lossy(name).into_owned()));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_vec()));
        Self { api_version, kind, pieces, size: body.len() }
    }

    /// The bytes of one object.
    pub(crate) fn render<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Result<Vec<u8>, Refusal> {
        let mut body = Vec::with_capacity(self.size + 256);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => body.extend_from_slice(text),
                Piece::Slot(name) => match value(name) {
                    Some(value) if value.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') => {
                        body.extend_from_slice(value.as_bytes());
                    }
                    Some(_) => return Err(Refusal::bad_request(format!("the value of $({name}) needs escaping"))),
                    None => return Err(Refusal::bad_request(format!("no value was given for $({name})"))),
                },
            }
        }
        Ok(body)
    }

    /// How many bytes come before the field after `kind` and `apiVersion`.
    pub(crate) fn head(&self) -> usize {
        format!(r#"{{"kind":"{}","apiVersion":"{}","#, self.kind, self.api_version).len()
    }
}

/// The text before the first placeholder, its name, and the text after it.
fn next_slot(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let start = text.windows(2).position(|pair| pair == b"$(")?;
    let (before, rest) = text.split_at(start);
    let rest = rest.get(2..)?;
    let end = rest.iter().position(|byte| *byte == b')')?;
    Some((before, rest.get(..end)?, rest.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn placeholders_are_filled_and_values_that_would_break_the_text_are_refused() {
        let template = Template::new(&json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "$(name)", "labels": {"a": "x-$(name)"}}}));
        let value = |name: &str| match name {
            "name" => Some("web-1"),
            "rv" => Some("7"),
            "uid" => Some("u"),
            _ => Some("t"),
        };
        let body = template.render(value).unwrap();
        assert_eq!(&body[template.head()..template.head() + 10], br#""metadata""#);
        let tree: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(tree["metadata"]["labels"]["a"], "x-web-1");
        assert_eq!(tree["metadata"]["resourceVersion"], "7");
        assert!(template.render(|_| Some("a\"b")).is_err());
        assert!(template.render(|_| None).is_err());
    }
}

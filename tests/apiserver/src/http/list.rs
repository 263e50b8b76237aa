//! Reading: one object, or many with pages and versions.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::faults::Stale;
use crate::semantics::refusal::{Cause, Refusal};
use crate::store::{Key, Objects, Store, Stored, within};

use super::answer::Answer;
use super::route::Query;
use super::view::{Filter, View};

/// Chunks of a list are about this long.
const CHUNK: usize = 256 * 1024;

/// Where a list goes on: the token is opaque to clients, but this is what real servers put in.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    #[serde(default)]
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
}

/// One object, as stale as the reader allows.
pub(crate) fn get(
    store: &Store,
    stale: Option<Arc<Stale>>,
    view: &View,
    key: &Key,
    query: &Query,
) -> Result<Answer, Refusal> {
    let kind = &view.served.kind;
    let found = match (query.get("resourceVersion"), stale) {
        (Some("0"), Some(stale)) => {
            stale.collections.get(view.served.collection).and_then(|objects| objects.get(key).cloned())
        }
        _ => store.lock().find(view.served.collection, key).cloned(),
    };
    let found = found.ok_or_else(|| Refusal::not_found(&kind.group, &kind.plural, &key.name))?;
    Ok(Answer::bytes(200, view.object(&found)))
}

/// Many objects.
pub(crate) fn list(
    store: &Store,
    stale: Option<Arc<Stale>>,
    view: View,
    filter: &Filter,
    query: &Query,
) -> Result<Answer, Refusal> {
    check(query)?;
    let page = match Page::read(store, stale, &view, filter, query) {
        Err(refusal) if refusal.code == 410 => return Ok(expired(&refusal, query)),
        page => page?,
    };
    let (kind, api_version) = view.list_type();
    let mut metadata = json!({ "resourceVersion": page.revision.to_string() });
    if let Some(token) = page.next {
        metadata["continue"] = token.into();
        if let Some(remaining) = page.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    let head =
        format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#).into_bytes();
    Ok(send(view, head, page.items))
}

struct Page {
    revision: u64,
    items: Vec<Arc<Stored>>,
    next: Option<String>,
    remaining: Option<usize>,
}

// === impl Page ===

impl Page {
    fn read(
        store: &Store,
        stale: Option<Arc<Stale>>,
        view: &View,
        filter: &Filter,
        query: &Query,
    ) -> Result<Self, Refusal> {
        let start = query.get("continue").map(Token::decode).transpose()?;
        let (revision, objects) = snapshot(store, stale, view, query, start.as_ref())?;
        let after = start.as_ref().map(Token::key);
        // A list from the cache has no pages (measured on 1.36).
        let cached = query.get("resourceVersion") == Some("0");
        let limit = query.number("limit").filter(|limit| *limit > 0 && !cached);
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut items = Vec::new();
        let mut more = false;
        for stored in within(&objects, &filter.namespace, after.as_ref()) {
            if !filter.selects(stored) {
                continue;
            }
            if items.len() == limit {
                more = true;
                break;
            }
            items.push(stored.clone());
        }
        let mut page = Self { revision, items, next: None, remaining: None };
        if let (true, Some(last)) = (more, page.items.last()) {
            page.next = Some(Token::after(&last.key, revision).encode());
            if filter.everything {
                page.remaining = Some(within(&objects, &filter.namespace, Some(&last.key)).count());
            }
            let mut state = store.lock();
            if let Some(collection) = state.collections.get_mut(view.served.collection) {
                collection.pin(revision, objects);
            }
        }
        Ok(page)
    }
}

// === impl Token ===

impl Token {
    fn after(key: &Key, revision: u64) -> Self {
        let start = match key.namespace.is_empty() {
            true => format!("/{}\0", key.name),
            false => format!("/{}/{}\0", key.namespace, key.name),
        };
        Self { v: "meta.k8s.io/v1".to_owned(), rv: i64::try_from(revision).unwrap_or(i64::MAX), start }
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn decode(text: &str) -> Result<Self, Refusal> {
        let refuse =
            |why: &str| Refusal::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
        let text = text.trim_end_matches('=');
        let bytes = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text));
        let bytes = bytes.map_err(|error| refuse(&error.to_string()))?;
        let token: Self = serde_json::from_slice(&bytes).map_err(|error| refuse(&error.to_string()))?;
        if token.v != "meta.k8s.io/v1" {
            return Err(refuse("server does not recognize this encoded version"));
        }
        if token.rv == 0 {
            return Err(refuse("incorrect encoded start resourceVersion (version meta.k8s.io/v1)"));
        }
        Ok(token)
    }

    fn key(&self) -> Key {
        let path = self.start.trim_start_matches('/').trim_end_matches('\0');
        let (namespace, name) = path.split_once('/').unwrap_or(("", path));
        Key::new(namespace, name)
    }
}

/// The objects that a list is answered from, and their revision.
fn snapshot(
    store: &Store,
    stale: Option<Arc<Stale>>,
    view: &View,
    query: &Query,
    token: Option<&Token>,
) -> Result<(u64, Objects), Refusal> {
    let wanted = query.get("resourceVersion").map(number).transpose()?;
    if token.is_some() && wanted.is_some_and(|wanted| wanted > 0) {
        return Err(Refusal::bad_request("specifying resource version is not allowed when using continue"));
    }
    if let (Some(0), Some(stale)) = (wanted, stale) {
        let objects = stale.collections.get(view.served.collection).cloned().unwrap_or_default();
        return Ok((stale.revision, objects));
    }
    let state = store.lock();
    let now = state.revision();
    let Some(collection) = state.collections.get(view.served.collection) else {
        return Ok((now, Objects::default()));
    };
    if let Some(token) = token {
        // A negative revision is the token that goes on inconsistently, as the answer to an expired one offers.
        let Ok(revision) = u64::try_from(token.rv) else { return Ok((now, collection.objects.clone())) };
        return match collection.at(revision) {
            Some(objects) => Ok((revision, objects)),
            None => Err(expired_token()),
        };
    }
    match wanted {
        Some(wanted) if wanted > now => Err(too_large(wanted, now)),
        Some(wanted) if wanted > 0 && query.get("resourceVersionMatch") == Some("Exact") => {
            let objects = collection
                .at(wanted)
                .ok_or_else(|| Refusal::expired("The resourceVersion for the provided list is too old."))?;
            Ok((wanted, objects))
        }
        _ => Ok((now, collection.objects.clone())),
    }
}

/// The rules between the parameters of a list (k8s.io/apimachinery: list options validation).
fn check(query: &Query) -> Result<(), Refusal> {
    let version = query.get("resourceVersion");
    let mut causes = Vec::new();
    if let Some(matching) = query.get("resourceVersionMatch") {
        let forbidden = |why: &str| Cause::forbidden("resourceVersionMatch", why);
        if version.is_none() {
            causes.push(forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        if query.get("continue").is_some() {
            causes.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
        }
        if !matches!(matching, "Exact" | "NotOlderThan") {
            let matching = Value::from(matching);
            causes.push(Cause::unsupported("resourceVersionMatch", &matching, &["Exact", "NotOlderThan", ""]));
        }
        if matching == "Exact" && version == Some("0") {
            causes.push(forbidden(r#"resourceVersionMatch "exact" is forbidden for resourceVersion "0""#));
        }
    }
    if query.get("sendInitialEvents").is_some() {
        causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    match causes.is_empty() {
        true => Ok(()),
        false => Err(Refusal::invalid("ListOptions", "meta.k8s.io", "", &causes)),
    }
}

/// A resource version as a number.
fn number(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| {
        Refusal::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: \
             invalid syntax"
        ))
    })
}

/// 504: the server has not seen this version yet.
fn too_large(wanted: u64, now: u64) -> Refusal {
    let message = format!("Timeout: Too large resource version: {wanted}, current: {now}");
    Refusal::new(504, "Timeout", message).with_details(json!({
        "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }],
        "retryAfterSeconds": 1,
    }))
}

fn expired_token() -> Refusal {
    Refusal::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, \
         or deleted between the time the first chunk was returned and now may show up in the list.",
    )
}

/// 410, with a token that goes on inconsistently where a token has expired.
fn expired(refusal: &Refusal, query: &Query) -> Answer {
    let mut status = refusal.status();
    if let Some(token) = query.get("continue").and_then(|token| Token::decode(token).ok()) {
        status["metadata"]["continue"] = Token { rv: -1, ..token }.encode().into();
    }
    Answer::tree(refusal.code, &status)
}

/// Sends the items in chunks, so that a long list is never held as text.
fn send(view: View, head: Vec<u8>, items: Vec<Arc<Stored>>) -> Answer {
    struct Sending {
        view: View,
        items: std::vec::IntoIter<Arc<Stored>>,
        chunk: Vec<u8>,
        first: bool,
        done: bool,
    }
    let mut sending = Sending { view, items: items.into_iter(), chunk: head, first: true, done: false };
    let mut next_chunk = move || {
        if sending.done {
            return None;
        }
        let mut chunk = std::mem::take(&mut sending.chunk);
        chunk.reserve(CHUNK + CHUNK / 8);
        loop {
            match sending.items.next() {
                Some(stored) => {
                    if !std::mem::take(&mut sending.first) {
                        chunk.push(b',');
                    }
                    sending.view.item(&stored, &mut chunk);
                }
                None => {
                    chunk.extend_from_slice(b"]}\n");
                    sending.done = true;
                }
            }
            if sending.done || chunk.len() >= CHUNK {
                return Some((Bytes::from(chunk), sending.done));
            }
        }
    };
    match next_chunk() {
        Some((only, true)) => Answer::bytes(200, only),
        first => {
            let rest = std::iter::from_fn(next_chunk);
            Answer::stream(stream::iter(first.into_iter().chain(rest).map(|(chunk, _)| Ok(chunk))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_key() {
        for key in [Key::new("a", "b"), Key::new("", "n1")] {
            let token = Token::decode(&Token::after(&key, 7).encode()).unwrap();
            assert_eq!((token.key(), token.rv), (key, 7));
        }
        assert!(Token::decode("zzz").is_err());
        assert!(Token::decode(&URL_SAFE_NO_PAD.encode("{}")).is_err());
    }
}

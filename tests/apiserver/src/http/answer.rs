//! What goes back over the wire.

use std::io;

use bytes::Bytes;
use futures::Stream;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;

use crate::semantics::refusal::Refusal;

/// A body, at once or bit by bit. An error in it closes the connection.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An answer before it becomes HTTP.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) content_type: &'static str,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Body,
}

const JSON: &str = "application/json";

// === impl Answer ===

impl Answer {
    /// A tree.
    pub(crate) fn tree(code: u16, tree: &Value) -> Self {
        Self::bytes(code, Bytes::from(tree.to_string()))
    }

    /// JSON that is text already.
    pub(crate) fn bytes(code: u16, body: Bytes) -> Self {
        let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        Self { code, content_type: JSON, retry_after: None, body }
    }

    /// Words.
    pub(crate) fn text(code: u16, text: &str) -> Self {
        Self { content_type: "text/plain; charset=utf-8", ..Self::bytes(code, Bytes::from(text.to_owned())) }
    }

    /// JSON bit by bit.
    pub(crate) fn stream(chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        use futures::StreamExt as _;
        let body = StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync();
        Self { code: 200, content_type: JSON, retry_after: None, body }
    }

    /// The HTTP response.
    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self { retry_after: refusal.retry_after(), ..Self::tree(refusal.code, &refusal.status()) }
    }
}

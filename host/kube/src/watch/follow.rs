//! Requests as they are ordered, and hands on what comes.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::course::{End, Request};
use super::feed::Order;
use crate::api::{chain, encode, send};
use crate::{Api, ApiError};

/// What the tasks that request tell the owner of the mirror.
#[derive(Debug)]
pub(super) enum Message {
    /// An answer for a part has begun.
    Opened(usize),
    /// Its next bytes.
    Bytes(usize, Bytes),
    /// It has ended; the next request is awaited.
    Ended(usize, End, oneshot::Sender<Order>),
}

/// How requests are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// An answer of which nothing comes for so long is given up.
    pub idle: Duration,
    /// Objects on a page.
    pub page: u32,
    /// How long a watch is to last, at least; up to twice as long.
    pub watch: Duration,
}

/// Any number.
pub(super) fn chance() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Requests what is ordered for a part, for as long as there is an owner.
pub(super) async fn follow(api: Api, part: usize, mut order: Order, manner: Manner, owner: mpsc::Sender<Message>) {
    loop {
        sleep(order.wait).await;
        let Some(end) = request(&api, part, &order, manner, &owner).await else { return };
        let (next, ordered) = oneshot::channel();
        if owner.send(Message::Ended(part, end, next)).await.is_err() {
            return;
        }
        match ordered.await {
            Ok(next) => order = next,
            Err(_) => return,
        }
    }
}

/// Makes one request; `None` if the owner is gone.
async fn request(api: &Api, part: usize, order: &Order, manner: Manner, owner: &mpsc::Sender<Message>) -> Option<End> {
    let path = path(order, manner, chance());
    let call = send(api.watching(), Method::GET, &path, None, Vec::new());
    let response = match timeout(manner.idle, call).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Some(End::Refused(error)),
        Err(_) => return Some(End::Refused(ApiError::NoAnswer(silence(manner)))),
    };
    owner.send(Message::Opened(part)).await.ok()?;
    let (mut body, begin) = (response.into_body(), Instant::now());
    loop {
        let lasted = begin.elapsed();
        let frame = tokio::select! {
            biased;
            () = order.stop.cancelled() => return Some(End::Closed { lasted }),
            frame = timeout(manner.idle, body.frame()) => frame,
        };
        let lasted = begin.elapsed();
        match frame {
            Err(_) => return Some(End::Lost { lasted, why: silence(manner) }),
            Ok(None) => return Some(End::Closed { lasted }),
            Ok(Some(Err(error))) => return Some(End::Lost { lasted, why: chain(&error) }),
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    owner.send(Message::Bytes(part, bytes)).await.ok()?;
                }
            }
        }
    }
}

fn silence(manner: Manner) -> String {
    format!("the API server sent nothing for {} s", manner.idle.as_secs_f32())
}

fn path(order: &Order, manner: Manner, chance: u64) -> String {
    let mut path = order.resource.path("");
    // Not all at once, and a list must have the time to end.
    let seconds = |least: Duration| least.as_secs() + chance % least.as_secs().max(1);
    match &order.request {
        Request::Stream => path.push_str(&format!(
            "?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds={}",
            seconds(manner.watch * 3)
        )),
        Request::Watch { since } => path.push_str(&format!(
            "?watch=true&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}",
            encode(since),
            seconds(manner.watch)
        )),
        Request::Page { token, cached, whole } => {
            path.push('?');
            if !whole {
                path.push_str(&format!("limit={}&", manner.page));
            }
            if *cached {
                path.push_str("resourceVersion=0&");
            }
            if !token.is_empty() {
                path.push_str(&format!("continue={}&", encode(token)));
            }
            path.pop();
        }
    }
    if let Some(selector) = order.selector {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str(&format!("fieldSelector={}", encode(selector)));
    }
    path
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::watch::Watched;

    #[test]
    fn requests_are_those_of_the_api() {
        let manner = Manner { idle: Duration::from_secs(1), page: 500, watch: Duration::from_secs(200) };
        let page = |token: &str, cached, whole| Request::Page { token: token.into(), cached, whole };
        for (watched, request, expected) in [
            (
                Watched::Namespaces,
                Request::Stream,
                "/api/v1/namespaces?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=607",
            ),
            (
                Watched::Budgets,
                Request::Watch { since: "a&b".into() },
                "/apis/policy/v1/poddisruptionbudgets?watch=true&allowWatchBookmarks=true&resourceVersion=a%26b&timeoutSeconds=207",
            ),
            (Watched::Nodes, page("", true, false), "/api/v1/nodes?limit=500&resourceVersion=0"),
            (Watched::Nodes, page("", false, false), "/api/v1/nodes?limit=500"),
            (Watched::Nodes, page("t=", false, false), "/api/v1/nodes?limit=500&continue=t%3D"),
            (Watched::Nodes, page("", false, true), "/api/v1/nodes"),
            (
                Watched::Pods,
                page("", false, true),
                "/api/v1/pods?fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed",
            ),
        ] {
            let order = Order {
                wait: Duration::ZERO,
                resource: watched.resource(),
                request,
                selector: watched.field_selector(),
                stop: CancellationToken::new(),
            };
            assert_eq!(path(&order, manner, 7), expected);
        }
    }
}

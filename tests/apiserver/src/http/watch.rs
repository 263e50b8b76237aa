//! Watching: what there is and what happens to it, line by line.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use serde_json::Value;
use tokio::sync::watch;

use crate::faults::{Asked, Faults, Partition};
use crate::semantics::refusal::{Cause, Refusal};
use crate::store::{Change, Event, Forgotten, Objects, State, Store, Stored, metadata, within};

use super::route::Query;
use super::view::{Filter, View};

/// Chunks are about this long.
const CHUNK: usize = 256 * 1024;
/// So many events are taken out of the history at a time.
const BATCH: usize = 512;
/// Between two bookmarks.
const BOOKMARKS: Duration = Duration::from_secs(60);

/// Signals from the server to all watches.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Counts the calls for bookmarks.
    pub(crate) bookmarks: watch::Sender<u64>,
    /// True when the server ends.
    pub(crate) ended: watch::Sender<bool>,
}

/// Where a watch starts, and what it sends before events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Start {
    /// The objects there are come first, as added.
    initial: bool,
    /// A bookmark says when those are through.
    end_mark: bool,
    /// Events after this revision; none for the present one.
    from: Option<u64>,
    /// What is sent first may be stale.
    any: bool,
}

/// A running watch.
pub(crate) struct Watch {
    store: Store,
    faults: Faults,
    asked: Asked,
    since: u64,
    view: View,
    filter: Filter,
    bookmarks: bool,
    cut_next: bool,
    /// Objects that still have to be sent as added.
    initial: VecDeque<Arc<Stored>>,
    end_mark: bool,
    /// Everything up to here was sent.
    sent: u64,
    changes: watch::Receiver<u64>,
    called: watch::Receiver<u64>,
    ended: watch::Receiver<bool>,
    troubles: watch::Receiver<()>,
    deadline: Option<BoxFuture<'static, ()>>,
    next_bookmark: BoxFuture<'static, ()>,
    /// Whether everything was sent at some time: what is missed after that is the client's slowness.
    followed: bool,
    cutting: bool,
    over: bool,
}

/// Why a watch sends nothing for a while, and what woke it.
enum Woken {
    Changes,
    Bookmark,
    Trouble,
    End,
}

// === impl Start ===

impl Start {
    /// The rules between the parameters of a watch (k8s.io/apimachinery: list options validation).
    fn parse(query: &Query, streaming_lists: bool) -> Result<Self, Refusal> {
        let version = query.get("resourceVersion");
        let from = version.map(str::parse::<u64>).transpose().map_err(|_| {
            let version = version.unwrap_or_default();
            let message = format!(
                "resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax"
            );
            Refusal::new(500, "", message)
        })?;
        let from = from.filter(|from| *from > 0);
        let any = version == Some("0");
        let matching = query.get("resourceVersionMatch");
        let Some(send) = query.get("sendInitialEvents") else {
            if matching.is_some() {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                return Err(refuse(&[Cause::forbidden("resourceVersionMatch", why)]));
            }
            return Ok(Self { initial: from.is_none(), end_mark: false, from, any });
        };
        if !streaming_lists {
            let why = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
            return Err(refuse(&[Cause::forbidden("sendInitialEvents", why)]));
        }
        if matching != Some("NotOlderThan") {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let mut causes = vec![Cause::forbidden("resourceVersionMatch", why)];
            if let Some(matching) = matching {
                causes.push(Cause::unsupported("resourceVersionMatch", &Value::from(matching), &["NotOlderThan"]));
            }
            return Err(refuse(&causes));
        }
        let send = matches!(send, "true" | "1");
        let bookmarks = query.is_on("allowWatchBookmarks");
        Ok(Self { initial: send, end_mark: send && bookmarks, from: if send { None } else { from }, any })
    }
}

// === impl Watch ===

impl Watch {
    /// Starts a watch. What is wrong with the question is said at once; what is wrong with its version comes as an
    /// event, as real servers do.
    #[expect(clippy::too_many_arguments, reason = "each is a different thing that a watch needs all its life")]
    pub(crate) fn start(
        store: &Store,
        faults: &Faults,
        signals: &Signals,
        asked: Asked,
        view: View,
        filter: Filter,
        query: &Query,
        streaming_lists: bool,
        cut_next: bool,
    ) -> Result<Self, Refusal> {
        let start = Start::parse(query, streaming_lists)?;
        let (revision, objects, changes) = {
            let state = store.lock();
            let collection = state.collections.get(view.served.collection).ok_or_else(Refusal::no_such_path)?;
            (state.revision(), collection.objects.clone(), collection.changes())
        };
        let (revision, objects) = match faults.stale() {
            Some(stale) if start.initial && start.any => {
                (stale.revision, stale.collections.get(view.served.collection).cloned().unwrap_or_default())
            }
            _ => (revision, objects),
        };
        let initial = if start.initial { selected(&objects, &filter) } else { VecDeque::new() };
        let clock = store.clock();
        let deadline = query.number("timeoutSeconds").filter(|seconds| *seconds > 0);
        Ok(Self {
            changes,
            called: signals.bookmarks.subscribe(),
            ended: signals.ended.subscribe(),
            troubles: faults.changes(),
            since: faults.moment(),
            deadline: deadline.map(|seconds| clock.sleep(Duration::from_secs(seconds))),
            next_bookmark: clock.sleep(BOOKMARKS),
            bookmarks: query.is_on("allowWatchBookmarks"),
            initial,
            end_mark: start.end_mark,
            sent: start.from.unwrap_or(revision),
            followed: false,
            cutting: false,
            over: false,
            store: store.clone(),
            faults: faults.clone(),
            asked,
            view,
            filter,
            cut_next,
        })
    }

    /// The lines.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        futures::stream::unfold(self, |mut watch| async move {
            let chunk = watch.next_chunk().await?;
            Some((chunk, watch))
        })
    }

    /// The next lines; none when the watch is over.
    async fn next_chunk(&mut self) -> Option<io::Result<Bytes>> {
        let mut lines = Vec::new();
        let mut bookmark_due = false;
        loop {
            if self.over || *self.ended.borrow_and_update() || self.timed_out() {
                return None;
            }
            if self.cutting {
                // What was sent so far leaves first.
                tokio::task::yield_now().await;
                return Some(self.cut(Vec::new()));
            }
            self.troubles.mark_unchanged();
            if self.faults.was_cut(self.since, &self.asked.resource) {
                return Some(self.cut(br#"{"type":"MODIFIED","object":{"kind":"#.to_vec()));
            }
            match self.faults.partitioned(&self.asked) {
                Some(Partition::Refuse) => return Some(self.cut(Vec::new())),
                Some(Partition::Silent) => {
                    // Nothing gets through. When it heals, what was missed is still in the history or is not.
                    if self.troubles.changed().await.is_err() {
                        return None;
                    }
                    continue;
                }
                None => {}
            }
            self.changes.mark_unchanged();
            let caught_up = self.fill(&mut lines);
            if let Some(revision) = caught_up {
                self.followed = true;
                if self.bookmarks && bookmark_due {
                    line(&mut lines, "BOOKMARK", self.view.bookmark(revision, false).to_string().as_bytes());
                    self.sent = self.sent.max(revision);
                }
                bookmark_due = false;
            }
            if !lines.is_empty() {
                if std::mem::take(&mut self.cut_next) {
                    lines.truncate(lines.len() / 2);
                    return Some(self.cut(lines));
                }
                return Some(Ok(Bytes::from(lines)));
            }
            match self.wait().await {
                Woken::Changes | Woken::Trouble => {}
                Woken::Bookmark => bookmark_due = true,
                Woken::End => return None,
            }
        }
    }

    /// Puts what is due into `lines`. Gives the revision up to which everything is there, once that is so.
    fn fill(&mut self, lines: &mut Vec<u8>) -> Option<u64> {
        while let Some(stored) = self.initial.pop_front() {
            line(lines, "ADDED", &self.view.object(&stored));
            if lines.len() >= CHUNK {
                return None;
            }
        }
        if std::mem::take(&mut self.end_mark) {
            line(lines, "BOOKMARK", self.view.bookmark(self.sent, true).to_string().as_bytes());
        }
        while lines.len() < CHUNK {
            let (events, revision) = {
                let state = self.store.lock();
                (events(&state, self.view.served.collection, self.sent), state.revision())
            };
            let events = match events {
                Ok(events) => events,
                Err(forgotten) => {
                    self.over = true;
                    // A watch that had been running and was too slow is ended without a word.
                    if forgotten == Forgotten::Compacted || !self.followed {
                        let refusal = Refusal::expired(format!("too old resource version: {} ({revision})", self.sent));
                        line(lines, "ERROR", refusal.status().to_string().as_bytes());
                    }
                    return None;
                }
            };
            let Some(last) = events.last() else { return Some(revision) };
            self.sent = last.revision;
            for event in &events {
                self.tell(event, lines);
            }
        }
        None
    }

    /// Whether its time is up.
    fn timed_out(&mut self) -> bool {
        self.deadline.as_mut().is_some_and(|deadline| deadline.now_or_never().is_some())
    }

    /// Puts one event into `lines`, as the selectors make it look.
    fn tell(&self, event: &Event, lines: &mut Vec<u8>) {
        let was = event.before.as_ref().is_some_and(|before| self.filter.selects(before));
        match event.change {
            Change::Deleted if was => line(lines, "DELETED", &self.view.object(&event.object)),
            Change::Deleted => {}
            Change::Added | Change::Modified => match (was, self.filter.selects(&event.object)) {
                (false, true) => line(lines, "ADDED", &self.view.object(&event.object)),
                (true, true) => line(lines, "MODIFIED", &self.view.object(&event.object)),
                (true, false) => {
                    // It has left the selection: it is shown as it was last seen, with the revision of the change.
                    let Some(before) = &event.before else { return };
                    let mut tree = before.tree();
                    metadata(&mut tree).insert("resourceVersion".to_owned(), event.revision.to_string().into());
                    let gone = Stored::encode(before.key.clone(), event.revision, &tree);
                    line(lines, "DELETED", &self.view.object(&gone));
                }
                (false, false) => {}
            },
        }
    }

    /// Waits until there may be something to send.
    async fn wait(&mut self) -> Woken {
        let Self { deadline, ended, troubles, changes, called, next_bookmark, store, .. } = self;
        let deadline = async {
            match deadline {
                Some(deadline) => deadline.await,
                None => futures::future::pending().await,
            }
        };
        let or_end = |changed: Result<(), _>, woken| if changed.is_ok() { woken } else { Woken::End };
        tokio::select! {
            biased;
            _ = ended.changed() => Woken::End,
            () = deadline => Woken::End,
            changed = troubles.changed() => or_end(changed, Woken::Trouble),
            changed = changes.changed() => or_end(changed, Woken::Changes),
            changed = called.changed() => or_end(changed, Woken::Bookmark),
            () = &mut *next_bookmark => {
                *next_bookmark = store.clock().sleep(BOOKMARKS);
                Woken::Bookmark
            }
        }
    }

    /// Ends the watch with half a line: the connection breaks when the rest does not come.
    fn cut(&mut self, half: Vec<u8>) -> io::Result<Bytes> {
        if half.is_empty() {
            self.over = true;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.cutting = true;
        Ok(Bytes::from(half))
    }
}

fn selected(objects: &Objects, filter: &Filter) -> VecDeque<Arc<Stored>> {
    within(objects, &filter.namespace, None).filter(|stored| filter.selects(stored)).cloned().collect()
}

fn events(state: &State, collection: usize, after: u64) -> Result<Vec<Event>, Forgotten> {
    state.collections.get(collection).map_or(Ok(Vec::new()), |collection| collection.after(after, BATCH))
}

fn line(lines: &mut Vec<u8>, change: &str, object: &[u8]) {
    lines.extend_from_slice(br#"{"type":""#);
    lines.extend_from_slice(change.as_bytes());
    lines.extend_from_slice(br#"","object":"#);
    lines.extend_from_slice(object);
    lines.extend_from_slice(b"}\n");
}

fn refuse(causes: &[Cause]) -> Refusal {
    Refusal::invalid("ListOptions", "meta.k8s.io", "", causes)
}

//! Runs a mirror: tasks that request, and one thread that owns what is known.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_model::{Machine, Node};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use super::debounce::{Debounce, DebounceTimes};
use super::follow::{Manner, Message, chance, follow};
use super::mirror::Mirror;
use super::status::{MirrorStatus, View, WatchProblem};
use super::watched::Watched;
use crate::Api;

/// Pieces of answers that wait to be read, of all parts together. Each has some 100 KiB at most.
const WAITING: usize = 32;
/// Pieces that are read before anything else is looked at.
const AT_ONCE: usize = 16;
/// The status is told this often at most.
const STATUS_EVERY: Duration = Duration::from_millis(500);

/// What is watched, and how.
#[derive(Clone, Debug)]
pub struct MirrorOptions {
    /// What is watched, beside what is required.
    pub watched: Vec<Watched>,
    /// How long changes are collected.
    pub times: DebounceTimes,
    /// A request that brings nothing for so long is made anew. API servers send a bookmark every minute.
    pub idle: Duration,
    /// A watch lasts so long at least, and up to twice as long.
    pub watch: Duration,
    /// Objects on a page, where lists do not stream.
    pub page: u32,
}

/// What a mirror shows, and how it is told of what the API server does not know. Every clone shows the same; with
/// the last one watching ends.
#[derive(Clone, Debug)]
pub struct MirrorHandle {
    latest: watch::Receiver<Option<Arc<View>>>,
    status: watch::Receiver<Arc<MirrorStatus>>,
    commands: mpsc::UnboundedSender<Command>,
    _end: Arc<DropGuard>,
}

/// Nothing is watched any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cluster is not watched any more; this is a bug, see the log above for its cause")]
pub struct MirrorEnded;

#[derive(Debug)]
enum Command {
    Launching(Vec<Node>),
    Machines(Vec<Machine>),
}

/// The owner of a mirror.
struct Owner {
    mirror: Mirror,
    debounce: Debounce,
    /// What was last seen of [`Mirror::revision`].
    revision: (u64, u64),
    latest: watch::Sender<Option<Arc<View>>>,
    status: watch::Sender<Arc<MirrorStatus>>,
    /// When the status may be told, if anything has come since it was.
    status_due: Option<Instant>,
    /// What was last said of each part in the log.
    said: Vec<Option<WatchProblem>>,
    begin: Instant,
    known: bool,
}

// === impl MirrorOptions ===

impl Default for MirrorOptions {
    fn default() -> Self {
        Self {
            watched: Watched::ALL.to_vec(),
            times: DebounceTimes::default(),
            idle: Duration::from_secs(120),
            watch: Duration::from_secs(240),
            page: 500,
        }
    }
}

// === impl Mirror ===

impl Mirror {
    /// Begins to watch. Requests are made by tasks of the present runtime; what comes is read by a thread of its own,
    /// as a large cluster takes seconds of it.
    pub fn start(api: &Api, options: &MirrorOptions) -> io::Result<MirrorHandle> {
        let mut mirror = Self::new(&options.watched);
        let (inbox, messages) = mpsc::channel(WAITING);
        let (commands, commanded) = mpsc::unbounded_channel();
        let (latest, latest_shown) = watch::channel(None);
        let (status, status_shown) = watch::channel(mirror.status());
        let end = CancellationToken::new();
        let manner = Manner { idle: options.idle, page: options.page, watch: options.watch };
        let orders = mirror.begin();
        let owner = Owner::new(mirror, Debounce::new(options.times), latest, status);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let over = end.clone();
        std::thread::Builder::new().name("mirror".to_owned()).spawn(move || {
            runtime.block_on(over.run_until_cancelled(owner.run(messages, commanded)));
        })?;
        for (part, order) in orders.into_iter().enumerate() {
            let (end, following) = (end.clone(), follow(api.clone(), part, order, manner, inbox.clone()));
            tokio::spawn(async move { end.run_until_cancelled(following).await });
        }
        let _end = Arc::new(end.drop_guard());
        Ok(MirrorHandle { latest: latest_shown, status: status_shown, commands, _end })
    }
}

// === impl MirrorHandle ===

impl MirrorHandle {
    /// Waits until [`latest`](Self::latest) has changed since this handle was last asked for it.
    pub async fn changed(&mut self) -> Result<(), MirrorEnded> {
        self.latest.changed().await.map_err(|_| MirrorEnded)
    }

    /// The cluster as it was when changes last paused; `None` while not everything required is known.
    pub fn latest(&mut self) -> Option<Arc<View>> {
        self.latest.borrow_and_update().clone()
    }

    /// How watching goes.
    pub fn status(&self) -> Arc<MirrorStatus> {
        self.status.borrow().clone()
    }

    /// Waits until [`status`](Self::status) has changed since this was last called.
    pub async fn status_changed(&mut self) -> Result<(), MirrorEnded> {
        self.status.changed().await.map_err(|_| MirrorEnded)
    }

    /// Says which nodes were launched and may not have joined yet: all of them, each time. Where a node of that name
    /// is there, that one counts.
    pub fn set_launching(&self, nodes: Vec<Node>) {
        // Without an owner nobody looks.
        drop(self.commands.send(Command::Launching(nodes)));
    }

    /// Says which machines the provider knows: all of them, each time. They are shown beside those that are watched.
    pub fn set_machines(&self, machines: Vec<Machine>) {
        drop(self.commands.send(Command::Machines(machines)));
    }
}

// === impl Owner ===

impl Owner {
    fn new(
        mirror: Mirror,
        debounce: Debounce,
        latest: watch::Sender<Option<Arc<View>>>,
        status: watch::Sender<Arc<MirrorStatus>>,
    ) -> Self {
        let said = vec![None; mirror.feeds().len()];
        let revision = mirror.revision();
        let begin = Instant::now();
        Self { mirror, debounce, revision, latest, status, status_due: None, said, begin, known: false }
    }

    async fn run(mut self, mut messages: mpsc::Receiver<Message>, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut batch = Vec::with_capacity(AT_ONCE);
        loop {
            let due =
                [self.debounce.due().filter(|_| self.mirror.ready()), self.status_due].into_iter().flatten().min();
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Launching(nodes)) => self.mirror.set_launching(nodes),
                    Some(Command::Machines(machines)) => self.mirror.set_machines(machines),
                    None => return,
                },
                count = messages.recv_many(&mut batch, AT_ONCE) => if count == 0 { return },
                () = at(due) => {}
            }
            let now = Instant::now();
            for message in batch.drain(..) {
                self.take(message, now);
            }
            self.note(false, now);
            self.show(Instant::now());
        }
    }

    fn take(&mut self, message: Message, now: Instant) {
        self.status_due.get_or_insert(now + STATUS_EVERY);
        let part = match message {
            Message::Opened(part) => {
                self.mirror.opened(part);
                part
            }
            Message::Bytes(part, bytes) => {
                self.mirror.bytes(part, &bytes, now);
                part
            }
            Message::Ended(part, end, next) => {
                let order = self.mirror.ended(part, end, chance());
                // Without a task nobody asks.
                drop(next.send(order));
                part
            }
        };
        self.note(self.mirror.urgent(part), now);
        self.log(part);
    }

    /// Remembers that something has changed, if it has.
    fn note(&mut self, urgent: bool, now: Instant) {
        let revision = self.mirror.revision();
        if std::mem::replace(&mut self.revision, revision) != revision {
            self.debounce.changed(now, urgent);
        }
    }

    /// Shows what is due. The status comes first, so that whoever sees the cluster sees how it was come by.
    fn show(&mut self, now: Instant) {
        let (ready, shown) = (self.mirror.ready(), self.latest.borrow().is_some());
        let due = self.debounce.due().is_some_and(|due| due <= now);
        // Half of a list is no cluster to decide on.
        let change = if ready { due || !shown } else { shown };
        if change || self.status_due.is_some_and(|due| due <= now) {
            self.status_due = None;
            self.status.send_replace(self.mirror.status());
        }
        if change {
            let view = self.mirror.view().map(Arc::new);
            if let Some(view) = &view {
                self.debounce.looked();
                self.say_known(view);
            }
            self.latest.send_replace(view);
        }
    }

    fn say_known(&mut self, view: &View) {
        if !std::mem::replace(&mut self.known, true) {
            let (nodes, pods) = (view.snapshot.node_count(), view.snapshot.pod_count());
            info!(nodes, pods, seconds = self.begin.elapsed().as_secs_f32(), "the cluster is known");
        }
    }

    /// Says once what is in the way of a part, and that it no longer is.
    fn log(&mut self, part: usize) {
        let (feed, said) = (&self.mirror.feeds()[part], &mut self.said[part]);
        let problem = feed.problem();
        let label = problem.map(WatchProblem::label);
        if label == said.as_ref().map(WatchProblem::label) {
            return;
        }
        let (resource, without) = (feed.watched.resource(), feed.watched.without());
        match problem {
            Some(problem @ WatchProblem::NotServed) if !feed.watched.required() => {
                info!(%resource, without, "not watched: {problem}");
            }
            Some(problem) => warn!(%resource, without, "not watched as it should be: {problem}"),
            None => info!(%resource, "watched again"),
        }
        *said = problem.cloned();
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

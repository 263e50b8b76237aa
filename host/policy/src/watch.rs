//! Tells when files change, however they change.
//!
//! A notification is only a hint to look. What is reported is a difference between two looks, so that noise in a
//! folder wakes nobody, and a file system that never notifies is merely slower.

use std::collections::BTreeSet;
use std::io;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::fingerprint::{Fingerprint, Survey, Watched};

/// How patient a watch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long it must be quiet before a change counts as finished.
    pub quiet: Duration,
    /// How often to look without being told.
    pub poll: Duration,
}

/// Watches files, and folders that come and go. Whatever changes after it is made is told; dropping it ends it.
#[derive(Debug)]
pub struct ChangeWatch {
    changes: Receiver<()>,
    hint: SyncSender<()>,
    ended: Arc<AtomicBool>,
}

/// A burst of changes counts as finished after so many quiet times at the latest.
const LONGEST_BURST: u32 = 8;

/// The watching side.
struct Lookout {
    watched: Vec<Watched>,
    last: Fingerprint,
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

// === impl Patience ===

impl Default for Patience {
    fn default() -> Self {
        Self { quiet: Duration::from_millis(250), poll: Duration::from_secs(30) }
    }
}

// === impl ChangeWatch ===

impl ChangeWatch {
    /// Begins to watch. Read the files afterwards, and no change is missed.
    pub fn start(watched: &[Watched], patience: Patience) -> io::Result<Self> {
        let (hint, hints) = sync_channel(1);
        let watcher = notify::recommended_watcher({
            let hint = hint.clone();
            move |event: notify::Result<notify::Event>| {
                // Our own reading makes access events. One waiting hint is as good as many.
                if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                    _ = hint.try_send(());
                }
            }
        });
        let watcher = watcher.inspect_err(|problem| {
            let seconds = patience.poll.as_secs();
            tracing::warn!(%problem, seconds, "no notifications of changed files; looking for changes at intervals");
        });
        Self::start_with(Lookout::new(watched, watcher.ok())?, patience, hint, hints)
    }

    /// Waits for a change.
    pub fn recv(&self) -> Result<(), RecvError> {
        self.changes.recv()
    }

    /// Waits for a change, but not for ever. Changes that nobody waited for count as one.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<(), RecvTimeoutError> {
        self.changes.recv_timeout(timeout)
    }

    fn start_with(
        mut lookout: Lookout,
        Patience { quiet, poll }: Patience,
        hint: SyncSender<()>,
        hints: Receiver<()>,
    ) -> io::Result<Self> {
        let (change, changes) = sync_channel(1);
        let ended = Arc::new(AtomicBool::new(false));
        let watch = Self { changes, hint, ended: ended.clone() };
        thread::Builder::new().name("change-watch".into()).spawn(move || {
            loop {
                let hinted = hints.recv_timeout(poll).is_ok();
                if hinted {
                    wait_for_quiet(&hints, quiet);
                }
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                if lookout.changed(hinted, || wait_for_quiet(&hints, quiet)) {
                    _ = change.try_send(());
                }
            }
        })?;
        Ok(watch)
    }
}

impl Drop for ChangeWatch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        _ = self.hint.try_send(());
    }
}

fn wait_for_quiet(hints: &Receiver<()>, quiet: Duration) {
    let latest = Instant::now() + quiet * LONGEST_BURST;
    while hints.recv_timeout(quiet).is_ok() && Instant::now() < latest {}
}

// === impl Lookout ===

impl Lookout {
    fn new(watched: &[Watched], watcher: Option<RecommendedWatcher>) -> io::Result<Self> {
        let absolute = |watched: &Watched| {
            Ok(match watched {
                Watched::Path(path) => Watched::Path(path::absolute(path)?),
                Watched::Tree(path) => Watched::Tree(path::absolute(path)?),
            })
        };
        let watched = watched.iter().map(absolute).collect::<io::Result<_>>()?;
        let mut lookout = Self { watched, last: Fingerprint::default(), watcher, folders: BTreeSet::new() };
        lookout.last = lookout.look();
        Ok(lookout)
    }

    /// Whether anything changed since the last time. A change that is not known to be finished is when it looks the
    /// same before and after a `wait`.
    fn changed(&mut self, finished: bool, mut wait: impl FnMut()) -> bool {
        let mut now = self.look();
        for _ in 0..LONGEST_BURST {
            if now == self.last || finished {
                break;
            }
            wait();
            let again = self.look();
            if again == now {
                break;
            }
            now = again;
        }
        let changed = now != self.last;
        self.last = now;
        changed
    }

    /// Looks at everything, having asked for notifications from wherever a later change would show.
    fn look(&mut self) -> Fingerprint {
        // Asked again each time: a folder that was replaced under its name has fallen silent.
        self.folders.iter().for_each(|folder| _ = notify_of(self.watcher.as_mut(), folder));
        loop {
            let Survey { fingerprint, folders, .. } = Survey::take(&self.watched);
            let new: Vec<_> = folders.difference(&self.folders).collect();
            for folder in &new {
                if let Err(problem) = notify_of(self.watcher.as_mut(), folder) {
                    tracing::warn!(%problem, "no notifications from this folder; looking for changes at intervals");
                }
            }
            for folder in self.folders.difference(&folders) {
                // It may have ended by itself, with its folder.
                _ = self.watcher.as_mut().map(|watcher| watcher.unwatch(folder));
            }
            let complete = new.is_empty();
            self.folders = folders;
            // What changed before it was asked about would go unnoticed: look again.
            if complete {
                return fingerprint;
            }
        }
    }
}

fn notify_of(watcher: Option<&mut RecommendedWatcher>, folder: &Path) -> notify::Result<()> {
    watcher.map_or(Ok(()), |watcher| watcher.watch(folder, RecursiveMode::NonRecursive))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const SOON: Duration = Duration::from_secs(10);

    fn lookout(folder: &Path) -> Lookout {
        Lookout::new(&[Watched::Path(folder.join("p.wasm"))], None).unwrap()
    }

    #[test]
    fn equal_looks_are_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let mut lookout = lookout(folder.path());
        let mut changed = |finished| lookout.changed(finished, || unreachable!("there is nothing to wait for"));
        assert!(!changed(false));
        fs::write(folder.path().join("other"), "x").unwrap();
        assert!(!changed(false), "noise in the folder is no change");
        fs::write(folder.path().join("p.wasm"), "x").unwrap();
        assert!(changed(true));
        assert!(!changed(false), "a change is told once");
    }

    #[test]
    fn a_change_that_nobody_hinted_at_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.wasm");
        let mut lookout = lookout(folder.path());
        fs::write(&path, "half").unwrap();
        let mut waits = 0;
        let changed = lookout.changed(false, || {
            waits += 1;
            if waits < 3 {
                fs::write(&path, "half, and more".repeat(waits)).unwrap();
            }
        });
        assert!(changed);
        assert_eq!(waits, 3, "it is finished when it looks the same twice");
        assert!(!lookout.changed(true, || ()), "the last look counts");
    }

    #[test]
    fn a_change_that_is_taken_back_meanwhile_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.wasm");
        let mut lookout = lookout(folder.path());
        fs::write(&path, "x").unwrap();
        assert!(!lookout.changed(false, || _ = fs::remove_file(&path)));
    }

    #[test]
    fn a_folder_that_never_notifies_is_polled() {
        let folder = tempfile::tempdir().unwrap();
        let patience = Patience { quiet: Duration::from_millis(1), poll: Duration::from_millis(5) };
        let (hint, hints) = sync_channel(1);
        let watch = ChangeWatch::start_with(lookout(folder.path()), patience, hint, hints).unwrap();
        fs::write(folder.path().join("p.wasm"), "x").unwrap();
        watch.recv_timeout(SOON).unwrap();
    }

    #[test]
    fn a_dropped_watch_ends_its_thread() {
        let folder = tempfile::tempdir().unwrap();
        let (hint, hints) = sync_channel(1);
        let watch = ChangeWatch::start_with(lookout(folder.path()), Patience::default(), hint, hints).unwrap();
        let ChangeWatch { ended, .. } = &watch;
        let thread = Arc::downgrade(ended);
        drop(watch);
        let patient_until = Instant::now() + SOON;
        while thread.strong_count() > 0 {
            assert!(Instant::now() < patient_until);
            thread::yield_now();
        }
    }
}

//! What files look like from outside, so that a change is noticed without reading them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::directory::is_hidden;

/// Something whose changes matter. It need not be there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// A file, or a folder with the files directly in it.
    Path(PathBuf),
    /// A file, or a folder with all that is below it.
    Tree(PathBuf),
}

/// What the watched files look like.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    looks: BTreeMap<PathBuf, Option<Look>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Look {
    /// Where the links end. A mounted ConfigMap changes nothing but a link.
    target: Option<PathBuf>,
    is_folder: bool,
    size: u64,
    modified: Option<SystemTime>,
    identity: Identity,
}

/// Device, inode, and the time when the inode was last touched, which no copying tool sets back.
#[cfg(unix)]
type Identity = (u64, u64, i64, i64);
#[cfg(not(unix))]
type Identity = Option<SystemTime>;

/// One look at everything.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) fingerprint: Fingerprint,
    /// The folders where a change of it would be notified.
    pub(crate) folders: BTreeSet<PathBuf>,
    visited: BTreeSet<PathBuf>,
}

// === impl Fingerprint ===

impl Fingerprint {
    /// Looks at everything now. Equal fingerprints mean that nothing changed.
    pub fn take(watched: &[Watched]) -> Self {
        Survey::take(watched).fingerprint
    }
}

// === impl Survey ===

impl Survey {
    pub(crate) fn take(watched: &[Watched]) -> Self {
        let mut survey = Self::default();
        for one in watched {
            survey.visited.clear();
            match one {
                Watched::Path(path) => survey.add_root(path, false),
                Watched::Tree(path) => survey.add_root(path, true),
            }
        }
        survey
    }

    fn add_root(&mut self, path: &Path, whole_tree: bool) {
        // What holds it tells when it comes, goes, or is replaced.
        self.folders.extend(path.ancestors().skip(1).find(|above| above.is_dir()).map(Path::to_owned));
        if self.add(path) {
            self.add_folder(path, whole_tree);
        }
    }

    fn add_folder(&mut self, folder: &Path, whole_tree: bool) {
        // A link may lead back to a folder above.
        if !self.visited.insert(folder.canonicalize().unwrap_or_else(|_| folder.into())) {
            return;
        }
        self.folders.insert(folder.into());
        let Ok(entries) = fs::read_dir(folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let hidden = path.file_name().is_none_or(|name| is_hidden(&name.to_string_lossy()));
            if !hidden && self.add(&path) && whole_tree {
                self.add_folder(&path, whole_tree);
            }
        }
    }

    /// Takes down one path; true if it is a folder.
    fn add(&mut self, path: &Path) -> bool {
        let look = fs::metadata(path).ok().map(|about| Look::new(path, &about));
        let is_folder = look.as_ref().is_some_and(|look| look.is_folder);
        // What is behind a link changes in a folder of its own.
        let target = look.as_ref().and_then(|look| look.target.as_deref());
        self.folders.extend(target.and_then(Path::parent).map(Path::to_owned));
        self.fingerprint.looks.insert(path.into(), look);
        is_folder
    }
}

// === impl Look ===

impl Look {
    fn new(path: &Path, about: &Metadata) -> Self {
        let is_link = fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink());
        let target = if is_link { path.canonicalize().ok() } else { None };
        if about.is_dir() {
            // Its own size and times change with every file that nobody asked about.
            let identity = Identity::default();
            return Self { target, is_folder: true, size: 0, modified: None, identity };
        }
        Self { target, is_folder: false, size: about.len(), modified: about.modified().ok(), identity: identity(about) }
    }
}

#[cfg(unix)]
fn identity(about: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (about.dev(), about.ino(), about.ctime(), about.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(about: &Metadata) -> Identity {
    about.created().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tree: bool, prepare: impl Fn(&Path), change: impl Fn(&Path), differs: bool) {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let watched = if tree { Watched::Tree } else { Watched::Path }(folder.path().into());
        let watched = [watched, Watched::Path(folder.path().join("config.yaml"))];
        let before = Fingerprint::take(&watched);
        assert_eq!(before, Fingerprint::take(&watched));
        change(folder.path());
        assert_eq!(before != Fingerprint::take(&watched), differs);
    }

    fn write(name: &str) -> impl Fn(&Path) {
        move |folder| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "one").unwrap();
        }
    }

    #[test]
    fn files_that_come_go_or_change_differ() {
        check(false, |_| (), write("a.wasm"), true);
        check(false, |_| (), write("config.yaml"), true);
        check(false, write("a.wasm"), |folder| fs::remove_file(folder.join("a.wasm")).unwrap(), true);
        check(false, write("a.wasm"), |folder| fs::write(folder.join("a.wasm"), "longer").unwrap(), true);
        check(false, write("a.wasm"), |folder| fs::rename(folder.join("a.wasm"), folder.join("b.wasm")).unwrap(), true);
    }

    #[test]
    fn a_file_of_equal_size_and_time_renamed_over_differs() {
        let change = |folder: &Path| {
            let (old, new) = (folder.join("a.wasm"), folder.join("new"));
            fs::write(&new, "two").unwrap();
            let modified = fs::metadata(&old).unwrap().modified().unwrap();
            fs::File::options().append(true).open(&new).unwrap().set_modified(modified).unwrap();
            fs::rename(&new, &old).unwrap();
        };
        check(false, write("a.wasm"), change, true);
    }

    #[test]
    fn what_nobody_asked_about_does_not_differ() {
        check(false, write("a.wasm"), |folder| drop(fs::read(folder.join("a.wasm"))), false);
        check(false, write("a.wasm"), write(".a.wasm.swp"), false);
        check(false, write("a.wasm"), write("a.wasm~"), false);
        check(false, write("sub/a.yaml"), write("sub/b.yaml"), false);
    }

    #[test]
    fn a_tree_is_seen_to_its_leaves() {
        check(true, write("sub/a.yaml"), write("sub/deeper/b.yaml"), true);
        check(true, write("sub/a.yaml"), write(".git/b.yaml"), false);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_loops_end() {
        use std::os::unix::fs::symlink;
        let mounted = |folder: &Path| {
            write("..1/p.wasm")(folder);
            fs::create_dir(folder.join("..2")).unwrap();
            // The same file: nothing but the link tells.
            fs::hard_link(folder.join("..1/p.wasm"), folder.join("..2/p.wasm")).unwrap();
            symlink("..1", folder.join("..data")).unwrap();
            symlink("..data/p.wasm", folder.join("p.wasm")).unwrap();
            symlink(".", folder.join("loop")).unwrap();
            symlink(".", folder.join("another")).unwrap();
        };
        let swap = |folder: &Path| {
            symlink("..2", folder.join("..data_tmp")).unwrap();
            fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        };
        check(false, mounted, swap, true);
        check(true, mounted, swap, true);
        check(true, mounted, |_| (), false);
    }
}

//! Files that change as they do in life, and the watch that tells.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use plimsoll_policy::{ChangeWatch, Patience, Watched};

/// Long enough for a busy machine; no test waits for it unless it fails.
const SOON: Duration = Duration::from_secs(20);

/// Notifications alone: the poll comes too late to save a test.
const PATIENCE: Patience = Patience { quiet: Duration::from_millis(20), poll: Duration::from_secs(3600) };

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    /// A policies directory, a configuration, a mounted ConfigMap and a folder of dumps.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["policies", "mount/..1", "mount/..2", "dumps/sub", "conf"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("policies/p.wasm"), "one").unwrap();
        fs::write(at("conf/config.yaml"), "one").unwrap();
        fs::write(at("mount/..1/m.wasm"), "one").unwrap();
        fs::write(at("mount/..2/m.wasm"), "two").unwrap();
        fs::write(at("dumps/sub/pods.yaml"), "one").unwrap();
        #[cfg(unix)]
        {
            link("..1", &at("mount/..data"));
            link("..data/m.wasm", &at("mount/m.wasm"));
        }
        Self { folder }
    }

    fn watch(&self) -> ChangeWatch {
        let at = |name: &str| self.folder.path().join(name);
        let paths = ["policies", "conf/config.yaml", "mount"].map(|name| Watched::Path(at(name)));
        let watched: Vec<_> = paths.into_iter().chain([Watched::Tree(at("dumps"))]).collect();
        ChangeWatch::start(&watched, PATIENCE).unwrap()
    }
}

#[cfg(unix)]
fn link(target: &str, path: &Path) {
    std::os::unix::fs::symlink(target, path).unwrap();
}

/// Makes changes one after the other; each must be told, by the same watch.
fn each_is_told(changes: &[&dyn Fn(&Path)]) {
    let scene = Scene::new();
    let watch = scene.watch();
    for (place, change) in changes.iter().enumerate() {
        change(scene.folder.path());
        watch.recv_timeout(SOON).unwrap_or_else(|problem| panic!("change {place}: {problem}"));
    }
}

#[test]
fn copying_over_is_told() {
    each_is_told(&[
        &|at| fs::write(at.join("policies/p.wasm"), "longer").unwrap(),
        &|at| fs::write(at.join("policies/p.wasm"), "longer still").unwrap(),
        &|at| fs::write(at.join("conf/config.yaml"), "longer").unwrap(),
    ]);
}

#[test]
fn renaming_over_is_told_again_and_again() {
    let rename = |text: &'static str| {
        move |at: &Path| {
            fs::write(at.join("conf/.config.new"), text).unwrap();
            fs::rename(at.join("conf/.config.new"), at.join("conf/config.yaml")).unwrap();
        }
    };
    each_is_told(&[&rename("two"), &rename("three"), &rename("four")]);
}

#[test]
fn an_editor_that_moves_the_old_one_away_is_told_again_and_again() {
    let edit = |text: &'static str| {
        move |at: &Path| {
            let path = at.join("policies/p.wasm");
            fs::rename(&path, at.join("policies/p.wasm~")).unwrap();
            fs::write(&path, text).unwrap();
            fs::remove_file(at.join("policies/p.wasm~")).unwrap();
        }
    };
    each_is_told(&[&edit("two"), &edit("three")]);
}

#[test]
fn coming_and_going_is_told() {
    each_is_told(&[
        &|at| fs::remove_file(at.join("policies/p.wasm")).unwrap(),
        &|at| fs::write(at.join("policies/q.wasm"), "new").unwrap(),
        &|at| fs::remove_file(at.join("conf/config.yaml")).unwrap(),
        &|at| fs::write(at.join("conf/config.yaml"), "new").unwrap(),
    ]);
}

#[cfg(unix)]
#[test]
fn the_link_swap_of_a_mounted_config_map_is_told_again_and_again() {
    let swap = |to: &'static str, from: &'static str| {
        move |at: &Path| {
            fs::create_dir_all(at.join("mount").join(to)).unwrap();
            fs::write(at.join("mount").join(to).join("m.wasm"), "two").unwrap();
            link(to, &at.join("mount/..data_tmp"));
            fs::rename(at.join("mount/..data_tmp"), at.join("mount/..data")).unwrap();
            fs::remove_dir_all(at.join("mount").join(from)).unwrap();
        }
    };
    each_is_told(&[&swap("..2", "..1"), &swap("..3", "..2"), &swap("..4", "..3")]);
}

#[cfg(unix)]
#[test]
fn a_file_behind_a_link_is_told_of_wherever_it_is() {
    let elsewhere = tempfile::tempdir().unwrap();
    let real = elsewhere.path().join("built.wasm");
    fs::write(&real, "one").unwrap();
    let target = real.to_str().unwrap().to_owned();
    each_is_told(&[
        &|at| link(&target, &at.join("policies/linked.wasm")),
        &|_| fs::write(&real, "longer").unwrap(),
        &|_| fs::write(&real, "longer still").unwrap(),
    ]);
}

#[test]
fn a_directory_that_is_removed_and_made_again_is_watched_again() {
    let again = |text: &'static str| {
        move |at: &Path| {
            fs::remove_dir_all(at.join("policies")).unwrap();
            fs::create_dir(at.join("policies")).unwrap();
            fs::write(at.join("policies/p.wasm"), text).unwrap();
        }
    };
    each_is_told(&[
        &again("two"),
        &|at| fs::write(at.join("policies/p.wasm"), "longer").unwrap(),
        &|at| fs::remove_dir_all(at.join("policies")).unwrap(),
        &|at| fs::create_dir(at.join("policies")).unwrap(),
        &|at| fs::write(at.join("policies/p.wasm"), "new").unwrap(),
        &|at| fs::rename(at.join("policies"), at.join("away")).unwrap(),
        &|at| fs::rename(at.join("away"), at.join("policies")).unwrap(),
        &|at| fs::write(at.join("policies/p.wasm"), "back again").unwrap(),
    ]);
}

#[test]
fn a_folder_of_dumps_is_watched_to_its_leaves() {
    each_is_told(&[
        &|at| fs::write(at.join("dumps/sub/pods.yaml"), "longer").unwrap(),
        &|at| fs::create_dir_all(at.join("dumps/new/deep")).unwrap(),
        &|at| fs::write(at.join("dumps/new/deep/nodes.yaml"), "one").unwrap(),
        &|at| fs::remove_dir_all(at.join("dumps/new")).unwrap(),
    ]);
}

#[test]
fn what_is_not_there_yet_is_told_of_when_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("etc/plimsoll/config.yaml");
    let watch = ChangeWatch::start(&[Watched::Path(path.clone())], PATIENCE).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "one").unwrap();
    watch.recv_timeout(SOON).unwrap();
    fs::write(&path, "longer").unwrap();
    watch.recv_timeout(SOON).unwrap();
}

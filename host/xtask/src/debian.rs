//! Packages of the distribution, unpacked into a folder: nothing is installed, and the lists of packages
//! are our own, so that the machine stays as it is. Signatures are checked as usual.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::shell::Step;

/// Suites that hold recent compilers, most likely first.
const SUITES: [&str; 4] = ["trixie-backports", "trixie", "forky", "sid"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The folder `library` of the sources of one release, unpacked below `work`.
pub fn rust_src(work: &Path, release: &str) -> Result<PathBuf> {
    let mirror = mirror().context("this machine's apt knows no Debian mirror")?;
    for suite in SUITES {
        println!("Looking for rust-src {release} in {suite}.");
        let apt = Apt::with_source(work, &format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n"))?;
        if apt.get(&["update"]).run().is_err() {
            continue;
        }
        let versions = apt.cache(&["madison", "rust-src"]).output()?;
        let Some(version) = versions.lines().find_map(|line| version_of(line, release)) else { continue };
        let archive = apt.download(&format!("rust-src={version}"))?;
        let library = format!("usr/src/rustc-{release}/library");
        unpack(&archive, work, &[&format!("./{library}")])?;
        return Ok(work.join(library));
    }
    bail!("no suite of {mirror} has rust-src {release}")
}

/// The compiler and the folder `library` of its sources, unpacked below `work`.
pub fn rustc_web(work: &Path) -> Result<(PathBuf, PathBuf)> {
    let apt = Apt::of_this_machine(work)?;
    apt.get(&["update"]).run()?;
    let wanted = ["install", "--simulate", "--no-install-recommends", "rustc-web", "rust-web-src"];
    let plan = apt.get(&wanted).output()?;
    let names = plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
    let of_compiler = ["rustc-web", "rust-web-src", "libstd-rust-web", "libllvm"];
    let names: Vec<&str> = names.filter(|name| of_compiler.iter().any(|prefix| name.starts_with(prefix))).collect();
    ensure!(names.len() > 1, "apt would not install rustc-web and rust-web-src");
    for name in names {
        let archive = apt.download(name)?;
        // Of the sources, all but the library is of no use here, and large.
        let parts: &[&str] = if name == "rust-web-src" { &["--wildcards", "./usr/src/*/library/*"] } else { &[] };
        unpack(&archive, work, parts)?;
    }
    apt.clean()?;
    let sources = fs::read_dir(work.join("usr/src"))?.flatten().map(|entry| entry.path().join("library"));
    let library = sources.into_iter().find(|path| path.is_dir()).context("rust-web-src holds no library")?;
    Ok((launcher(work)?, library))
}

/// A script that runs the unpacked compiler with the libraries that were unpacked with it.
fn launcher(work: &Path) -> Result<PathBuf> {
    let llvm = fs::read_dir(work.join("usr/lib"))?.flatten().map(|entry| entry.path());
    let libraries = llvm.into_iter().find(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    let libraries = libraries.context("the compiler came without libraries")?;
    let path = work.join("rustc");
    let (libraries, rustc) = (libraries.display(), work.join("usr/bin/rustc"));
    let rustc = rustc.display();
    fs::write(&path, format!("#!/bin/sh\nLD_LIBRARY_PATH='{libraries}' exec '{rustc}' \"$@\"\n"))?;
    Step::new(work, "chmod", &["+x", "rustc"]).run()?;
    Ok(path)
}

/// `rust-src | 1.95.0+dfsg1-1 | …` gives its version if it is one of the release.
fn version_of<'a>(line: &'a str, release: &str) -> Option<&'a str> {
    let version = line.split('|').nth(1)?.trim();
    version.strip_prefix(release)?.starts_with('+').then_some(version)
}

/// The first Debian archive among the machine's own sources.
fn mirror() -> Option<String> {
    let folder = fs::read_dir("/etc/apt/sources.list.d").ok()?.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        folder.filter(|path| path.extension().is_some_and(|kind| kind == "sources" || kind == "list")).collect();
    files.sort();
    files.push("/etc/apt/sources.list".into());
    files.iter().filter_map(|file| fs::read_to_string(file).ok()).find_map(|text| mirror_in(&text))
}

fn mirror_in(text: &str) -> Option<String> {
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("URIs:") || line.starts_with("deb "));
    let mut words = lines.flat_map(str::split_whitespace);
    words.find(|word| word.contains("://") && word.trim_end_matches('/').ends_with("/debian")).map(str::to_owned)
}

/// apt with its lists and its cache in a folder of ours.
struct Apt {
    work: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn of_this_machine(work: &Path) -> Result<Apt> {
        fs::create_dir_all(work.join("lists/partial"))?;
        fs::create_dir_all(work.join("cache/archives/partial"))?;
        let at = |name: &str| work.join(name).display().to_string();
        let options = vec![
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::Cache={}", at("cache")),
            "Acquire::Languages=none".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ];
        Ok(Apt { work: work.to_owned(), options })
    }

    fn with_source(work: &Path, source: &str) -> Result<Apt> {
        let mut apt = Apt::of_this_machine(work)?;
        let list = work.join("sources.list");
        fs::write(&list, source)?;
        apt.options.push(format!("Dir::Etc::sourcelist={}", list.display()));
        apt.options.push("Dir::Etc::sourceparts=-".to_owned());
        Ok(apt)
    }

    fn get(&self, arguments: &[&str]) -> Step {
        self.step("apt-get", arguments)
    }

    fn cache(&self, arguments: &[&str]) -> Step {
        self.step("apt-cache", arguments)
    }

    fn step(&self, program: &str, arguments: &[&str]) -> Step {
        Step::new(&self.work, program, arguments).details(self.options.iter().flat_map(|option| ["-q", "-o", option]))
    }

    fn clean(&self) -> Result<()> {
        fs::remove_dir_all(self.work.join("lists"))?;
        Ok(fs::remove_dir_all(self.work.join("cache"))?)
    }

    /// Downloads one package, and gives its file.
    fn download(&self, package: &str) -> Result<PathBuf> {
        self.get(&["download", package]).run()?;
        let name = package.split('=').next().unwrap_or(package);
        let files = fs::read_dir(&self.work)?.flatten().map(|entry| entry.path());
        let is_it = |path: &PathBuf| {
            let file = path.file_name().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
            file.starts_with(&format!("{name}_")) && file.ends_with(".deb")
        };
        files.into_iter().find(is_it).with_context(|| format!("apt left no file of {package}"))
    }
}

/// Unpacks a package, or some paths of it, into `to`, and removes its file.
fn unpack(archive: &Path, to: &Path, paths: &[&str]) -> Result<()> {
    println!("Unpacking {}.", archive.display());
    let mut reader = Command::new("dpkg-deb").arg("--fsys-tarfile").arg(archive).stdout(Stdio::piped()).spawn()?;
    let stream = reader.stdout.take().context("dpkg-deb has no output")?;
    let written = Command::new("tar").args(["-x", "-C"]).arg(to).args(paths).stdin(stream).status()?;
    let read = reader.wait()?;
    ensure!(written.success() && read.success(), "{} does not unpack", archive.display());
    Ok(fs::remove_file(archive)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_archive_in_both_formats() {
        let modern = "Types: deb\n# http://snapshot.example/archive/debian\nURIs: http://mirror.example/debian\n";
        assert_eq!(mirror_in(modern).as_deref(), Some("http://mirror.example/debian"));
        let classic =
            "# deb http://old.example/debian a main\ndeb [arch=amd64] https://mirror.example/debian/ a main\n";
        assert_eq!(mirror_in(classic).as_deref(), Some("https://mirror.example/debian/"));
        assert_eq!(mirror_in("URIs: http://mirror.example/debian-security\n"), None);
    }

    #[test]
    fn only_the_exact_release_will_do() {
        let line = " rust-src | 1.95.0+dfsg1-1~bpo13+1 | http://mirror.example/debian trixie-backports/main";
        assert_eq!(version_of(line, "1.95.0"), Some("1.95.0+dfsg1-1~bpo13+1"));
        assert_eq!(version_of(line, "1.95"), None);
        assert_eq!(version_of(line, "1.96.0"), None);
        assert_eq!(version_of("", "1.95.0"), None);
    }
}

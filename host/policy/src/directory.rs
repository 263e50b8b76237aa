//! Finds and reads policy modules in a directory that other programs write to.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use plimsoll_model::{Bytes, Text};

use crate::Failure;
use crate::module::LARGEST;

/// A module in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The policy's name: the file's name without its ending.
    pub name: Text,
    /// The file.
    pub path: PathBuf,
}

/// Whether a name is nobody's business: `..data` of a mounted ConfigMap, temporary files of editors.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '#']) || name.ends_with('~')
}

/// The modules of a directory, in the order of their names. Links are followed, since a mounted ConfigMap is made of
/// them; a link to nothing is listed too, so that its policy is said to be unreadable and not gone.
pub fn modules(directory: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(stem) = path.file_name().and_then(|name| module_name(&name.to_string_lossy())) else { continue };
        if fs::metadata(&path).is_ok_and(|about| about.is_dir()) {
            continue;
        }
        found.push(Found { name: stem, path });
    }
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The bytes of a module.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |problem: io::Error| Failure::Load(format!("{}: {problem}", path.display()));
    let refused = |what: String| Failure::Load(format!("{}: {what}", path.display()));
    let about = fs::metadata(path).map_err(unreadable)?;
    // A pipe would wait for ever for somebody to write.
    if !about.is_file() {
        return Err(refused("is no plain file".into()));
    }
    let too_large = |size: u64| refused(format!("has {}; {LARGEST} is the most", Bytes(size)));
    if about.len() > LARGEST.0 {
        return Err(too_large(about.len()));
    }
    let mut wasm = Vec::new();
    // It may grow while it is read: the cap holds for what arrives.
    let read = File::open(path).and_then(|file| file.take(LARGEST.0 + 1).read_to_end(&mut wasm));
    let size = read.map_err(unreadable)? as u64;
    if size > LARGEST.0 {
        return Err(too_large(size));
    }
    Ok(wasm)
}

fn module_name(file: &str) -> Option<Text> {
    file.strip_suffix(".wasm").filter(|_| !is_hidden(file)).map(Text::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        modules(directory).unwrap().iter().map(|found| found.name.to_string()).collect()
    }

    #[test]
    fn only_modules_are_listed_in_the_order_of_names() {
        let directory = tempfile::tempdir().unwrap();
        for name in
            ["20-b.wasm", "10-a.wasm", ".x.wasm.swp", ".hidden.wasm", "x.wasm~", "#x.wasm#", "x.wat", "wasm", "a.WASM"]
        {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        fs::create_dir(directory.path().join("folder.wasm")).unwrap();
        assert_eq!(names(directory.path()), ["10-a", "20-b"]);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_and_not_empty() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(modules(&directory.path().join("no")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn a_mounted_config_map_is_read_through_its_links() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("..2026_11_21")).unwrap();
        fs::write(at("..2026_11_21/p.wasm"), "one").unwrap();
        symlink("..2026_11_21", at("..data")).unwrap();
        symlink("..data/p.wasm", at("p.wasm")).unwrap();
        symlink("nowhere", at("lost.wasm")).unwrap();
        assert_eq!(names(directory.path()), ["lost", "p"]);
        assert_eq!(read(&at("p.wasm")).unwrap(), b"one");
        assert!(matches!(read(&at("lost.wasm")), Err(Failure::Load(why)) if why.contains("lost.wasm")));
    }

    #[test]
    fn too_large_a_module_is_refused_unread() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("huge.wasm");
        // Sparse: the file system holds nothing of it.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(matches!(read(&path), Err(Failure::Load(why)) if why.contains("has 1Ti; 64Mi is the most")));
        assert!(matches!(read(directory.path()), Err(Failure::Load(why)) if why.contains("no plain file")));
    }
}

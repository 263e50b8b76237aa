//! Where dumps come from.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::DumpError;

/// Where a dump comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, or a folder of which every `.json`, `.yaml` and `.yml` file counts.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

/// One stream of text to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    File(PathBuf),
    Stdin,
}

// === impl Source ===

impl From<&str> for Source {
    /// `-` is standard input, everything else a path.
    fn from(text: &str) -> Self {
        if text == "-" { Self::Stdin } else { Self::Path(text.into()) }
    }
}

impl Source {
    /// The files behind this source, those of folders in the order of names.
    pub(crate) fn inputs(&self) -> Result<Vec<Input>, DumpError> {
        let Self::Path(path) = self else { return Ok(vec![Input::Stdin]) };
        let is_dir = fs::metadata(path).map_err(unreadable(path))?.is_dir();
        if !is_dir {
            return Ok(vec![Input::File(path.clone())]);
        }
        let mut files = Vec::new();
        walk(path, &mut HashSet::new(), &mut files)?;
        if files.is_empty() {
            return Err(DumpError::EmptyFolder { path: path.clone() });
        }
        Ok(files.into_iter().map(Input::File).collect())
    }
}

/// `visited` holds real paths, so that a link back to a folder above ends there.
fn walk(folder: &Path, visited: &mut HashSet<PathBuf>, files: &mut Vec<PathBuf>) -> Result<(), DumpError> {
    if !visited.insert(folder.canonicalize().map_err(unreadable(folder))?) {
        return Ok(());
    }
    let mut entries = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>())
        .map_err(unreadable(folder))?;
    entries.sort_unstable();
    for path in entries {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let named_as_dump =
            path.extension().is_some_and(|end| ["json", "yaml", "yml"].iter().any(|known| end == *known));
        // A link to nothing matters only where a dump is expected.
        let about = match fs::metadata(&path) {
            Ok(about) => about,
            Err(problem) if named_as_dump && !hidden => return Err(DumpError::Unreadable { path, problem }),
            Err(_) => continue,
        };
        if hidden {
            continue;
        } else if about.is_dir() {
            walk(&path, visited, files)?;
        } else if named_as_dump && about.is_file() {
            // Only plain files: a pipe in a folder would wait for ever.
            files.push(path);
        }
    }
    Ok(())
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> DumpError {
    move |problem| DumpError::Unreadable { path: path.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    #[test]
    fn folders_give_their_dumps_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["b.yaml", "a/z.json", "a/.hidden.json", ".git/c.yaml", "c.yml", "notes.txt", "README"] {
            touch(&at(name));
        }
        let found = Source::Path(folder.path().into()).inputs().unwrap();
        assert_eq!(found, ["a/z.json", "b.yaml", "c.yml"].map(|name| Input::File(at(name))));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_loops_end() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        touch(&at("..2026/pods.yaml"));
        std::os::unix::fs::symlink(at("..2026/pods.yaml"), at("pods.yaml")).unwrap();
        std::os::unix::fs::symlink(folder.path(), at("self")).unwrap();
        let found = Source::Path(folder.path().into()).inputs().unwrap();
        assert_eq!(found, [Input::File(at("pods.yaml"))]);

        std::os::unix::fs::symlink(at("gone"), at("dangling.json")).unwrap();
        let error = Source::Path(folder.path().into()).inputs().unwrap_err();
        assert!(error.to_string().contains("dangling.json: cannot be read"), "{error}");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = Source::Path(folder.path().into()).inputs().unwrap_err();
        assert!(matches!(empty, DumpError::EmptyFolder { .. }), "{empty}");
        let gone = Source::Path(folder.path().join("no.yaml")).inputs().unwrap_err();
        assert!(gone.to_string().contains("no.yaml: cannot be read"), "{gone}");
        assert_eq!(Source::from("-"), Source::Stdin);
        assert_eq!(Source::from("-x"), Source::Path("-x".into()));
    }
}

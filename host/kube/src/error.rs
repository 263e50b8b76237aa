//! Why no dump could be read.

use std::io;
use std::path::PathBuf;

/// The command that writes a dump with everything in it.
const DUMP_COMMAND: &str =
    "kubectl get nodes,pods,pdb,csr,namespaces,daemonsets,pvc,pv,storageclasses,csinodes -A -o json";

/// Why no dump could be read. Every sentence says where, what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// A file or folder cannot be opened or read.
    #[error("{path}: cannot be read ({problem}); check that it exists and that you may read it", path = path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        problem: io::Error,
    },
    /// Reading broke off.
    #[error("{file}: reading broke off after line {line} ({problem}); write the dump again")]
    Broke {
        /// The file, or `standard input`.
        file: String,
        /// The last line that was read.
        line: u64,
        /// What the system says.
        problem: io::Error,
    },
    /// A file is not what it should be. Nothing of the dump is used then, as part of a cluster looks like less load.
    #[error("{file}:{line}:{column}: {problem}")]
    Syntax {
        /// The file, or `standard input`.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A folder without files that could be a dump.
    #[error(
        "{path}: the folder holds no .json, .yaml or .yml file; name a file, or write one there with `{DUMP_COMMAND} > {path}/cluster.json`",
        path = path.display()
    )]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// No file was named.
    #[error(
        "no dump was named; name a file, a folder or - for standard input, or write one with `{DUMP_COMMAND} > cluster.json`"
    )]
    NoSource,
    /// The files hold no objects.
    #[error("{files}: no Kubernetes objects in it; write a dump with `{DUMP_COMMAND}`")]
    NoObjects {
        /// What was read.
        files: String,
    },
}

//! What the journeys share: the binary under test, policies small enough to read, and a child process whose
//! output arrives line by line.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use wit_component::{StringEncoding, embed_component_metadata};

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// The top of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The `plimsoll` binary under test.
pub fn plimsoll() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_plimsoll"))
}

/// Runs the binary in the top of the project.
pub fn run<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    Command::new(plimsoll()).args(arguments).current_dir(root()).stdin(Stdio::null()).output().unwrap()
}

/// Runs the binary with text on standard input.
pub fn run_with_input<S: AsRef<OsStr>>(arguments: &[S], input: &[u8]) -> Output {
    let mut child = Command::new(plimsoll())
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A child that gives up early closes the pipe; its exit code tells the rest.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// Standard output as JSON.
pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("no JSON ({error}): {}{}", String::from_utf8_lossy(&output.stdout), stderr(output))
    })
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A scale-up policy that launches nothing and says `reason`: a core module with its component type.
pub fn holding_policy(reason: &str) -> Vec<u8> {
    let wat = format!(
        r#"(module
            (memory (export "memory") 2)
            (global $next (mut i32) (i32.const 65536))
            (data (i32.const 1024) "{reason}")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (local.get 3))))
            (func (export "plimsoll:policy/scale-up@0.1.0#choose")
                (param i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64) (result i32)
                (i32.store8 (i32.const 16) (i32.const 1))
                (i32.store (i32.const 20) (i32.const 1024))
                (i32.store (i32.const 24) (i32.const {length}))
                (i32.const 16)))"#,
        length = wat_length(reason)
    );
    with_component_type(&wat, "scale-up-policy")
}

/// A scale-up policy that never answers.
pub fn looping_policy() -> Vec<u8> {
    let wat = r#"(module
        (memory (export "memory") 2)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
        (func (export "plimsoll:policy/scale-up@0.1.0#choose")
            (param i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64) (result i32)
            (loop $forever (br $forever)) unreachable))"#;
    with_component_type(wat, "scale-up-policy")
}

fn with_component_type(wat: &str, world: &str) -> Vec<u8> {
    let mut module = wat::parse_str(wat).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_path(root().join("wit")).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// A running binary whose output arrives line by line.
pub struct Running {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Running {
    /// Starts the binary.
    pub fn start<S: AsRef<OsStr>>(arguments: &[S]) -> Self {
        let mut child = Command::new(plimsoll())
            .args(arguments)
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { child, out, err }
    }

    /// Reads standard output until a line contains `text`, and gives that line.
    pub fn wait_for(&self, text: &str) -> String {
        find(&self.out, text)
    }

    /// Reads standard error until a line contains `text`, and gives that line.
    pub fn wait_for_error(&self, text: &str) -> String {
        find(&self.err, text)
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.for_each(|line| drop(sender.send(line)));
    });
    receiver
}

fn find(lines: &Receiver<String>, text: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) if line.contains(text) => return line,
            Ok(line) => seen.push(line),
            Err(error) => panic!("waiting for {text:?}: {error}; seen:\n{}", seen.join("\n")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes that a text takes in a module, where `\1b` stands for one.
fn wat_length(text: &str) -> usize {
    text.len() - 2 * text.matches('\\').count()
}

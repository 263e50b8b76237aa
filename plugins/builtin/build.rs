//! Compiles the built-in policies to WebAssembly and wraps them as components. Never touches the network:
//! what it needs is brought by `cargo xtask setup`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use wit_component::{ComponentEncoder, DecodedWasm};

const TARGET: &str = "wasm32-unknown-unknown";
const POLICIES: [&str; 3] = ["scale-up-least-cost", "drain-least-disruption", "csr-launched-nodes"];

/// Small and fast. Named here, so that the workspace's release profile stays that of the host.
const PROFILE: [(&str, &str); 6] = [
    ("OPT_LEVEL", "3"),
    ("LTO", "fat"),
    ("CODEGEN_UNITS", "1"),
    ("PANIC", "abort"),
    ("DEBUG", "false"),
    // Function names stay: they are what a trap's backtrace shows.
    ("STRIP", "debuginfo"),
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={}", format!("{error:#}").replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<()> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let manifest_dir = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let workspace = manifest_dir.ancestors().nth(2).context("this crate is not in plugins/builtin")?;
    for path in ["wit", "plugins/sdk", "Cargo.toml", "Cargo.lock"] {
        rerun_if_changed(&workspace.join(path));
    }
    let std = Std::find(workspace)?;
    let modules = compile(workspace, &target_dir(&out, &std), &std)?;
    for name in POLICIES {
        rerun_if_changed(&workspace.join("plugins").join(name));
        let module = modules.join(format!("{}.wasm", name.replace('-', "_")));
        let core = fs::read(&module).with_context(|| format!("{} is missing", module.display()))?;
        let component = wrap(&core).with_context(|| format!("{name} is no policy"))?;
        fs::write(out.join(format!("{name}.wasm")), component)?;
    }
    Ok(())
}

fn rerun_if_changed(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

/// Where the standard library for WebAssembly comes from.
enum Std {
    /// The toolchain has it.
    Toolchain,
    /// `cargo xtask setup` put it aside, and wrote down what the compiler must be told.
    Aside { rustc: Option<String>, flags: Vec<String> },
}

impl Std {
    fn find(workspace: &Path) -> Result<Std> {
        let sysroot = rustc(&["--print", "sysroot"])?;
        if has_core(&Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib")) {
            return Ok(Std::Toolchain);
        }
        let file = workspace.join("target/wasm-std").join(toolchain_id(&rustc(&["--version"])?)).join("compiler");
        let Ok(text) = fs::read_to_string(&file) else {
            bail!("this toolchain has no standard library for {TARGET}: run `cargo xtask setup`");
        };
        rerun_if_changed(&file);
        let values = |key: &'static str| text.lines().filter_map(move |line| line.strip_prefix(key)).map(str::to_owned);
        Ok(Std::Aside { rustc: values("rustc=").next(), flags: values("flag=").collect() })
    }
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let output = Command::new(env::var("RUSTC")?).args(arguments).output().context("rustc does not run")?;
    ensure!(output.status.success(), "rustc {} failed", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

fn has_core(libraries: &Path) -> bool {
    let Ok(files) = fs::read_dir(libraries) else { return false };
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
}

/// `rustc 1.95.0 (59807616e 2026-04-14)` as the name of a folder. `xtask` names it alike.
fn toolchain_id(version: &str) -> String {
    let plain = version.trim().replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
    plain.trim_matches('-').to_owned()
}

/// One folder for debug, release and check builds, which all embed the same policies; but one for each
/// standard library, because cargo does not notice when that changes.
fn target_dir(out: &Path, std: &Std) -> PathBuf {
    let target = out.ancestors().nth(4).unwrap_or(out);
    target.join(match std {
        Std::Toolchain => "builtin-policies",
        Std::Aside { .. } => "builtin-policies-aside",
    })
}

/// Compiles the policies and gives the folder that holds their modules.
fn compile(workspace: &Path, target_dir: &Path, std: &Std) -> Result<PathBuf> {
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo.current_dir(workspace).args(["build", "--release", "--locked", "--offline", "--lib", "--target", TARGET]);
    cargo.arg("--target-dir").arg(target_dir).args(POLICIES.iter().flat_map(|name| ["-p", name]));
    // What the outer build was told about the host (flags, wrappers such as clippy, profiles) is not for these.
    for (key, _) in env::vars_os() {
        let name = key.to_string_lossy();
        let is_outer = ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_TARGET_", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"];
        if is_outer.iter().any(|prefix| name.starts_with(prefix)) || name.ends_with("_WRAPPER") {
            cargo.env_remove(&key);
        }
    }
    cargo.envs(PROFILE.map(|(key, value)| (format!("CARGO_PROFILE_RELEASE_{key}"), value)));
    if let Std::Aside { rustc, flags } = std {
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        cargo.envs(rustc.iter().map(|rustc| ("RUSTC", rustc)));
    }
    let output = cargo.output().context("cargo does not run")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        if errors.contains("--offline was specified") || errors.contains("offline mode") {
            bail!("what the built-in policies depend on is not downloaded: run `cargo xtask setup`");
        }
        eprintln!("{errors}");
        bail!("the built-in policies do not compile; what the compiler says is below");
    }
    Ok(target_dir.join(TARGET).join("release"))
}

/// Makes a component of a core module, and sees that it imports nothing but the contract.
fn wrap(core: &[u8]) -> Result<Vec<u8>> {
    let component = ComponentEncoder::default().validate(true).module(core)?.encode()?;
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&component)? else {
        bail!("it is a package of WIT text");
    };
    for key in resolve.worlds[world].imports.keys() {
        let name = resolve.name_world_key(key);
        ensure!(name.starts_with("plimsoll:policy/"), "it imports {name}, and only plimsoll:policy is offered");
    }
    Ok(component)
}

//! The standard library for `wasm32-unknown-unknown`: from the toolchain, from rustup, or built from the
//! distribution's sources and put aside, so that the toolchain stays as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use crate::debian;
use crate::shell::{Step, rustc};

/// The target of policies.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Where there is no way out to rustup's server, the attempt may hang.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// Where the standard library is.
pub enum WasmStd {
    /// In the toolchain: nothing has to be said.
    Toolchain,
    /// In a folder of its own: the compiler must be told.
    Aside(Compiler),
}

/// What must be said to use a standard library that was put aside.
pub struct Compiler {
    /// Another compiler than the toolchain's, if the library was built for that.
    pub rustc: Option<PathBuf>,
    /// Arguments of the compiler.
    pub flags: Vec<String>,
}

impl WasmStd {
    /// The library, if it is there.
    pub fn find(root: &Path) -> Result<Option<WasmStd>> {
        if has_core(Path::new(&rustc(root, &["--print", "sysroot"])?)) {
            return Ok(Some(WasmStd::Toolchain));
        }
        Ok(Compiler::read(&aside(root)?).map(WasmStd::Aside))
    }

    /// The library; brings it if it is not there.
    pub fn ensure(root: &Path) -> Result<WasmStd> {
        if let Some(std) = WasmStd::find(root)? {
            return Ok(std);
        }
        println!("This toolchain has no standard library for {TARGET}.");
        let mut tried = vec![match add_with_rustup(root) {
            Ok(()) => match WasmStd::find(root)? {
                Some(std) => return Ok(std),
                None => "rustup: it added the target to another toolchain than this one".into(),
            },
            Err(error) => format!("rustup: {error:#}"),
        }];
        println!("{}. It is built once from the distribution's packages instead; this takes a minute.", tried[0]);
        let aside = aside(root)?;
        for (name, bring) in [("rust-src", from_rust_src as Bring), ("rustc-web", from_rustc_web)] {
            // What an attempt that was cut off has left is of unknown worth.
            remove(&aside)?;
            fs::create_dir_all(&aside)?;
            match bring(root, &aside) {
                Ok(compiler) => {
                    compiler.write(&aside)?;
                    println!("The standard library for {TARGET} is in {}.", aside.display());
                    return Ok(WasmStd::Aside(compiler));
                }
                Err(error) => tried.push(format!("{name}: {error:#}")),
            }
        }
        bail!(
            "the standard library for {TARGET} could not be had; add it to the toolchain by other means, such as \
             `rustup target add {TARGET}`. What was tried:\n  {}",
            tried.join("\n  ")
        )
    }

    /// The shell line without which plain cargo would not find the library.
    pub fn export(&self) -> Option<String> {
        let WasmStd::Aside(compiler) = self else { return None };
        let mut export = format!("export {FLAGS_KEY}='{}'", compiler.flags.join(" "));
        if let Some(rustc) = &compiler.rustc {
            export.push_str(&format!(" RUSTC='{}'", rustc.display()));
        }
        Some(export)
    }

    /// The same for a command that this program runs.
    pub fn tell(&self, mut step: Step) -> Step {
        if let WasmStd::Aside(compiler) = self {
            step = step.env(FLAGS_KEY, compiler.flags.join(" "));
            if let Some(rustc) = &compiler.rustc {
                step = step.env("RUSTC", rustc);
            }
        }
        step
    }
}

/// Read by cargo for this target only, so that nothing of the host is built anew.
const FLAGS_KEY: &str = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS";

const SYSROOT_FLAG: &str = "--sysroot=";

type Bring = fn(&Path, &Path) -> Result<Compiler>;

impl Compiler {
    /// Read here and by the build script of `plimsoll-builtin`.
    const FILE: &str = "compiler";

    fn read(aside: &Path) -> Option<Compiler> {
        let text = fs::read_to_string(aside.join(Compiler::FILE)).ok()?;
        let values = |key: &'static str| text.lines().filter_map(move |line| line.strip_prefix(key));
        let flags: Vec<String> = values("flag=").map(str::to_owned).collect();
        let sysroot = flags.iter().find_map(|flag| flag.strip_prefix(SYSROOT_FLAG))?;
        has_core(Path::new(sysroot)).then(|| Compiler { rustc: values("rustc=").next().map(PathBuf::from), flags })
    }

    fn write(&self, aside: &Path) -> Result<()> {
        let rustc = self.rustc.iter().map(|path| format!("rustc={}\n", path.display()));
        let flags = self.flags.iter().map(|flag| format!("flag={flag}\n"));
        Ok(fs::write(aside.join(Compiler::FILE), rustc.chain(flags).collect::<String>())?)
    }
}

/// The folder for the toolchain at hand. `plimsoll-builtin` names it alike, whatever `CARGO_TARGET_DIR` says.
fn aside(root: &Path) -> Result<PathBuf> {
    let version = rustc(root, &["--version"])?;
    let plain = version.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
    Ok(root.join("target/wasm-std").join(plain.trim_matches('-')))
}

fn libraries(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

fn has_core(sysroot: &Path) -> bool {
    let Ok(files) = fs::read_dir(libraries(sysroot)) else { return false };
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
}

fn add_with_rustup(root: &Path) -> Result<()> {
    ensure!(std::env::var_os("NO_RUSTUP").is_none(), "NO_RUSTUP is set");
    Step::new(root, "rustup", &["target", "add", TARGET]).run_within(RUSTUP_LIMIT)
}

/// The sources must be those of the compiler's own version: its library compiles with no other.
fn from_rust_src(root: &Path, aside: &Path) -> Result<Compiler> {
    let component = Path::new(&rustc(root, &["--print", "sysroot"])?).join("lib/rustlib/src/rust/library");
    let work = aside.join("work");
    let library = if component.join("Cargo.lock").is_file() {
        component
    } else {
        let version = rustc(root, &["--version", "--verbose"])?;
        let release = version.lines().find_map(|line| line.strip_prefix("release: "));
        debian::rust_src(&work, release.context("rustc does not tell its release")?)?
    };
    let sysroot = build(&library, aside, None)?;
    remove(&work)?;
    Ok(Compiler { rustc: None, flags: vec![format!("{SYSROOT_FLAG}{}", sysroot.display())] })
}

/// A whole compiler that the distribution keeps for its browsers, with the sources of its library.
fn from_rustc_web(root: &Path, aside: &Path) -> Result<Compiler> {
    let (compiler, library) = debian::rustc_web(&aside.join("rustc-web"))?;
    let built = build(&library, aside, Some(&compiler))?;
    remove(&library)?;
    // That compiler looks for a linker of its own, which is in yet another package.
    let sysroot = rustc(root, &["--print", "sysroot"])?;
    let version = rustc(root, &["--version", "--verbose"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not tell its host")?;
    let linker = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/rust-lld");
    let flags = vec![format!("{SYSROOT_FLAG}{}", built.display()), format!("-Clinker={}", linker.display())];
    Ok(Compiler { rustc: Some(compiler), flags })
}

/// Builds the standard library at `library`, and gives the sysroot that holds it.
fn build(library: &Path, aside: &Path, compiler: Option<&Path>) -> Result<PathBuf> {
    let target_dir = aside.join("build");
    // The flags are those of the official build: bitcode is what `lto` needs, and the marker lets the
    // library use its own unstable parts.
    let flags = format!(
        "-Cembed-bitcode=yes -Zforce-unstable-if-unmarked --remap-path-prefix={}=/rustc/library",
        library.display()
    );
    let build = ["build", "--release", "--locked", "--target", TARGET, "--no-default-features"];
    let manifest = ["--manifest-path", "sysroot/Cargo.toml"];
    let mut step = Step::cargo(library, &[&build[..], &manifest[..]].concat())
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", flags)
        .env("CARGO_TARGET_DIR", &target_dir)
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    if let Some(compiler) = compiler {
        step = step.env("RUSTC", compiler);
    }
    step.run()?;
    // A name of its own each time: cargo compiles anew when the flags change, not when the library does.
    let built = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let sysroot = aside.join(format!("sysroot-{built}"));
    fs::create_dir_all(libraries(&sysroot))?;
    for file in fs::read_dir(target_dir.join(TARGET).join("release/deps"))? {
        let file = file?;
        if file.path().extension().is_some_and(|extension| extension == "rlib") {
            fs::copy(file.path(), libraries(&sysroot).join(file.file_name()))?;
        }
    }
    ensure!(has_core(&sysroot), "the build left no libcore");
    remove(&target_dir)?;
    Ok(sysroot)
}

fn remove(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("{} cannot be removed", dir.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let aside = std::env::temp_dir().join(format!("plimsoll-xtask-{}", std::process::id()));
        let sysroot = aside.join("sysroot-1");
        fs::create_dir_all(libraries(&sysroot)).unwrap();
        let flags = vec![format!("--sysroot={}", sysroot.display()), "-Clinker=lld".to_owned()];
        Compiler { rustc: Some("/opt/rustc".into()), flags: flags.clone() }.write(&aside).unwrap();
        assert!(Compiler::read(&aside).is_none(), "a library that is gone is not used");

        fs::write(libraries(&sysroot).join("libcore-1.rlib"), "").unwrap();
        let read = Compiler::read(&aside).unwrap();
        assert_eq!((read.rustc, &read.flags), (Some("/opt/rustc".into()), &flags));
        let export = WasmStd::Aside(Compiler { rustc: None, flags }).export().unwrap();
        assert_eq!(export, format!("export {FLAGS_KEY}='--sysroot={} -Clinker=lld'", sysroot.display()));
        assert_eq!(WasmStd::Toolchain.export(), None);
        remove(&aside).unwrap();
    }
}

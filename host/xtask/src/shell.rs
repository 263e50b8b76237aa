//! Commands that are shown before they run.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// One command.
pub struct Step {
    command: Command,
    shown: String,
}

impl Step {
    /// A command that runs in `dir`.
    pub fn new(dir: &Path, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.current_dir(dir).args(arguments);
        Step { command, shown: [&[program], arguments].concat().join(" ") }
    }

    /// The cargo that runs this program.
    pub fn cargo(dir: &Path, arguments: &[&str]) -> Self {
        let mut step = Step::new(dir, "cargo", arguments);
        if let Some(cargo) = std::env::var_os("CARGO") {
            let mut command = Command::new(cargo);
            command.current_dir(dir).args(arguments);
            step.command = command;
        }
        step
    }

    /// With further arguments, which are not shown.
    pub fn details<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(arguments);
        self
    }

    /// With an environment variable, which is shown too.
    pub fn env(mut self, key: &str, value: impl Into<OsString>) -> Self {
        let value = value.into();
        self.shown = format!("{key}={:?} {}", value, self.shown);
        self.command.env(key, value);
        self
    }

    /// With an environment variable, which is not shown.
    pub fn quietly(mut self, key: &str, value: impl Into<OsString>) -> Self {
        self.command.env(key, value.into());
        self
    }

    /// Shown under another name than that of the program's file.
    pub fn shown_as(mut self, program: &str, arguments: &[&str]) -> Self {
        self.shown = [&[program], arguments].concat().join(" ");
        self
    }

    /// Without an environment variable.
    pub fn env_remove(mut self, key: &str) -> Self {
        self.command.env_remove(key);
        self
    }

    /// Shows the command, runs it, and fails if it fails.
    pub fn run(mut self) -> Result<()> {
        println!("$ {}", self.shown);
        let status = self.command.status().with_context(|| format!("`{}` does not start", self.shown))?;
        ensure!(status.success(), "`{}` failed ({status})", self.shown);
        Ok(())
    }

    /// Like `run`, but gives up after a while.
    pub fn run_within(mut self, limit: Duration) -> Result<()> {
        println!("$ {}", self.shown);
        let mut child = self.command.spawn().with_context(|| format!("`{}` does not start", self.shown))?;
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "`{}` failed ({status})", self.shown);
                return Ok(());
            }
            if Instant::now() > end {
                child.kill()?;
                child.wait()?;
                bail!("`{}` took longer than {} s", self.shown, limit.as_secs());
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// What the command prints; the command itself is not shown.
    pub fn output(mut self) -> Result<String> {
        let output = self.command.stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("`{}` does not start", self.shown))?;
        ensure!(output.status.success(), "`{}` failed ({})", self.shown, output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What a command says that must fail; the command itself is not shown.
    pub fn refusal(mut self) -> Result<String> {
        let output = self.command.output().with_context(|| format!("`{}` does not start", self.shown))?;
        ensure!(!output.status.success(), "`{}` did not fail", self.shown);
        Ok([output.stdout, output.stderr].iter().map(|text| String::from_utf8_lossy(text)).collect())
    }
}

/// The compiler that cargo would use in this folder.
pub fn rustc(dir: &Path, arguments: &[&str]) -> Result<String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    Ok(Step::new(dir, &rustc, arguments).output()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_ended() {
        let begin = Instant::now();
        let hangs = Step::new(Path::new("/"), "sleep", &["600"]).run_within(Duration::from_millis(50));
        assert!(hangs.unwrap_err().to_string().contains("took longer"));
        assert!(begin.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = Step::new(Path::new("/"), "ls", &["/no/such/file"]).output().unwrap_err();
        assert!(error.to_string().starts_with("`ls /no/such/file` failed"), "{error}");
        assert_eq!(Step::new(Path::new("/"), "echo", &["a"]).details(["b"]).output().unwrap(), "a b\n");
    }

    #[test]
    fn a_refusal_is_what_the_command_says() {
        let said = Step::new(Path::new("/"), "ls", &["/no/such/file"]).refusal().unwrap();
        assert!(said.contains("/no/such/file"), "{said}");
        let error = Step::new(Path::new("/"), "true", &["x"]).shown_as("helm", &["lint"]).refusal().unwrap_err();
        assert_eq!(error.to_string(), "`helm lint` did not fail");
    }
}

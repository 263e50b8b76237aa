//! Processes of `plimsoll run`.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::{BOOTSTRAP, NAMESPACE};
use crate::providers::BOOTSTRAP_TOKEN;

/// An orderly end takes no longer.
const LAST: Duration = Duration::from_secs(30);
/// What is shown of the figures at the end.
const SHOWN: [&str; 7] = [
    "plimsoll_nodes_added_total",
    "plimsoll_nodes_joined_total",
    "plimsoll_launches_failed_total",
    "plimsoll_csr_verdicts_total",
    "plimsoll_pending_pods",
    "plimsoll_decisions_total",
    "plimsoll_leader",
];

/// All of them.
pub struct Replicas(Vec<Replica>);

struct Replica {
    name: String,
    address: SocketAddr,
    process: Child,
    log: PathBuf,
    killed: bool,
}

impl Replicas {
    /// Starts so many, with their logs in this folder.
    pub fn start(count: u16, server: &str, config: &Path, policies: Option<&PathBuf>, folder: &Path) -> Result<Self> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let start = |number: u16| -> Result<Replica> {
            let name = format!("plimsoll-{number}");
            let log = folder.join(format!("{name}.log"));
            let address = free_address()?;
            let mut command = Command::new(&program);
            command
                .args(["run", "--server", server, "--namespace", NAMESPACE, "--replica", &name])
                .arg("--config")
                .arg(config)
                .args(["--health-address", &address.to_string(), "--metrics-address", &address.to_string()])
                .env(BOOTSTRAP_TOKEN, BOOTSTRAP)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(&log).context("there is no room for logs")?)
                .kill_on_drop(true);
            if let Some(policies) = policies {
                command.arg("--policies").arg(policies);
            }
            let process = command.spawn().context("a replica does not start")?;
            Ok(Replica { name, address, process, log, killed: false })
        };
        (1..=count).map(start).collect::<Result<_>>().map(Self)
    }

    /// Where each serves its figures.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.0.iter().map(|replica| (replica.name.as_str(), replica.address))
    }

    /// What is wrong with them, if anything: one has ended by itself.
    pub fn problem(&mut self) -> Option<String> {
        self.0.iter_mut().filter(|replica| !replica.killed).find_map(|replica| {
            let ended = replica.process.try_wait().ok().flatten()?;
            let log = std::fs::read_to_string(&replica.log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            Some(format!("{} has ended ({ended}):\n{}", replica.name, last.join("\n")))
        })
    }

    /// Kills the replica that holds the lease under this identity, as a power cut would. False if there is none.
    pub fn kill(&mut self, identity: &str) -> bool {
        let holder = |replica: &&mut Replica| !replica.killed && identity.split('_').next() == Some(&replica.name);
        let Some(replica) = self.0.iter_mut().find(holder) else { return false };
        replica.killed = replica.process.start_kill().is_ok();
        replica.killed
    }

    /// Shows the figures of the leader.
    pub async fn sum_up(&self) {
        for replica in self.0.iter().filter(|replica| !replica.killed) {
            let Ok(text) = figures(replica.address).await else { continue };
            if !text.lines().any(|line| line == "plimsoll_leader 1") {
                continue;
            }
            println!("\nSome figures of {}, which leads:\n", replica.name);
            let shown = |line: &&str| SHOWN.iter().any(|name| line.starts_with(name));
            text.lines().filter(shown).for_each(|line| println!("  {line}"));
        }
    }

    /// Ends them all in good order.
    pub async fn stop(mut self) -> Result<()> {
        for replica in self.0.iter().filter(|replica| !replica.killed) {
            let id = replica.process.id().and_then(|id| i32::try_from(id).ok());
            if let Some(process) = id.and_then(rustix::process::Pid::from_raw) {
                // One that has ended meanwhile is found out below.
                let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
            }
        }
        let mut slow = Vec::new();
        for replica in &mut self.0 {
            if tokio::time::timeout(LAST, replica.process.wait()).await.is_err() {
                slow.push(replica.name.clone());
            }
        }
        if !slow.is_empty() {
            bail!("{} did not end within {} s", slow.join(", "), LAST.as_secs());
        }
        Ok(())
    }
}

/// An address of this machine that nobody uses now.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    listener.local_addr().context("there is no free port")
}

async fn figures(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

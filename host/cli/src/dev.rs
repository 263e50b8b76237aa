//! `plimsoll dev`: a local cluster to try Plimsoll with. No Kubernetes needed.

mod objects;
mod replicas;
mod story;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use plimsoll_apiserver::world::{World, WorldConfig, live};
use plimsoll_apiserver::{ApiServer, Options, User, WallClock};
use tokio::time::{Instant, MissedTickBehavior, interval};

use replicas::Replicas;
use story::Story;

/// The namespace of the controller's own objects.
const NAMESPACE: &str = "plimsoll-system";
/// The token by which simulated nodes ask for their first certificates.
const BOOTSTRAP: &str = "dev-bootstrap";
/// How often the story looks for something new.
const LOOK: Duration = Duration::from_millis(100);

/// What to try.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Objects to begin with, YAML or JSON; by default a small web shop with more pods than it has room for.
    #[arg(long, num_args = 1.., value_name = "PATH")]
    cluster: Vec<PathBuf>,
    /// The configuration; by default one that goes with the web shop.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A folder of policies (`*.wasm`) to ask before the configured ones.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Replicas of `plimsoll run`.
    #[arg(long, default_value_t = 2, value_name = "COUNT")]
    replicas: u16,
    /// The port of the API server on this machine; 0 takes a free one.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    port: u16,
    /// End as soon as nothing happens any more, and fail if that takes longer than --timeout.
    #[arg(long)]
    once: bool,
    /// For --once, in seconds.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    timeout: u64,
    /// Stop the leader once, as soon as it has launched something: the other replica goes on.
    #[arg(long)]
    kill_leader: bool,
}

/// Runs the local cluster until it is interrupted, or with `--once` until everything that can run does.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime does not start")?;
    runtime.block_on(play(arguments))
}

async fn play(arguments: &Arguments) -> Result<ExitCode> {
    let bootstrap = User {
        name: "system:bootstrap:dev".to_owned(),
        groups: vec!["system:bootstrappers".to_owned(), "system:authenticated".to_owned()],
        ..User::default()
    };
    let server = ApiServer::start(Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port)),
        tokens: vec![(BOOTSTRAP.to_owned(), bootstrap)],
        ..Options::default()
    })
    .await
    .context("the local API server does not start; is the port taken?")?;
    objects::load(server.store(), &arguments.cluster)?;
    let world = World::new(WorldConfig::default()).context("the local world does not start")?;
    let store = server.store().clone();
    tokio::spawn(async move { live(&world, &store, &WallClock).await });

    let folder = tempfile::tempdir().context("there is no room for temporary files")?;
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, server.kubeconfig(None)).context("the kubeconfig cannot be written")?;
    let config = match &arguments.config {
        Some(path) => path.clone(),
        None => {
            let path = folder.path().join("plimsoll.yaml");
            std::fs::write(&path, objects::CONFIG).context("the configuration cannot be written")?;
            path
        }
    };
    let mut replicas =
        Replicas::start(arguments.replicas, &server.url(), &config, arguments.policies.as_ref(), folder.path())?;
    println!("A local cluster is at {}. In another terminal:\n", server.url());
    println!("  export KUBECONFIG={}", kubeconfig.display());
    println!("  kubectl get nodes,pods,csr -A");
    println!("  kubectl get events -A --sort-by=.metadata.creationTimestamp");
    replicas.addresses().for_each(|(name, address)| println!("  curl {address}/metrics    # {name}"));
    println!("  tail -f {}/*.log\n", folder.path().display());

    let mut story = Story::new(server.store().clone());
    let begin = Instant::now();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut end = std::pin::pin!(tokio::signal::ctrl_c());
    let mut kill = arguments.kill_leader;
    let (mut evening, mut shrinks) = (false, false);
    let outcome = loop {
        tokio::select! {
            _ = looks.tick() => {},
            _ = &mut end => break ExitCode::SUCCESS,
        }
        story.tell();
        if let Some(problem) = replicas.problem() {
            eprintln!("error: {problem}");
            break ExitCode::FAILURE;
        }
        if kill
            && story.launched()
            && let Some(leader) = story.leader()
            && replicas.kill(&leader)
        {
            kill = false;
            story.say(&format!("{leader} is killed"));
        }
        if !evening && !kill && story.is_over() {
            evening = true;
            // Of a cluster of somebody's own nothing is known: it is left as it is.
            shrinks = arguments.cluster.is_empty() && objects::evening(server.store());
            if shrinks {
                story.say("in the evening four replicas of web are enough: nodes are drained that nobody needs");
            }
        }
        if arguments.once && evening && (!shrinks || story.has_shrunk()) {
            break ExitCode::SUCCESS;
        }
        if arguments.once && begin.elapsed() > Duration::from_secs(arguments.timeout) {
            eprintln!("error: after {} s there is still something to do", arguments.timeout);
            break ExitCode::FAILURE;
        }
    };
    story.sum_up();
    replicas.sum_up().await;
    let ended = replicas.stop().await;
    server.stop().await;
    ended?;
    Ok(outcome)
}

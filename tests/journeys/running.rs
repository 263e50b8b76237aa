//! `plimsoll run` and `plimsoll dev`: from pending pods to nodes, whatever happens on the way.

pub mod cluster;
mod confined;
mod endpoint;
#[cfg(feature = "otel")]
mod traces;

use std::process::{Command, Stdio};

use cluster::{Cluster, NAMESPACE, SIMULATED, config, page};
use plimsoll_apiserver::{Fault, Rule};

use crate::support::plimsoll;

/// The README's command.
#[test]
fn a_local_cluster_shows_nodes_pods_certificates_events_and_figures() {
    let output =
        Command::new(plimsoll()).args(["dev", "--once", "--kill-leader"]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for part in [
        "plimsoll-1",
        " leads",
        "is killed",
        "LaunchPlanned  Pod web-",
        "NodeLaunched  ConfigMap plimsoll-dev-status",
        ": approved",
        "NodeJoined  Node ",
        "NoInstanceFits  Pod too-large",
        "19 of 20 pods have a node",
        "plimsoll_csr_verdicts_total{signer=\"client\",verdict=\"approve\"}",
        "plimsoll_pending_pods{reason=\"NoInstanceFits\"} 1",
    ] {
        assert!(said.contains(part), "\"{part}\" is not in\n{said}");
    }
    let leaders = said.lines().filter(|line| line.ends_with(" leads")).count();
    assert!(leaders >= 2, "nobody took over:\n{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_get_nodes_and_it_is_said_why() {
    let cluster = Cluster::start(&config(SIMULATED)).await;
    cluster.pods(6, "900m");
    let mut first = cluster.replica("a");
    cluster.until("six pods run", &[&first], |cluster| cluster.running() == (6, 6)).await;
    assert_eq!(cluster.nodes().len(), 3, "two pods to a node");
    cluster
        .until("the status says so", &[&first], |cluster| {
            let status = cluster.status("t");
            status["groups"]["general"]["joined"] == 3
                && status["pending"].as_object().is_some_and(|map| map.is_empty())
        })
        .await;
    let status = cluster.status("t");
    assert_eq!((status["leads"].as_bool(), status["mode"].as_str()), (Some(true), Some("act")), "{status:#}");
    assert_eq!(status["provider"]["kind"], "simulated", "{status:#}");
    assert!(status["decisions"]["scale-up"]["id"].as_str().is_some_and(|id| id.starts_with('u')), "{status:#}");
    for reason in ["LaunchPlanned", "NodeLaunched", "NodeJoined"] {
        assert!(cluster.event_reasons().iter().any(|known| known == reason), "{reason}: {:?}", cluster.event_reasons());
    }
    let address = first.address().unwrap();
    assert_eq!(page(&address, "/readyz").0, 200);
    assert_eq!(page(&address, "/livez").0, 200);
    assert_eq!(first.end(), Some(0), "{}", first.log());
    assert_eq!(cluster.leader(), "", "the lease is released");
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_changes_nothing_but_lease_and_status() {
    let cluster = Cluster::start(&config(&format!("mode: observe\ncsr: {{enabled: true}}\n{SIMULATED}"))).await;
    cluster.pods(2, "900m");
    let first = cluster.replica("a");
    cluster
        .until("the plan is in the status", &[&first], |cluster| {
            let outcome = &cluster.status("t")["decisions"]["scale-up"]["outcome"];
            outcome.as_str().is_some_and(|text| text.contains("1 nodes would be launched"))
        })
        .await;
    let effects = cluster.effects("plimsoll-a");
    assert!(effects.iter().all(|logged| logged.resource == "configmaps"), "{effects:?}");
    let kept = cluster.server.store().list("configmaps", NAMESPACE);
    let names: Vec<&str> = kept.iter().filter_map(|map| map["metadata"]["name"].as_str()).collect();
    assert_eq!(names, ["plimsoll-t-status"]);
    assert!(cluster.nodes().is_empty() && cluster.event_reasons().is_empty());
}

/// Wherever the leader is killed, the other replica ends with the same nodes.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_at_any_step_loses_nothing_and_doubles_nothing() {
    let mut steps = 0;
    for step in 0..30 {
        let cluster = Cluster::start(&config(SIMULATED)).await;
        let mut first = cluster.replica("a");
        cluster.until("the first leads", &[&first], |cluster| cluster.leader().starts_with("a_")).await;
        // Every second time answers take their time, so that it dies waiting for one.
        if step % 2 == 1 {
            let rule = Rule::on("*", "configmaps").by("plimsoll-a");
            cluster.server.faults().add(rule, Fault::Latency(std::time::Duration::from_millis(30)));
        }
        let second = cluster.replica("b");
        cluster.pods(6, "900m");
        let target = step;
        let done = |cluster: &Cluster| cluster.running() == (6, 6);
        cluster
            .until("a step or the end", &[&first, &second], |cluster| {
                cluster.effects("plimsoll-a").len() > target || done(cluster)
            })
            .await;
        let over = cluster.effects("plimsoll-a").len() <= target;
        first.kill();
        cluster.until("six pods run", &[&first, &second], done).await;
        // Whatever may still be launched is launched by now: a plan has been made since.
        cluster
            .until("the other has planned", &[&second], |cluster| {
                let status = cluster.status("t");
                status["replica"].as_str().is_some_and(|replica| replica.starts_with("b_"))
                    && status["groups"]["general"]["launching"] == 0
            })
            .await;
        assert_eq!(cluster.nodes().len(), 3, "killed at step {step}:\n{}\n---\n{}", first.log(), second.log());
        steps = step;
        if over {
            break;
        }
    }
    assert!(steps >= 5, "only {steps} steps were tried");
}

/// What is not written down is not called, and not forgotten either.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_written_at_first_delays_and_loses_nothing() {
    let cluster = Cluster::start(&config(SIMULATED)).await;
    let failing = Rule::on("create", "configmaps").by("plimsoll-a").times(3);
    cluster.server.faults().add(failing, Fault::Status { code: 500, retry_after: None });
    cluster.pods(2, "900m");
    let first = cluster.replica("a");
    cluster.until("pods run", &[&first], |cluster| cluster.running() == (2, 2)).await;
    assert_eq!(cluster.nodes().len(), 1);
    assert!(first.log().contains("launches are not written down"), "{}", first.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_wrong_is_named_and_changes_nothing() {
    let cluster = Cluster::start(&config(SIMULATED)).await;
    let first = cluster.replica("a");
    cluster.until("it leads", &[&first], |cluster| cluster.leader().starts_with("a_")).await;
    std::fs::write(&cluster.config, format!("{}\nnodeGroop: []\n", config(SIMULATED))).unwrap();
    cluster
        .until("the line is named", &[&first], |_| {
            first.log().contains("did you mean \"nodeGroups\"")
                && first.log().contains("the configuration of before goes on")
        })
        .await;
    cluster.pods(2, "900m");
    cluster.until("pods run all the same", &[&first], |cluster| cluster.running() == (2, 2)).await;
    // A larger group takes effect without a restart.
    std::fs::write(&cluster.config, config(SIMULATED).replace("max: 10", "max: 1")).unwrap();
    cluster.until("it is taken over", &[&first], |cluster| cluster.status("t")["groups"]["general"]["max"] == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_permission_the_rest_works() {
    for (verb, group, resource, feature) in [
        ("create", "events.k8s.io", "events", "events"),
        ("update", "certificates.k8s.io", "certificatesigningrequests/approval", "csr-approval"),
        ("list", "policy", "poddisruptionbudgets", "watch"),
    ] {
        let cluster = Cluster::start(&config(&format!("csr: {{enabled: true}}\n{SIMULATED}"))).await;
        cluster.server.deny("plimsoll-a", verb, group, resource);
        cluster.pods(2, "900m");
        let first = cluster.replica("a");
        cluster.until("pods run", &[&first], |cluster| cluster.running() == (2, 2)).await;
        cluster
            .until("the status names it", &[&first], |cluster| {
                let state = cluster.status("t")["features"][feature].as_str().unwrap_or_default().to_owned();
                state.contains(&format!("{verb} {}", resource))
            })
            .await;
        let log = first.log();
        assert!(log.contains(resource), "{resource} is not named in\n{log}");
    }
    // What is written down before a launch cannot be: nothing is launched, and it is said.
    let cluster = Cluster::start(&config(SIMULATED)).await;
    cluster.server.deny("plimsoll-a", "create", "", "configmaps");
    cluster.pods(2, "900m");
    let first = cluster.replica("a");
    cluster.until("it says so", &[&first], |_| first.log().contains("launches cannot be written down")).await;
    assert!(cluster.nodes().is_empty());
}

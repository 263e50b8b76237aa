//! One decision through a policy, a fresh instance included, against the same decision by the same function in
//! plain Rust. Both must give the same answer.
//!
//! `cargo bench -p plimsoll-policy --bench decision`

#![allow(clippy::unwrap_used, clippy::panic, reason = "a decision that fails must end the bench")]

#[path = "../tests/guest/mod.rs"]
mod guest;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use drain_least_disruption::LeastDisruption;
use plimsoll_model::{Lifecycle, Snapshot};
use plimsoll_planner::drain::{Candidate, Cause, NodeChoice, NodesQuestion, NodesVerdict};
use plimsoll_planner::scale_up::{Choice, ScaleUpQuestion, ScaleUpVerdict};
use plimsoll_policy::{Limits, Program};
use plimsoll_sdk::{Context, Drain, ScaleUp, drain, scale_up};
use scale_up_least_cost::LeastCost;

const ROUNDS: usize = 3000;

fn main() {
    let snapshot = Arc::new(Snapshot::default());
    println!("instances: {:?}", guest::SANDBOX.allocation());

    let pass = guest::ScaleUp::default().load();
    let empty = guest::question(0);
    let floor = median(|| pass.choose(&snapshot, &empty).result);
    println!("a fresh instance that passes           {floor:>9.1} µs");

    let question = guest::question(100);
    let policy = load(plimsoll_builtin::SCALE_UP_LEAST_COST.wasm);
    let request = scale_up_request(&question);
    let native = || scale_up_verdict(LeastCost::choose(&Default::default(), black_box(&request)));
    let sandboxed = || policy.choose(&snapshot, &question).result.unwrap().unwrap();
    assert_eq!(sandboxed(), native());
    report("scale-up, 100 options", median(native), median(sandboxed));
    let asked = median(|| pass.choose(&snapshot, &question).result);
    println!("    of that, handing over the question  {:>9.1} µs", asked - floor);

    let question = guest::nodes_question(1000);
    let policy = load(plimsoll_builtin::DRAIN_LEAST_DISRUPTION.wasm);
    let request = nodes_request(&question);
    let native = || nodes_verdict(LeastDisruption::order_nodes(&Default::default(), black_box(&request)));
    let sandboxed = || policy.order_nodes(&snapshot, &question).result.unwrap().unwrap();
    assert_eq!(sandboxed(), native());
    report("drain, 1,000 candidates", median(native), median(sandboxed));
    let pass = guest::pass_drain();
    assert_eq!(pass.order_nodes(&snapshot, &question).result, Ok(None));
    let asked = median(|| pass.order_nodes(&snapshot, &question).result);
    println!("    of that, handing over the question  {:>9.1} µs", asked - floor);
}

fn load(wasm: &[u8]) -> Program {
    guest::SANDBOX.load(wasm, "{}", Limits::default()).unwrap()
}

fn report(name: &str, native: f64, sandboxed: f64) {
    println!("{name}");
    println!("    plain function                      {native:>9.1} µs");
    println!("    policy, fresh instance              {sandboxed:>9.1} µs");
    println!("    difference                          {:>9.1} µs", sandboxed - native);
}

/// The median time of a call, in microseconds.
fn median<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            black_box(call());
            begin.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

fn context(now: plimsoll_model::Timestamp, seed: u64) -> Context {
    Context { now_ms: now.0, seed, settings: "{}".into() }
}

fn lifecycle(lifecycle: Lifecycle) -> plimsoll_sdk::Lifecycle {
    match lifecycle {
        Lifecycle::OnDemand => plimsoll_sdk::Lifecycle::OnDemand,
        Lifecycle::Spot => plimsoll_sdk::Lifecycle::Spot,
    }
}

fn scale_up_request(question: &ScaleUpQuestion) -> scale_up::Request {
    let shapes = (0..).zip(&question.shapes).map(|(id, shape)| scale_up::PodShape {
        id,
        pods: shape.pods,
        example: shape.example.map_or(u32::MAX, |pod| pod.0),
        namespace: shape.namespace.to_string(),
        milli_cpu: shape.cpu.0,
        memory_bytes: shape.memory.0,
        gpus: shape.gpus,
        priority: shape.priority,
        lifecycle: shape.lifecycle.map(lifecycle),
        waiting_ms: shape.waiting.map(|waiting| waiting.0),
        deadline_ms: shape.deadline.map(|at| at.0),
        headroom: shape.headroom,
    });
    let options = (0..).zip(&question.options).map(|(id, option)| scale_up::LaunchOption {
        id,
        group: option.group.to_string(),
        instance_type: option.instance_type.to_string(),
        zone: option.zone.to_string(),
        lifecycle: lifecycle(option.lifecycle),
        price: option.price.map(|price| price.0),
        nodes: option.nodes,
        max_nodes: option.max_nodes,
        places: option
            .places
            .iter()
            .map(|place| scale_up::Placement { shape: place.shape, pods: place.pods })
            .collect(),
        wasted_milli_cpu: option.wasted_cpu.0,
        wasted_memory_bytes: option.wasted_memory.0,
        node_milli_cpu: option.node_cpu.0,
        node_memory_bytes: option.node_memory.0,
        node_gpus: option.node_gpus,
        zone_nodes: option.zone_nodes,
        free_ips: option.free_ips,
        preference: None,
    });
    scale_up::Request {
        context: context(question.now, question.seed),
        round: question.round,
        shapes: shapes.collect(),
        options: options.collect(),
        remaining: scale_up::Limits {
            nodes: question.remaining.nodes,
            milli_cpu: question.remaining.cpu.0,
            memory_bytes: question.remaining.memory.0,
        },
    }
}

fn scale_up_verdict(verdict: scale_up::Verdict) -> ScaleUpVerdict {
    let choice =
        |launch: scale_up::Launch| Choice { option: launch.option_id, count: launch.count, reason: launch.reason };
    match verdict {
        scale_up::Verdict::Launch(launches) => ScaleUpVerdict::Launch(launches.into_iter().map(choice).collect()),
        scale_up::Verdict::Hold(reason) => ScaleUpVerdict::Hold(reason),
        scale_up::Verdict::Pass => panic!("the built-in policy has an opinion"),
    }
}

fn nodes_request(question: &NodesQuestion) -> drain::NodesRequest {
    drain::NodesRequest {
        context: context(question.now, question.seed),
        candidates: question.candidates.iter().map(candidate).collect(),
        max_drains: question.max_drains,
    }
}

fn candidate(candidate: &Candidate) -> drain::Candidate {
    drain::Candidate {
        node: candidate.node.0,
        name: candidate.name.to_string(),
        group: candidate.group.as_ref().map(|group| group.to_string()),
        zone: candidate.zone.as_ref().map(|zone| zone.to_string()),
        lifecycle: candidate.lifecycle.map(lifecycle),
        cause: match candidate.cause {
            Cause::Empty => drain::Cause::Empty,
            Cause::Underutilized => drain::Cause::Underutilized,
            Cause::Interruption => drain::Cause::Interruption,
            Cause::Unhealthy => drain::Cause::Unhealthy,
            Cause::Requested => drain::Cause::Requested,
        },
        pods: candidate.pods,
        critical_pods: candidate.critical_pods,
        single_replicas: candidate.single_replicas,
        highest_priority: candidate.highest_priority,
        longest_warmup_ms: candidate.longest_warmup.map(|warmup| warmup.0),
        cpu_permille: candidate.cpu_permille,
        memory_permille: candidate.memory_permille,
        savings: candidate.savings.map(|savings| savings.0),
        age_ms: candidate.age.map(|age| age.0),
        deadline_ms: None,
    }
}

fn nodes_verdict(verdict: drain::NodesVerdict) -> NodesVerdict {
    let choices = |choices: Vec<drain::NodeChoice>| {
        choices.into_iter().map(|choice| NodeChoice { node: choice.node, reason: choice.reason }).collect()
    };
    match verdict {
        drain::NodesVerdict::Order(order) => {
            NodesVerdict::Order { drain: choices(order.drain), keep: choices(order.keep) }
        }
        drain::NodesVerdict::Hold(reason) => NodesVerdict::Hold(reason),
        drain::NodesVerdict::Pass => panic!("the built-in policy has an opinion"),
    }
}

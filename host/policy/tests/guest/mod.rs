//! Policies written in WebAssembly text, the questions they are asked, and the one good policy.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "what does not fit together here is a broken test")]

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use plimsoll_model::{Bytes, Lifecycle, MilliCpu, Millis, PodId, Price, Snapshot, Timestamp};
use plimsoll_planner::csr::{CsrQuestion, KubeletSigner, Requester};
use plimsoll_planner::drain::{Candidate, Cause, DrainPod, NodesQuestion, PodsQuestion};
use plimsoll_planner::scale_up::{
    Choice, LaunchOption, Placement, Remaining, ScaleUpQuestion, ScaleUpVerdict, ShapeDemand,
};
use plimsoll_policy::{Limits, Program, Run, Sandbox};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// One sandbox for all tests of a binary, so that what one breaks another sees.
pub static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new().unwrap());

/// A policy that launches `round + 1` of the last option.
pub static GOOD: LazyLock<Program> = LazyLock::new(|| {
    let choose = r#"
        (i32.store8 (i32.const 16) (i32.const 2))
        (i32.store (i32.const 20) (i32.const 32))
        (i32.store (i32.const 24) (i32.const 1))
        (i32.store (i32.const 32) (i32.sub (local.get $options-len) (i32.const 1)))
        (i32.store (i32.const 36) (i32.add (local.get $round) (i32.const 1)))
        (i32.store (i32.const 40) (i32.const 64))
        (i32.store (i32.const 44) (i32.const 8))
        (i32.const 16)"#;
    let wasm = ScaleUp { choose, items: r#"(data (i32.const 64) "the last")"#, ..ScaleUp::default() }.wasm();
    SANDBOX.load(&wasm, "{}", Limits::default()).unwrap()
});

/// A scale-up policy. What is not given is harmless.
pub struct ScaleUp<'a> {
    /// Declarations of WIT that its world imports beside the contract, such as `import wasi:clocks/wall-clock@0.2.0;`.
    pub world: &'a str,
    /// Core imports.
    pub imports: &'a str,
    /// The limits of the memory.
    pub memory: &'a str,
    /// The body of `cabi_realloc`, with `$size` and `$align`.
    pub realloc: &'a str,
    /// Anything else in the module.
    pub items: &'a str,
    /// The body of `choose`, with `$round`, `$shapes-len`, `$options`, `$options-len`; gives the address of a verdict.
    pub choose: &'a str,
}

impl Default for ScaleUp<'_> {
    fn default() -> Self {
        ScaleUp { world: "", imports: "", memory: "2", realloc: BUMP, items: "", choose: "(i32.const 8)" }
    }
}

impl ScaleUp<'_> {
    /// The module, with its component type.
    pub fn wasm(&self) -> Vec<u8> {
        let Self { imports, memory, realloc, items, choose, .. } = self;
        let text = format!(
            r#"(module
                {imports}
                (memory (export "memory") {memory})
                (global $next (mut i32) (i32.const 65536))
                (func $realloc (export "cabi_realloc")
                    (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
                    {realloc})
                {items}
                (func $choose (export "plimsoll:policy/scale-up@0.1.0#choose")
                    (param $now i64) (param $seed i64) (param $settings i32) (param $settings-len i32)
                    (param $round i32) (param $shapes i32) (param $shapes-len i32)
                    (param $options i32) (param $options-len i32)
                    (param $nodes i32) (param $cpu i64) (param $memory i64) (result i32)
                    (local $at i32)
                    {choose}))"#
        );
        let world = format!("include plimsoll:policy/scale-up-policy@0.1.0; {}", self.world);
        typed(&text, &contract(), &world)
    }

    /// Loads it with the default limits.
    pub fn load(&self) -> Program {
        SANDBOX.load(&self.wasm(), "{}", Limits::default()).unwrap()
    }
}

/// Hands out memory from 64 KiB on and never takes any back.
const BUMP: &str = r#"
    (local $start i32)
    (local.set $start
        (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                 (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $start) (local.get $size)))
    (block $fits
        (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
        (drop (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1)))))
    (local.get $start)"#;

/// A drain policy without an opinion.
pub fn pass_drain() -> Program {
    let text = format!(
        r#"(module
            (memory (export "memory") 2)
            (global $next (mut i32) (i32.const 65536))
            (func (export "cabi_realloc")
                (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
                {BUMP})
            (func (export "plimsoll:policy/drain@0.1.0#order-nodes")
                (param i64 i64 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
            (func (export "plimsoll:policy/drain@0.1.0#order-pods") (param i32) (result i32) (i32.const 8)))"#
    );
    let wasm = typed(&text, &contract(), "include plimsoll:policy/drain-policy@0.1.0;");
    SANDBOX.load(&wasm, "{}", Limits::default()).unwrap()
}

/// The contract as one text.
pub fn contract() -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let package = "package plimsoll:policy@0.1.0;";
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap().replace(package, ""));
    let text: String = texts.collect();
    format!("{package}\n{}", text.replace("///", "//"))
}

/// A module from text, with the type of a world of these declarations.
pub fn typed(text: &str, contract: &str, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_str("contract.wit", contract).unwrap();
    resolve.push_str("wasi.wit", include_str!("wasi.wit")).unwrap();
    let package = format!("package test:guest; world guest {{ {world} }}");
    let package = resolve.push_str("guest.wit", &package).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let mut wasm = wat::parse_str(text).unwrap();
    embed_component_metadata(&mut wasm, &resolve, world, StringEncoding::UTF8).unwrap();
    wasm
}

/// Asks a small scale-up question about an empty cluster.
pub fn ask(program: &Program) -> Run<ScaleUpVerdict> {
    program.choose(&Arc::new(Snapshot::default()), &question(3))
}

/// What the good policy answers to [`question`].
pub fn good_answer() -> ScaleUpVerdict {
    launch(2, 5, "the last")
}

/// A verdict of one choice.
pub fn launch(option: u32, count: u32, reason: &str) -> ScaleUpVerdict {
    ScaleUpVerdict::Launch(vec![Choice { option, count, reason: reason.into() }])
}

/// A question of this many options, in round 4.
pub fn question(options: u32) -> ScaleUpQuestion {
    ScaleUpQuestion {
        now: Timestamp(1_700_000_000_123),
        seed: 42,
        round: 4,
        shapes: vec![ShapeDemand {
            pods: 7,
            example: Some(PodId(0)),
            namespace: "shop".into(),
            cpu: MilliCpu(500),
            memory: Bytes(1 << 30),
            gpus: 0,
            priority: 0,
            lifecycle: None,
            waiting: Some(Millis(9000)),
            deadline: None,
            headroom: false,
        }],
        options: (0..options).map(option).collect(),
        remaining: Remaining { nodes: 100, cpu: MilliCpu(1_000_000), memory: Bytes(1 << 40) },
    }
}

/// One of many options, each with another price.
pub fn option(at: u32) -> LaunchOption {
    LaunchOption {
        group: format!("workers-{}", at % 7).as_str().into(),
        instance_type: format!("m{}.xlarge", at).as_str().into(),
        zone: format!("eu-west-1{}", char::from(b'a' + u8::try_from(at % 3).unwrap())).as_str().into(),
        lifecycle: if at.is_multiple_of(2) { Lifecycle::OnDemand } else { Lifecycle::Spot },
        price: Some(Price(100_000 + u64::from(at) * 37 % 101 * 1000)),
        nodes: 1 + at % 4,
        max_nodes: 20,
        places: vec![Placement { shape: 0, pods: 1 + at % 7 }],
        wasted_cpu: MilliCpu(500),
        wasted_memory: Bytes(1 << 30),
        node_cpu: MilliCpu(4000),
        node_memory: Bytes(16 << 30),
        node_gpus: 0,
        zone_nodes: at % 5,
        free_ips: None,
        preference: None,
    }
}

/// A question about this many nodes.
pub fn nodes_question(candidates: u32) -> NodesQuestion {
    let candidates = (0..candidates).map(candidate).collect();
    NodesQuestion { now: Timestamp(1_700_000_000_123), seed: 42, candidates, max_drains: 3 }
}

/// One of many candidates.
pub fn candidate(at: u32) -> Candidate {
    Candidate {
        node: plimsoll_model::NodeId(at),
        name: format!("node-{at:04}").as_str().into(),
        group: Some(format!("workers-{}", at % 7).as_str().into()),
        zone: Some(format!("eu-west-1{}", char::from(b'a' + u8::try_from(at % 3).unwrap())).as_str().into()),
        lifecycle: Some(Lifecycle::Spot),
        cause: if at.is_multiple_of(5) { Cause::Empty } else { Cause::Underutilized },
        pods: at % 5,
        critical_pods: 0,
        single_replicas: at % 2,
        highest_priority: Some(0),
        longest_warmup: None,
        cpu_permille: at % 1000,
        memory_permille: at * 7 % 1000,
        savings: Some(Price(u64::from(at) * 31 % 997 * 1000)),
        age: Some(Millis(86_400_000)),
        deadline: None,
    }
}

/// A question about the pods of node 5.
pub fn pods_question() -> PodsQuestion {
    let pod = |at: u32| DrainPod {
        pod: PodId(at),
        namespace: "shop".into(),
        name: format!("web-{at}").into(),
        priority: 0,
        critical: false,
        daemon_set: false,
        single_replica: false,
        replicas: Some(3),
        disruptions_allowed: None,
        volumes: Default::default(),
        grace: Millis(30_000),
        warmup: None,
    };
    PodsQuestion {
        now: Timestamp(1_700_000_000_123),
        seed: 42,
        node: candidate(5),
        pods: (10..13).map(pod).collect(),
        spacing: Millis(1000),
        timeout: Millis(600_000),
    }
}

/// A question about the certificate of `node-7`.
pub fn csr_question() -> CsrQuestion {
    CsrQuestion {
        now: Timestamp(1_700_000_000_123),
        seed: 42,
        name: "csr-1".into(),
        signer: KubeletSigner::Serving,
        node_name: "node-7".into(),
        requester: Requester::SameNode,
        username: "system:node:node-7".into(),
        groups: vec!["system:nodes".into()],
        dns_names: vec!["node-7.local".into()],
        ip_addresses: vec!["10.0.0.7".into()],
        expiration_seconds: None,
        age: Some(Millis(1000)),
        machine: None,
        node: None,
        problems: vec![],
    }
}

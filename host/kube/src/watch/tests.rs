//! A mirror before an API server that does what API servers do, and beside what that one really holds.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_model::{Cluster, Phase, Scheduling};
use proptest::prelude::*;
use serde_json::json;
use tokio::time::Instant;

use super::course::{End, Request};
use super::feed::Order;
use super::mirror::Mirror;
use super::watched::Watched;
use crate::{Answer, ApiError};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// Places of parts in a mirror of nodes, pods and namespaces.
const NODES: usize = 0;
const PODS: usize = 1;
const NAMESPACES: usize = 2;

/// Names with their content.
type World = BTreeMap<&'static str, u32>;

/// An API server with namespaces, whose content is a label.
struct Server {
    /// The world after each version; version 1 is empty.
    history: Vec<World>,
    /// Older changes are forgotten.
    oldest: usize,
    streaming: bool,
}

/// An answer that is being sent.
struct Answering {
    lines: Vec<u8>,
    /// For a watch: the version up to which changes have been written.
    sent: Option<usize>,
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, u32),
    Delete(usize),
    /// Forgets all but the last so many changes.
    Compact(usize),
    Streaming(bool),
    /// The mirror's request is answered, from an older state if that may be.
    Answer {
        behind: usize,
    },
    /// So many bytes of the answer arrive.
    Arrive(usize),
    Bookmark,
    /// An ERROR event of this code.
    Error(u16),
    Cut,
    Close,
    Refuse(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0..NAMES.len();
    let step = prop_oneof![
        6 => (name.clone(), 0u32..3).prop_map(|(name, content)| Step::Put(name, content)),
        4 => name.prop_map(Step::Delete),
        1 => (0usize..4).prop_map(Step::Compact),
        1 => any::<bool>().prop_map(Step::Streaming),
        4 => (0usize..4).prop_map(|behind| Step::Answer { behind }),
        8 => prop_oneof![1usize..80, Just(10_000)].prop_map(Step::Arrive),
        2 => Just(Step::Bookmark),
        1 => prop_oneof![Just(410u16), Just(500)].prop_map(Step::Error),
        2 => Just(Step::Cut),
        1 => Just(Step::Close),
        1 => prop_oneof![Just(410u16), Just(422), Just(500), Just(429), Just(401), Just(403), Just(404), Just(0)].prop_map(Step::Refuse),
    ];
    prop::collection::vec(step, 1..150)
}

// === impl Server ===

impl Server {
    fn new() -> Self {
        Self { history: vec![World::new(), World::new()], oldest: 1, streaming: true }
    }

    fn version(&self) -> usize {
        self.history.len() - 1
    }

    fn change(&mut self, change: impl FnOnce(&mut World)) {
        let mut next = self.history[self.version()].clone();
        change(&mut next);
        if next != self.history[self.version()] {
            self.history.push(next);
        }
    }

    /// The change that made a version.
    fn event(&self, version: usize) -> String {
        let (before, after) = (&self.history[version - 1], &self.history[version]);
        let changed = NAMES.into_iter().find(|name| before.get(name) != after.get(name)).expect("a change");
        let kind = match (before.get(changed), after.get(changed)) {
            (None, _) => "ADDED",
            (_, None) => "DELETED",
            _ => "MODIFIED",
        };
        let content = after.get(changed).or(before.get(changed)).expect("content");
        line(kind, changed, *content, version)
    }

    fn answer(&self, request: &Request, behind: usize) -> Result<Answering, u16> {
        let now = self.version();
        match request {
            Request::Stream if !self.streaming => Err(422),
            Request::Stream => {
                // In the order of names; versions are those of the objects, which say nothing of the list.
                let world = &self.history[now];
                let mut lines: String =
                    world.iter().map(|(name, content)| line("ADDED", name, *content, now)).collect();
                lines.push_str(&bookmark(now, true));
                Ok(Answering { lines: lines.into(), sent: Some(now) })
            }
            Request::Page { token, cached, whole } => {
                let (version, from) = match token.split_once(' ') {
                    Some((version, from)) => (version.parse().expect("a version"), from.parse().expect("a place")),
                    None if *cached => (now.saturating_sub(behind).max(self.oldest), 0),
                    None => (now, 0),
                };
                if version < self.oldest {
                    return Err(410);
                }
                let world = &self.history[version];
                let page = if *whole { world.len() } else { 2 };
                let object = |(name, content): (&&str, &u32)| object(name, *content, version);
                let items: Vec<_> = world.iter().skip(from).take(page).map(object).collect();
                let next =
                    if from + items.len() < world.len() { format!("{version} {}", from + page) } else { String::new() };
                let list = json!({"kind": "List", "items": items, "metadata": {"resourceVersion": version.to_string(), "continue": next}});
                Ok(Answering { lines: list.to_string().into(), sent: None })
            }
            Request::Watch { since } => {
                let since: usize = since.parse().expect("a version");
                if since < self.oldest {
                    return Ok(Answering { lines: error(410).into(), sent: None });
                }
                Ok(Answering { lines: Vec::new(), sent: Some(since) })
            }
        }
    }

    /// Writes what has changed meanwhile.
    fn go_on(&self, answering: &mut Answering) {
        if let Some(sent) = answering.sent {
            for version in sent + 1..=self.version() {
                answering.lines.extend(self.event(version).bytes());
            }
            answering.sent = Some(self.version());
        }
    }
}

fn object(name: &str, content: u32, version: usize) -> serde_json::Value {
    json!({"metadata": {"name": name, "resourceVersion": version.to_string(), "labels": {"content": content.to_string()}}})
}

fn line(kind: &str, name: &str, content: u32, version: usize) -> String {
    let object = object(name, content, version);
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

fn bookmark(version: usize, listed: bool) -> String {
    let annotations = if listed { json!({"k8s.io/initial-events-end": "true"}) } else { json!({}) };
    let object = json!({"metadata": {"resourceVersion": version.to_string(), "annotations": annotations}});
    format!("{{\"type\":\"BOOKMARK\",\"object\":{object}}}\n")
}

fn error(code: u16) -> String {
    format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", json!({"kind": "Status", "code": code}))
}

/// A mirror of namespaces and what is required.
struct Trial {
    server: Server,
    mirror: Mirror,
    order: Order,
    answering: Option<Answering>,
}

impl Trial {
    fn new() -> Self {
        let mut mirror = Mirror::new(&[Watched::Namespaces]);
        let order = mirror.begin().remove(NAMESPACES);
        Self { server: Server::new(), mirror, order, answering: None }
    }

    fn end(&mut self, end: End) {
        self.answering = None;
        self.order = self.mirror.ended(NAMESPACES, end, 0);
    }

    fn arrive(&mut self, count: usize) {
        let Some(answering) = &mut self.answering else { return };
        self.server.go_on(answering);
        let bytes: Vec<u8> = answering.lines.drain(..count.min(answering.lines.len())).collect();
        self.mirror.bytes(NAMESPACES, &bytes, Instant::now());
        let over = answering.sent.is_none() && answering.lines.is_empty();
        if over || self.order.stop.is_cancelled() {
            self.end(End::Closed { lasted: Duration::ZERO });
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put(name, content) => self.server.change(|world| _ = world.insert(NAMES[name], content)),
            Step::Delete(name) => self.server.change(|world| _ = world.remove(NAMES[name])),
            Step::Compact(kept) => {
                let oldest = self.server.version().saturating_sub(kept);
                self.server.oldest = self.server.oldest.max(oldest);
            }
            Step::Streaming(streaming) => self.server.streaming = streaming,
            Step::Answer { behind } => {
                if self.answering.is_none() {
                    match self.server.answer(&self.order.request, behind) {
                        Ok(answering) => {
                            self.mirror.opened(NAMESPACES);
                            self.answering = Some(answering);
                        }
                        Err(code) => self.step(Step::Refuse(code)),
                    }
                }
            }
            Step::Arrive(count) => self.arrive(count),
            Step::Bookmark => {
                if let Some(answering) = &mut self.answering {
                    self.server.go_on(answering);
                    if let Some(sent) = answering.sent {
                        answering.lines.extend(bookmark(sent, false).bytes());
                    }
                }
            }
            Step::Error(code) => {
                if let Some(answering) = &mut self.answering
                    && answering.sent.take().is_some()
                {
                    answering.lines.extend(error(code).bytes());
                }
            }
            Step::Cut => {
                if self.answering.is_some() {
                    self.end(End::Lost { lasted: Duration::ZERO, why: "reset".into() });
                }
            }
            Step::Close => {
                // A watch may be closed whenever the server likes; a page is closed after its end.
                if self.answering.as_ref().is_some_and(|answering| answering.sent.is_some()) {
                    self.end(End::Closed { lasted: Duration::from_secs(300) });
                }
            }
            Step::Refuse(code) => {
                if self.answering.is_none() {
                    self.end(End::Refused(match code {
                        0 => ApiError::Unreachable("refused".into()),
                        404 => ApiError::NotServed { resource: "namespaces".into() },
                        code => ApiError::of_answer(Answer { code, ..Answer::default() }),
                    }));
                }
            }
        }
    }

    /// What the mirror shows.
    fn shown(&mut self) -> BTreeMap<String, u32> {
        let snapshot = self.mirror.snapshot_for_test();
        let content = |labels: &plimsoll_model::LabelSet| labels.get("content").and_then(|text| text.parse().ok());
        snapshot.namespaces().map(|(name, labels)| (name.to_string(), content(labels).expect("content"))).collect()
    }

    /// What the server held at the version that the mirror has come to; `None` while it lists.
    fn expected(&self) -> Option<BTreeMap<String, u32>> {
        let Request::Watch { since } = self.mirror.feeds()[NAMESPACES].request_for_test() else { return None };
        let world = &self.server.history[since.parse::<usize>().expect("a version")];
        Some(world.iter().map(|(name, content)| ((*name).to_owned(), *content)).collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Whatever is cut, refused, compacted or listed anew: whenever the mirror says that it knows all up to a version,
    /// it holds exactly what the server held then; and once nothing goes wrong any more, it catches up.
    #[test]
    fn nothing_is_lost_and_nothing_invented(steps in steps()) {
        let mut trial = Trial::new();
        for step in steps {
            trial.step(step);
            if let Some(expected) = trial.expected() {
                prop_assert_eq!(trial.shown(), expected);
            }
        }
        for _ in 0..100 {
            trial.step(Step::Answer { behind: 0 });
            trial.step(Step::Arrive(usize::MAX));
        }
        let last: BTreeMap<String, u32> =
            trial.server.history[trial.server.version()].iter().map(|(name, content)| ((*name).to_owned(), *content)).collect();
        prop_assert_eq!(trial.expected(), Some(last.clone()));
        prop_assert_eq!(trial.shown(), last);
        prop_assert!(trial.mirror.status().parts[NAMESPACES].synced);
    }
}

fn send(mirror: &mut Mirror, part: usize, lines: &[String]) {
    mirror.bytes(part, lines.concat().as_bytes(), Instant::now());
}

fn event(kind: &str, object: &serde_json::Value) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

fn pod(name: &str, version: &str) -> serde_json::Value {
    json!({"metadata": {"name": name, "namespace": "shop", "uid": "u", "resourceVersion": version},
        "spec": {"containers": []}, "status": {"phase": "Pending"}})
}

fn node(name: &str, beat: u32) -> serde_json::Value {
    json!({"metadata": {"name": name, "uid": "u", "resourceVersion": beat.to_string()}, "status": {
        "capacity": {"cpu": "1"},
        "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": format!("2026-11-20T10:00:{beat:02}Z")}]}})
}

#[test]
fn a_cluster_is_shown_once_all_of_it_is_known() {
    let mut mirror = Mirror::new(&[Watched::Namespaces]);
    mirror.begin();
    send(&mut mirror, PODS, &[event("ADDED", &pod("web", "4")), bookmark(5, true)]);
    send(&mut mirror, NAMESPACES, &[bookmark(5, true)]);
    assert!(mirror.view().is_none());
    assert!(!mirror.unknown().knows(Watched::Nodes) && mirror.unknown().knows(Watched::Pods));
    send(&mut mirror, NODES, &[bookmark(5, true)]);
    let view = mirror.view().expect("all is known");
    assert_eq!(view.snapshot.pod_count(), 1);
    // What is not watched is not known.
    assert!(view.unknown.knows(Watched::Namespaces) && !view.unknown.knows_disruption());

    // Pods have to be listed again: until then nothing is shown. What follows the end of a watch is none of it.
    send(&mut mirror, PODS, &[error(410), event("ADDED", &pod("late", "8"))]);
    assert_eq!(mirror.status().part(Watched::Pods).map(|part| part.objects), Some(1));
    mirror.ended(PODS, End::Closed { lasted: Duration::ZERO }, 0);
    assert!(mirror.view().is_none());
    send(&mut mirror, PODS, &[bookmark(9, true)]);
    let view = mirror.view().expect("all is known");
    assert_eq!(view.snapshot.pod_count(), 0, "it was deleted while nobody looked");
    assert_eq!(mirror.status().part(Watched::Pods).map(|part| part.relists), Some(1));

    // An optional part that nobody may read keeps nothing up, and is not known.
    let mut mirror = Mirror::new(&[Watched::Namespaces]);
    mirror.begin();
    send(&mut mirror, PODS, &[bookmark(5, true)]);
    send(&mut mirror, NODES, &[bookmark(5, true)]);
    assert!(mirror.view().is_none());
    mirror.ended(NAMESPACES, End::Refused(ApiError::Forbidden(Answer::default())), 0);
    assert!(!mirror.view().expect("all that can be known").unknown.knows(Watched::Namespaces));
    // A required one does.
    let before = mirror.revision();
    mirror.ended(PODS, End::Refused(ApiError::Forbidden(Answer::default())), 0);
    assert!(mirror.view().is_none() && mirror.revision() != before);
    mirror.opened(PODS);
    assert!(mirror.view().is_some());
}

#[test]
fn a_watch_goes_on_after_the_last_line_that_made_sense() {
    let mut mirror = Mirror::new(&[]);
    mirror.begin();
    send(&mut mirror, PODS, &[bookmark(5, true), event("ADDED", &pod("a", "6")), bookmark(7, false)]);
    assert_eq!(mirror.feeds()[PODS].request_for_test(), Request::Watch { since: "7".into() });
    send(
        &mut mirror,
        PODS,
        &["{\"type\":\"ADDED\",\"obj\n".into(), event("ADDED", &pod("c", "9")), bookmark(10, false)],
    );
    let order = mirror.ended(PODS, End::Closed { lasted: Duration::ZERO }, 0);
    assert_eq!(order.request, Request::Watch { since: "7".into() });
    send(&mut mirror, PODS, &[event("ADDED", &pod("b", "8")), event("ADDED", &pod("c", "9"))]);
    let part = mirror.status().part(Watched::Pods).cloned().expect("watched");
    assert_eq!((part.objects, part.problem), (3, None));
}

#[test]
fn a_broken_object_keeps_its_row_and_is_doubted() {
    let mut mirror = Mirror::new(&[]);
    mirror.begin();
    send(&mut mirror, NODES, &[bookmark(5, true)]);
    send(&mut mirror, PODS, &[event("ADDED", &pod("web", "4")), bookmark(5, true)]);
    let known = mirror.revision();
    let mut wrong = pod("web", "6");
    wrong["spec"]["priority"] = json!("high");
    let nameless = json!({"metadata": {}});
    send(&mut mirror, PODS, &[event("MODIFIED", &wrong), event("MODIFIED", &wrong), event("ADDED", &nameless)]);
    let view = mirror.view().expect("ready");
    assert_eq!((view.snapshot.pod_count(), view.unknown.broken.clone()), (1, vec![(Watched::Pods, 2)]));
    assert!(!view.unknown.knows(Watched::Pods) && mirror.revision() != known);
    let status = mirror.status();
    let part = status.part(Watched::Pods).expect("watched");
    assert_eq!((part.objects, part.broken), (2, 2));
    assert!(
        part.examples.iter().any(|(name, problem)| name == "shop/web" && problem.starts_with("field spec.priority: ")),
        "{part:?}"
    );
    // Its version counts, so that it is not sent again and again.
    assert_eq!(mirror.feeds()[PODS].request_for_test(), Request::Watch { since: "6".into() });

    send(&mut mirror, PODS, &[event("MODIFIED", &pod("web", "7"))]);
    assert_eq!(mirror.unknown().broken, [(Watched::Pods, 1)]);
    // The one without a name is gone when a list no longer has it.
    send(&mut mirror, PODS, &[error(410)]);
    mirror.ended(PODS, End::Closed { lasted: Duration::ZERO }, 0);
    send(&mut mirror, PODS, &[event("ADDED", &wrong), bookmark(9, true)]);
    assert_eq!(
        (mirror.unknown().broken, mirror.view().expect("ready").snapshot.pod_count()),
        (vec![(Watched::Pods, 1)], 1)
    );
    send(&mut mirror, PODS, &[event("DELETED", &wrong)]);
    assert_eq!((mirror.unknown().broken, mirror.view().expect("ready").snapshot.pod_count()), (vec![], 0));
}

#[test]
fn what_no_decision_uses_is_no_change() {
    let all = Watched::ALL;
    let mut mirror = Mirror::new(&all);
    mirror.begin();
    for part in 0..all.len() {
        send(&mut mirror, part, &[bookmark(1, true)]);
    }
    let meta = |name: &str, version: u32| json!({"name": name, "namespace": "shop", "uid": "u", "resourceVersion": version.to_string()});
    let objects: Vec<(Watched, serde_json::Value)> = all
        .into_iter()
        .map(|watched| {
            let object = match watched {
                Watched::Nodes => node("n", 0),
                Watched::Pods => pod("web", "0"),
                Watched::Budgets => {
                    json!({"metadata": meta("x", 0), "spec": {"selector": {"matchLabels": {"a": "b"}}}})
                }
                Watched::Claims => json!({"metadata": meta("x", 0), "spec": {}}),
                Watched::Volumes => json!({"metadata": meta("x", 0), "spec": {"capacity": {"storage": "1Gi"}}}),
                Watched::StorageClasses => json!({"metadata": meta("x", 0), "provisioner": "p"}),
                Watched::CsiNodes => json!({"metadata": meta("x", 0), "spec": {"drivers": [{"name": "d"}]}}),
                Watched::DaemonSets => {
                    json!({"metadata": meta("x", 0), "spec": {"template": {"spec": {"containers": []}}}})
                }
                Watched::PriorityClasses => json!({"metadata": meta("x", 0), "value": 7}),
                Watched::SigningRequests => json!({"metadata": meta("x", 0), "spec": {"request": "YQ=="}}),
                _ => json!({"metadata": meta("x", 0), "spec": {"replicas": 2}}),
            };
            (watched, object)
        })
        .collect();
    for (part, (_, object)) in objects.iter().enumerate() {
        send(&mut mirror, part, &[event("ADDED", object)]);
    }
    let before = mirror.revision();
    for (part, (watched, object)) in objects.iter().enumerate() {
        let mut beat = object.clone();
        beat["metadata"]["resourceVersion"] = json!("9");
        beat["metadata"]["managedFields"] = json!([{"manager": "kubelet", "time": "2026-11-20T10:00:00Z"}]);
        beat["status"]["lastChecked"] = json!("2026-11-20T10:00:00Z");
        send(&mut mirror, part, &[event("MODIFIED", &beat), bookmark(10, false)]);
        assert_eq!(mirror.revision(), before, "{watched:?}");
    }
    send(&mut mirror, NODES, &[event("MODIFIED", &node("n", 9))]);
    assert_eq!(mirror.revision(), before, "a heartbeat");
    let snapshot = mirror.view().expect("ready").snapshot;
    assert_eq!(
        (snapshot.workloads().count(), snapshot.machines().len(), snapshot.priority_of(Some("x"))),
        (5, 3, Some(7))
    );
    // Everything counts once it is gone.
    for (part, (watched, object)) in objects.iter().enumerate() {
        let before = mirror.revision();
        send(&mut mirror, part, &[event("DELETED", object)]);
        assert_ne!(mirror.revision(), before, "{watched:?}");
    }
    let empty = mirror.view().expect("ready").snapshot;
    let fresh = Cluster::default().snapshot();
    assert_eq!(
        format!("{:?}", (empty.workloads().count(), empty.machines(), empty.budgets())),
        format!("{:?}", (0, fresh.machines(), fresh.budgets()))
    );
    assert_eq!(
        (empty.node_count(), empty.pod_count(), empty.namespaces().count(), empty.claims().count()),
        (0, 0, 0, 0)
    );
}

#[test]
fn rows_are_those_of_dumps() {
    let mut mirror = Mirror::new(&[]);
    mirror.begin();
    let mut waiting = pod("web", "4");
    waiting["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]);
    send(&mut mirror, NODES, &[event("ADDED", &node("n", 1)), bookmark(5, true)]);
    send(&mut mirror, PODS, &[event("ADDED", &waiting), bookmark(5, true)]);
    let snapshot = mirror.view().expect("ready").snapshot;
    let dump = json!({"kind": "List", "items": [
        json!({"kind": "Node", "metadata": node("n", 1)["metadata"], "status": node("n", 1)["status"]}),
        json!({"kind": "Pod", "metadata": waiting["metadata"], "spec": waiting["spec"], "status": waiting["status"]})]});
    let dumped = crate::read_stream("dump", dump.to_string().as_bytes()).expect("a dump").snapshot;
    let rows = |snapshot: &plimsoll_model::Snapshot| {
        let pods: Vec<String> = snapshot.pods().map(|(_, pod)| format!("{pod:?}")).collect();
        let nodes: Vec<String> = snapshot.nodes().map(|(_, node)| format!("{node:?}")).collect();
        (pods, nodes)
    };
    assert_eq!(rows(&snapshot), rows(&dumped));
    let (_, pod) = snapshot.find_pod("shop", "web").expect("the pod");
    assert_eq!((pod.phase, &pod.scheduling), (Phase::Pending, &Scheduling::Unschedulable));
}

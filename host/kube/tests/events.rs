//! Events on the wire.
#![allow(clippy::expect_used, clippy::panic, reason = "whatever is not as expected fails the test")]

mod wire;

use std::time::Duration;

use plimsoll_apiserver::{Fault, Rule};
use plimsoll_kube::{
    Api, EventCounts, EventLimits, EventNote, EventReason, Events, EventsOptions, Feature, FeatureOptions,
    FeatureTable, Features, Leadership, ObjectName, Regarding, Resource, Term, write_events,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wire::{Alone, Wire, unique, until};

fn features(wire: &Wire) -> Features {
    let options = FeatureOptions {
        namespace: wire.namespace.clone(),
        lease: String::new(),
        status: String::new(),
        launches: String::new(),
        configured: [Feature::Events].into(),
    };
    Features::fixed(FeatureTable::assumed(&options))
}

fn writer(api: Api, leadership: &Leadership, features: &Features) -> Events {
    let options = EventsOptions { identity: "replica-0".to_owned(), limits: EventLimits::default() };
    write_events(api, leadership.clone(), features.clone(), options, CancellationToken::new()).0
}

fn about(wire: &Wire, pod: &str, message: &str) -> EventNote {
    EventNote {
        regarding: Regarding::new(&Resource::PODS, wire.name(pod), "0a0a"),
        reason: EventReason::Pending("NoMatchingNodeGroup"),
        message: message.to_owned(),
        decision: "d-1".to_owned(),
    }
}

async fn events(wire: &Wire, namespace: &str) -> Vec<Value> {
    wire.api().await.list(&Resource::EVENTS, namespace, "").await.expect("a list")
}

async fn until_counts(events: &Events, what: impl Fn(&EventCounts) -> bool) {
    until("the counts", async || what(&events.counts())).await;
}

#[tokio::test]
async fn an_event_is_written_and_repetitions_become_its_series() {
    let wire = Wire::start().await;
    let alone = Alone::new();
    let writer = writer(wire.api().await, &alone.leadership, &features(&wire));
    for figure in 1..=5 {
        writer.report(about(&wire, "web-0", &format!("0/{figure} groups")));
    }
    // Not even the other replica's clock makes this one another.
    writer.report(about(&wire, "web-0", "0/5 groups"));
    until_counts(&writer, |counts| counts.repeated == 4).await;
    let expected = EventCounts { created: 1, series: 1, repeated: 4, ..EventCounts::default() };
    assert_eq!(writer.counts(), expected);
    let events = events(&wire, &wire.namespace).await;
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!((&event["reason"], &event["type"]), (&"NoMatchingNodeGroup".into(), &"Warning".into()));
    assert_eq!(event["note"], "0/1 groups");
    assert_eq!(event["regarding"]["name"], "web-0");
    assert_eq!(event["reportingController"], "plimsoll.dev/controller");
    assert_eq!(event["reportingInstance"], "replica-0");
    assert_eq!(event["series"]["count"], 2);
    assert_eq!(event["metadata"]["annotations"]["plimsoll.dev/decision"], "d-1");
}

#[tokio::test]
async fn objects_without_a_namespace_and_with_odd_names_have_events_too() {
    let wire = Wire::start().await;
    let alone = Alone::new();
    let writer = writer(wire.api().await, &alone.leadership, &features(&wire));
    let names = [unique("n"), unique("csr:node"), format!("{}-{}", unique("long"), "x".repeat(200))];
    for name in &names {
        writer.report(EventNote {
            regarding: Regarding::new(&Resource::NODES, ObjectName::of_cluster(name), ""),
            reason: EventReason::NodeJoined,
            message: "ä".repeat(2_000),
            decision: String::new(),
        });
    }
    until_counts(&writer, |counts| counts.created + counts.failed == 3).await;
    assert_eq!(writer.counts().failed, 0);
    let events = events(&wire, "default").await;
    for name in names {
        assert!(events.iter().any(|event| event["regarding"]["name"] == name.as_str()), "{name}");
    }
}

#[tokio::test]
async fn an_event_that_is_gone_is_written_anew() {
    let wire = Wire::start().await;
    let alone = Alone::new();
    let writer = writer(wire.api().await, &alone.leadership, &features(&wire));
    writer.report(about(&wire, "web-0", "1 group"));
    until_counts(&writer, |counts| counts.created == 1).await;
    let api = wire.api().await;
    for event in events(&wire, &wire.namespace).await {
        let name = wire.name(event["metadata"]["name"].as_str().expect("a name"));
        api.delete(&alone.permit(), &Resource::EVENTS, &name, &Default::default()).await.expect("deleted");
    }
    writer.report(about(&wire, "web-0", "2 groups"));
    until_counts(&writer, |counts| counts.created == 2).await;
    assert_eq!(events(&wire, &wire.namespace).await[0]["note"], "2 groups");
}

#[tokio::test]
async fn only_a_leader_that_acts_writes() {
    let wire = Wire::start().await;
    let (setter, leadership) = Leadership::new(false);
    let (observer, observes) = Leadership::new(true);
    observer.lead(Term { number: 0, until: None });
    for leadership in [&leadership, &observes] {
        let writer = writer(wire.api().await, leadership, &features(&wire));
        writer.report(about(&wire, "web-0", "a"));
        until_counts(&writer, |counts| counts.not_allowed == 1).await;
    }
    assert!(events(&wire, &wire.namespace).await.is_empty());
    // What could not be said as a follower is not taken as said.
    let writer = writer(wire.api().await, &leadership, &features(&wire));
    writer.report(about(&wire, "web-0", "a"));
    until_counts(&writer, |counts| counts.not_allowed == 1).await;
    setter.lead(Term { number: 1, until: None });
    writer.report(about(&wire, "web-0", "a"));
    until_counts(&writer, |counts| counts.created == 1).await;
}

#[tokio::test]
async fn without_permission_the_feature_goes_off() {
    let wire = Wire::start().await;
    if let Some(server) = wire.hooks() {
        server.deny("nobody", "create", "events.k8s.io", "events");
    }
    let alone = Alone::new();
    let features = features(&wire);
    let writer = writer(wire.api_as("nobody").await, &alone.leadership, &features);
    writer.report(about(&wire, "web-0", "a"));
    until_counts(&writer, |counts| counts.failed == 1).await;
    assert!(!features.is_on(Feature::Events));
    assert!(features.table().to_string().contains("missing: create events (events.k8s.io)"));
    writer.report(about(&wire, "web-1", "a"));
    until_counts(&writer, |counts| counts.not_allowed == 1).await;
}

#[tokio::test]
async fn reports_never_wait() {
    let wire = Wire::start().await;
    let Some(server) = wire.hooks() else { return };
    server.faults().add(Rule::on("create", "events"), Fault::Latency(Duration::from_secs(60)));
    let alone = Alone::new();
    let writer = writer(wire.api().await, &alone.leadership, &features(&wire));
    for pod in 0..3_000 {
        writer.report(about(&wire, &format!("web-{pod}"), "a"));
    }
    let counts = writer.counts();
    assert!(counts.overflowed >= 1_900 && counts.created == 0, "{counts:?}");
}

#[tokio::test]
async fn a_lost_answer_does_not_make_two_events() {
    let wire = Wire::start().await;
    let Some(server) = wire.hooks() else { return };
    server.faults().add(Rule::on("create", "events").times(1), Fault::DropAfterWrite);
    let alone = Alone::new();
    let writer = writer(wire.api().await, &alone.leadership, &features(&wire));
    writer.report(about(&wire, "web-0", "a"));
    until_counts(&writer, |counts| counts.created + counts.failed == 1).await;
    assert_eq!(writer.counts().failed, 0);
    assert_eq!(events(&wire, &wire.namespace).await.len(), 1);
}

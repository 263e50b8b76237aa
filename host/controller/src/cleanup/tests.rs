//! Node objects whose machines are gone, and those that only look like it.
#![allow(clippy::expect_used, clippy::panic, reason = "whatever is not as expected fails the test")]

use std::sync::Arc;
use std::time::Duration;

use plimsoll_apiserver::{Fault, Options, Rule};
use plimsoll_kube::{Feature, Term};
use plimsoll_model::{ClusterBuilder, LabelSet, Node, Snapshot, well_known};
use plimsoll_providers::{Instance, InstanceState, Inventory, Listing, ProviderError, ProviderGroup};
use tokio::time::Instant;

use super::clean;
use super::departures::{Confirmation, Departures};
use crate::fixture::{Fixture, group};
use crate::{Heard, Settings};

/// An inventory with the machines of these nodes, in the group `g`.
fn inventory(nodes: &[&str]) -> Inventory {
    let instance = |name: &&str| Instance { id: format!("i-{name}").into(), state: InstanceState::Running };
    let group = |id: &str, nodes: &[&str]| ProviderGroup {
        id: id.into(),
        instances: nodes.iter().map(instance).collect(),
        ..ProviderGroup::default()
    };
    Inventory { groups: vec![group("g", nodes)], listing: Listing::ById, ..Inventory::default() }
}

fn node(name: &str, ready: bool) -> Node {
    let labels: LabelSet = [(well_known::NODE_GROUP[0], "g")].into_iter().collect();
    Node {
        name: name.into(),
        uid: plimsoll_model::Uid::parse(name),
        labels: Arc::new(labels),
        ready,
        provider_id: Some(format!("i-{name}").into()),
        ..blank()
    }
}

/// A node with nothing in it.
fn blank() -> Node {
    Node {
        name: "".into(),
        uid: plimsoll_model::Uid::parse(""),
        labels: Arc::default(),
        annotations: Arc::default(),
        taints: Vec::new(),
        unschedulable: false,
        allocatable: Default::default(),
        ready: true,
        created: None,
        deleting: false,
        launching: false,
        addresses: Vec::new(),
        provider_id: None,
        ready_changed: None,
        conditions: Vec::new(),
        attached_volumes: 0,
    }
}

fn snapshot(nodes: Vec<Node>) -> Snapshot {
    let mut builder = ClusterBuilder::default();
    nodes.into_iter().for_each(|node| builder.add_node(node).expect("another node"));
    builder.build()
}

/// What is given after inventories that come every 20 s: by each.
fn given(nodes: Vec<Node>, inventories: &[Inventory]) -> Vec<Vec<String>> {
    let (mut departures, snapshot, begin) = (Departures::default(), snapshot(nodes), Instant::now());
    let rules = Confirmation { after: Duration::from_secs(60), knows_all_groups: true };
    let groups = [group("g"), group("other")];
    let mut all = Vec::new();
    for (turn, inventory) in (0u64..).zip(inventories) {
        let at = begin + Duration::from_secs(20 * turn);
        let departed = departures.hear(inventory, at, &snapshot, &groups, rules);
        all.push(departed.iter().map(|gone| gone.node.to_string()).collect());
    }
    all
}

/// The number of the inventory with which a node is given, counted from 0.
fn when(nodes: Vec<Node>, inventories: &[Inventory]) -> Option<usize> {
    given(nodes, inventories).iter().position(|given| !given.is_empty())
}

#[test]
fn a_machine_is_gone_after_three_inventories_and_a_minute() {
    let (there, gone) = (inventory(&["n1", "n2"]), inventory(&["n2"]));
    let both = || vec![node("n1", false), node("n2", false)];
    let all = [&there, &gone, &gone, &gone, &gone, &gone, &gone, &gone, &gone].map(Clone::clone);
    let expected = [&[][..], &[], &[], &[], &["n1"], &[], &[], &[], &["n1"]];
    assert_eq!(given(both(), &all), expected, "and, if it did not work, again after as long");

    // The time alone, the number alone.
    let (mut departures, at) = (Departures::default(), Instant::now());
    let after = |seconds| Confirmation { after: Duration::from_secs(seconds), knows_all_groups: true };
    let (snapshot, groups) = (snapshot(both()), [group("g")]);
    let mut hear = |inventory: &Inventory, seconds: u64, rules| {
        departures.hear(inventory, at + Duration::from_secs(seconds), &snapshot, &groups, rules).len()
    };
    assert_eq!(hear(&there, 0, after(60)), 0);
    assert_eq!([hear(&gone, 1, after(60)), hear(&gone, 100, after(60))], [0, 0], "two are not enough");
    assert_eq!(hear(&there, 101, after(60)), 0);
    assert_eq!([102, 103, 104, 161].map(|at| hear(&gone, at, after(60))), [0, 0, 0, 0], "less than a minute");
    assert_eq!(hear(&gone, 162, after(60)), 1);
    assert_eq!([163, 164, 165].map(|at| hear(&gone, at, after(0))), [0, 0, 1]);
}

#[test]
fn whatever_leaves_a_doubt_keeps_the_node() {
    let (there, gone) = (inventory(&["n1", "n2"]), inventory(&["n2"]));
    let then = |inventories: Vec<Inventory>| [vec![there.clone()], inventories].concat();
    let nodes = || vec![node("n1", false), node("n2", true)];
    let many = || vec![gone.clone(); 9];
    assert_eq!(when(nodes(), &then(many())), Some(4));

    assert_eq!(when(nodes(), &many()), None, "never listed while this leader ran");
    assert_eq!(when(vec![node("n1", true)], &then(many())), None, "ready");
    let going = Node { deleting: true, ..node("n1", false) };
    assert_eq!(when(vec![going], &then(many())), None, "on its way out");
    let launching = Node { launching: true, ..node("n1", false) };
    assert_eq!(when(vec![launching], &then(many())), None, "not there yet");
    let of = |group: &str| Node {
        labels: Arc::new([(well_known::NODE_GROUP[0], group)].into_iter().collect()),
        ..node("n1", false)
    };
    assert_eq!(when(vec![of("nobody's")], &then(many())), None, "of no group");
    assert_eq!(when(vec![of("other")], &then(many())), None, "of a group that the provider does not know");
    let nameless = Node { provider_id: None, ..node("n1", false) };
    assert_eq!(when(vec![nameless], &then(many())), None, "listed by id, and it has none");

    let empty = vec![inventory(&[]); 9];
    assert_eq!(when(nodes(), &then(empty)), None, "an inventory without a machine");
    let problems = Inventory { problems: vec!["group x cannot be read".to_owned()], ..gone.clone() };
    assert_eq!(when(nodes(), &then(vec![problems.clone(); 9])), None, "something could not be read");
    let partial = Inventory { listing: Listing::Partial, ..gone.clone() };
    assert_eq!(when(nodes(), &then(vec![partial.clone(); 9])), None, "not everything is listed");
    // In a row: each of these begins the count again.
    for (what, between) in
        [("listed", there.clone()), ("empty", inventory(&[])), ("unread", problems), ("partial", partial)]
    {
        let broken = [vec![gone.clone(); 3], vec![between], vec![gone.clone(); 4]].concat();
        assert_eq!(when(nodes(), &then(broken)), Some(8), "{what}");
    }
    // Another object of that name was never listed.
    let mut departures = Departures::default();
    let (at, rules) = (Instant::now(), Confirmation { after: Duration::ZERO, knows_all_groups: true });
    departures.hear(&there, at, &snapshot(nodes()), &[group("g")], rules);
    let again = Node { uid: plimsoll_model::Uid::parse("again"), ..node("n1", false) };
    let again = snapshot(vec![again]);
    for turn in 1..9 {
        let at = at + Duration::from_secs(turn);
        assert_eq!(departures.hear(&gone, at, &again, &[group("g")], rules), []);
    }
}

#[test]
fn a_group_need_not_be_listed_where_providers_do_not_list_groups() {
    let mut departures = Departures::default();
    let begin = Instant::now();
    let rules = Confirmation { after: Duration::ZERO, knows_all_groups: false };
    let mut there = inventory(&["n1", "n2"]);
    there.groups[0].id = "pool".into();
    let mut gone = inventory(&["n2"]);
    gone.groups[0].id = "pool".into();
    let snapshot = snapshot(vec![node("n1", false), node("n2", true)]);
    let mut hear = |inventory: &Inventory| departures.hear(inventory, begin, &snapshot, &[group("g")], rules).len();
    assert_eq!([&there, &gone, &gone, &gone].map(&mut hear), [0, 0, 0, 1]);
}

/// Lets the loop hear an inventory, or a failure, as of so many seconds from now.
async fn hear(fixture: &Fixture, begin: Instant, seconds: u64, answer: Result<Inventory, ProviderError>) {
    fixture.heard.send_modify(|heard| match answer {
        Ok(inventory) => {
            *heard = Heard {
                inventory: Some(Arc::new(inventory)),
                at: Some(begin + Duration::from_secs(seconds)),
                number: heard.number + 1,
                problem: None,
            };
        }
        Err(error) => heard.problem = Some(error),
    });
    // The loop has no say in when it is asked: give it its turn.
    tokio::time::sleep(Duration::from_millis(30)).await;
}

/// A cluster with the node `n1`, which is not ready, and `n2`; the loop runs.
async fn started() -> Fixture {
    let mut fixture = Fixture::start(&[Feature::Watch, Feature::Cleanup, Feature::Events], Options::default()).await;
    fixture.node("n1", "g", false);
    fixture.node("n2", "g", true);
    fixture.shows("two nodes", |snapshot| snapshot.nodes().count() == 2).await;
    tokio::spawn(clean(fixture.parts.clone(), fixture.stop.clone()));
    tokio::time::sleep(Duration::from_millis(30)).await;
    fixture
}

/// The machine of `n1` is listed, and then is not for three minutes.
async fn departs(fixture: &Fixture, begin: Instant) {
    hear(fixture, begin, 0, Ok(inventory(&["n1", "n2"]))).await;
    for seconds in [60, 120, 180] {
        hear(fixture, begin, seconds, Ok(inventory(&["n2"]))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_object_of_a_machine_that_is_gone_is_deleted_and_it_is_said() {
    let fixture = started().await;
    departs(&fixture, Instant::now()).await;
    fixture.until("n1 is gone", |fixture| fixture.server.store().get("nodes", "", "n1").is_none()).await;
    assert_eq!(fixture.deletions(), ["nodes n1: 200"]);
    assert!(fixture.server.store().get("nodes", "", "n2").is_some());
    fixture.until("a figure", |fixture| fixture.says("plimsoll_nodes_cleaned_up_total{group=\"g\"} 1")).await;
    let event = |fixture: &Fixture| fixture.server.store().list("events", "").into_iter().next();
    fixture.until("an Event", |fixture| event(fixture).is_some()).await;
    let event = event(&fixture).expect("just seen");
    assert_eq!((&event["reason"], &event["involvedObject"]["name"]), (&"NodeObjectDeleted".into(), &"n1".into()));
    fixture.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_became_ready_or_another_of_its_name_stays() {
    for (case, ready) in [("ready", true), ("another", false)] {
        let fixture = started().await;
        // The watch hears nothing more: what it shows is old.
        for verb in ["list", "watch"] {
            fixture.server.faults().add(Rule::on(verb, "nodes"), Fault::Status { code: 503, retry_after: None });
        }
        fixture.server.faults().cut_watches("nodes");
        let store = fixture.server.store();
        if case == "another" {
            store.force_delete("nodes", "", "n1");
        }
        fixture.node("n1", "g", ready);
        departs(&fixture, Instant::now()).await;
        fixture
            .until("a look", |fixture| {
                fixture.server.requests().iter().any(|logged| logged.verb == "get" && logged.name == "n1")
            })
            .await;
        fixture.until("the end of it", |fixture| fixture.parts.effects.pending() == 0).await;
        assert_eq!(fixture.deletions(), [""; 0], "{case}");
        fixture.stop.cancel();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_when_it_is_off_or_another_term_began_or_the_provider_failed() {
    for case in ["off", "term", "failure", "resigned"] {
        let fixture = started().await;
        let begin = Instant::now();
        hear(&fixture, begin, 0, Ok(inventory(&["n1", "n2"]))).await;
        for seconds in [60, 120] {
            hear(&fixture, begin, seconds, Ok(inventory(&["n2"]))).await;
        }
        match case {
            "off" => {
                let settings = Settings { cleanup: None, ..(**fixture.settings.borrow()).clone() };
                fixture.settings.send_replace(Arc::new(settings));
            }
            "term" => fixture.leader.lead(Term { number: 2, until: None }),
            "failure" => {
                hear(&fixture, begin, 0, Err(ProviderError::Unreachable("down".to_owned()))).await;
            }
            _ => fixture.leader.resign(),
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        for seconds in [180, 200] {
            hear(&fixture, begin, seconds, Ok(inventory(&["n2"]))).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(fixture.deletions(), [""; 0], "{case}");
        fixture.stop.cancel();
    }
}

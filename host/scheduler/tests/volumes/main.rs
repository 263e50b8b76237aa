//! What volumes say about where a pod may run, rule by rule, through a simulation.

mod case;

use plimsoll_model::{Bytes, NodeId, NodeSelector, NodeSelectorTerm, Operator, Requirement, Text, Volume};
use plimsoll_scheduler::{NodeState, Simulation, VolumeNeeds};

use case::{Case, EBS, ZONE, ZONE_BETA, find, in_zone, labelled, zone_in};

#[test]
fn a_bound_volume_is_used_where_its_node_affinity_holds() {
    let mut case = Case::zones();
    case.pod("p", None, &["data"]).bound("data", |volume| in_zone(volume, "a"));
    assert_eq!(case.verdicts(), ["", &format!("VolumeBinding: a volume can be used only where {ZONE} in (a)")]);
    let mut case = Case::zones();
    case.pod("p", None, &["one", "two"]);
    case.bound("one", |volume| in_zone(volume, "a")).bound("two", |volume| in_zone(volume, "b"));
    assert!(case.verdicts().iter().all(|verdict| verdict.starts_with("VolumeBinding")), "two zones at once");
    let mut case = Case::zones();
    case.pod("p", None, &["one", "two"]);
    case.bound("one", |volume| in_zone(volume, "a")).bound("two", |volume| in_zone(volume, "a"));
    assert_eq!(case.verdicts()[1].matches("VolumeBinding").count(), 1, "what two volumes need is said once");
    let mut case = Case::zones();
    case.pod("p", None, &["data"]).bound("data", |volume| volume.node_affinity = Some(NodeSelector::default()));
    assert!(case.verdicts().iter().all(|verdict| verdict.starts_with("VolumeBinding")), "no term, no node");
}

#[test]
fn labels_of_a_bound_volume_bind_it_to_zones() {
    let zone = |key: &'static str, value: &'static str, labels: &[(&str, &str)]| {
        let mut case = Case::default();
        case.node("n", labels).pod("p", None, &["data"]).bound("data", |volume| labelled(volume, key, value));
        case.verdicts().remove(0)
    };
    for (key, value, labels, fits) in [
        (ZONE, "a", &[(ZONE, "a")][..], true),
        (ZONE, "a", &[(ZONE, "b")], false),
        (ZONE, "b__ a", &[(ZONE, "a")], true),
        (ZONE, "b__c", &[(ZONE, "a")], false),
        (ZONE_BETA, "a", &[(ZONE, "a")], true),
        (ZONE_BETA, "a", &[(ZONE, "b")], false),
        (ZONE_BETA, "a", &[(ZONE_BETA, "a"), (ZONE, "b")], true),
        // A node with some label of a place, but not this one.
        ("topology.kubernetes.io/region", "r", &[(ZONE, "a")], false),
        // A node without any is of a cluster of one zone.
        (ZONE, "a", &[("other", "b")], true),
        // A label that cannot be read says nothing.
        (ZONE, "a__", &[(ZONE, "b")], true),
    ] {
        let verdict = zone(key, value, labels);
        assert_eq!(verdict.is_empty(), fits, "{key}={value} on {labels:?}: {verdict}");
        assert!(fits || verdict == format!("VolumeZone: a volume is in {key} {}", value.replace("__", " or ")));
    }
}

#[test]
fn claims_that_no_node_helps() {
    let everywhere = |case: &mut Case| {
        let mut verdicts = case.verdicts();
        verdicts.dedup();
        assert_eq!(verdicts.len(), 1, "{verdicts:?}");
        verdicts.remove(0)
    };
    let mut case = Case::zones();
    case.pod("p", None, &["data"]).claim("other", |_| {});
    assert_eq!(everywhere(&mut case), "VolumeBinding: claim data is not found");

    let mut case = Case::zones();
    case.pod("p", None, &["data"]).bound("data", |_| {}).claim("data", |claim| {
        claim.volume = Some("pv-data".into());
        claim.deleting = true;
    });
    assert_eq!(everywhere(&mut case), "VolumeBinding: claim data is being deleted");

    let mut case = Case::zones();
    case.pod("p", None, &["data"]).claim("data", |claim| claim.volume = Some("gone".into())).volume("other", |_| {});
    assert_eq!(everywhere(&mut case), "VolumeBinding: claim data is bound to volume gone, which does not exist");

    let unbound = "VolumeBinding: claim data is not bound: the pod has unbound immediate PersistentVolumeClaims";
    let mut case = Case::zones();
    case.pod("p", None, &["data"]).claim("data", |claim| claim.class = Some("".into()));
    assert_eq!(everywhere(&mut case), unbound, "no class is wanted, whether or not classes are known");
    for class in [None, Some(""), Some("slow"), Some("missing")] {
        let mut case = Case::zones();
        case.pod("p", None, &["data"]).claim("data", |claim| claim.class = class.map(Text::from));
        case.class("slow", |class| class.waits_for_consumer = false).class("fast", |_| {});
        assert_eq!(everywhere(&mut case), unbound, "class {class:?}");
    }
}

#[test]
fn what_the_snapshot_lacks_is_not_held_against_a_pod() {
    let fits = |case: &mut Case, known: bool| {
        let snapshot = std::mem::take(&mut case.cluster).build();
        let needs = VolumeNeeds::of(&snapshot, find(&snapshot, "p")).unwrap();
        assert_eq!(needs.known(), known);
        let (id, _) = snapshot.nodes().next().unwrap();
        assert_eq!(needs.why_not(&NodeState::empty(&snapshot, id)), []);
    };
    let mut case = Case::zones();
    fits(case.pod("p", None, &["data"]), false);
    let mut case = Case::zones();
    fits(case.pod("p", None, &["data"]).claim("data", |claim| claim.volume = Some("pv".into())), false);
    let mut case = Case::zones();
    fits(case.pod("p", None, &["data"]).claim("data", |claim| claim.class = Some("fast".into())), false);
    let mut case = Case::zones();
    fits(case.pod("p", None, &["data"]).bound("data", |_| {}), true);
}

#[test]
fn volumes_are_made_where_the_class_allows() {
    for (named, default, fits) in [(Some("fast"), false, true), (None, true, true), (None, false, false)] {
        let mut case = Case::zones();
        case.pod("p", None, &["data"]).claim("data", |claim| claim.class = named.map(Text::from));
        case.class("fast", |class| {
            class.allowed_topologies = vec![zone_in(&["c"]), zone_in(&["a"])];
            class.default = default;
        });
        let verdicts = case.verdicts();
        assert_eq!(verdicts[0].is_empty(), fits, "{named:?}: {}", verdicts[0]);
        if fits {
            let reason = "VolumeBinding: storage class fast makes no volumes here, and no free one is within reach";
            assert_eq!(verdicts[1], reason);
        }
    }
    let mut case = Case::zones();
    case.pod("p", None, &["data"]).claim("data", |claim| claim.class = Some("fast".into())).class("fast", |_| {});
    assert_eq!(case.verdicts(), ["", ""], "no topologies, anywhere");
    // A free volume serves where none would be made.
    let mut case = Case::zones();
    case.pod("p", None, &["data"]).claim("data", |claim| claim.class = Some("fast".into()));
    case.class("fast", |class| class.allowed_topologies = vec![zone_in(&["a"])]).volume("free", |volume| {
        volume.class = "fast".into();
        volume.available = true;
    });
    assert_eq!(case.verdicts(), ["", ""]);
}

#[test]
fn a_class_without_provisioner_needs_a_free_volume_within_reach() {
    let none = "VolumeBinding: no free volume of storage class local is large enough and within reach";
    let local = |change: fn(&mut Volume)| {
        let mut case = Case::zones();
        case.pod("p", None, &["data"]).claim("data", |claim| claim.class = Some("local".into()));
        case.class("local", |class| class.provisioner = "kubernetes.io/no-provisioner".into());
        case.volume("free", |volume| {
            volume.class = "local".into();
            volume.available = true;
            in_zone(volume, "a");
            change(volume);
        });
        case.verdicts()
    };
    assert_eq!(local(|_| {}), ["", none]);
    assert_eq!(local(|volume| volume.node_affinity = None), ["", ""]);
    assert_eq!(local(|volume| volume.capacity = Bytes(9)), [none, none]);
    assert_eq!(local(|volume| volume.available = false), [none, none]);
    assert_eq!(local(|volume| volume.class = "other".into()), [none, none]);
    // The label by which the volume is found is not all that it asks for.
    assert_eq!(
        local(|volume| {
            let mut term = zone_in(&["a"]);
            let fast = Requirement { key: "disk".into(), operator: Operator::Exists, values: vec![] };
            term.match_expressions.push(fast);
            volume.node_affinity = Some(NodeSelector { terms: vec![term] });
        }),
        [none, none]
    );
    // Reached by a term that names no label's value.
    assert_eq!(
        local(|volume| {
            let any = Requirement { key: ZONE.into(), operator: Operator::Exists, values: vec![] };
            let any = NodeSelectorTerm { match_expressions: vec![any], match_fields: vec![] };
            volume.node_affinity = Some(NodeSelector { terms: vec![zone_in(&["x"]), any] });
        }),
        ["", ""]
    );
}

#[test]
fn one_free_volume_serves_one_claim() {
    let mut case = Case::zones();
    case.class("local", |class| class.provisioner = "".into());
    for (name, size) in [("small", 10), ("medium", 20), ("large", 30)] {
        case.volume(name, |volume| {
            (volume.class, volume.capacity, volume.available) = ("local".into(), Bytes(size), true);
            // Within reach in two ways.
            let both = vec![zone_in(&["a", "x"]), zone_in(&["b", "a"])];
            volume.node_affinity = Some(NodeSelector { terms: both });
        });
    }
    for (claim, request) in [("one", 10), ("two", 20), ("three", 25)] {
        case.claim(claim, |claim| (claim.class, claim.request) = (Some("local".into()), Bytes(request)));
    }
    case.pod("p", None, &["one"]).pod("q", None, &["two", "three"]).pod("r", None, &["one", "two", "three"]);
    let snapshot = std::mem::take(&mut case.cluster).build();
    let mut simulation = Simulation::new(&snapshot);
    let [p, q, r] = ["p", "q", "r"].map(|name| simulation.class_of(&snapshot, find(&snapshot, name)));
    simulation.prepare(&[p, q, r]);
    let a = NodeId(0);
    assert_eq!([p, q, r].map(|class| simulation.room_for(class, a, 10)), [3, 1, 1]);
    simulation.add(p, a, 1);
    assert_eq!([p, q, r].map(|class| simulation.room_for(class, a, 10)), [2, 1, 0], "the smallest is taken");
    simulation.add(q, a, 1);
    assert_eq!([p, q, r].map(|class| simulation.room_for(class, a, 10)), [0, 0, 0]);
}

#[test]
fn a_claim_for_one_pod_is_not_shared() {
    for (one_pod, other_node, fits) in [(true, Some("b"), false), (true, None, true), (false, Some("b"), true)] {
        let mut case = Case::zones();
        case.pod("p", None, &["data"]).pod("other", other_node, &["data"]).bound("data", |_| {});
        case.claim("data", |claim| (claim.volume, claim.one_pod) = (Some("pv-data".into()), one_pod));
        let expected =
            if fits { "" } else { "VolumeRestrictions: claim data is ReadWriteOncePod, and another pod uses it" };
        assert_eq!(case.verdicts(), [expected, expected]);
    }
    // It does not stand in its own way when it moves.
    let mut case = Case::zones();
    case.pod("p", Some("a"), &["data"]).bound("data", |_| {});
    case.claim("data", |claim| (claim.volume, claim.one_pod) = (Some("pv-data".into()), true));
    assert_eq!(case.verdicts(), ["", ""]);
}

fn ebs(volume: &mut Volume) {
    volume.driver = Some(EBS.into());
}

#[test]
fn a_node_attaches_so_many_volumes_and_no_more() {
    // p mounts a volume of its own and one that a running pod mounts too.
    let on = |node: &str| {
        let mut case = Case::zones();
        case.limit("a", 3).limit("b", 3);
        case.pod("p", None, &["own", "shared"]).bound("own", ebs).bound("shared", ebs);
        case.pod("q", Some(node), &["q1", "q2"]).bound("q1", ebs).bound("q2", ebs);
        case.pod("r", Some("b"), &["shared"]).pod("s", Some("b"), &["shared", "other"]);
        case.bound("other", |volume| volume.driver = Some("other".into()));
        case.verdicts()
    };
    let many = |attached: u32, more: u32| {
        format!("NodeVolumeLimits: {EBS}: {attached} volumes are attached, {more} more would exceed 3")
    };
    assert_eq!(on("a"), [many(2, 2), String::new()], "shared is there on b");
    assert_eq!(on("b"), [String::new(), many(3, 1)]);

    // A claim that waits counts for the provisioner of its class, under its old name too; other drivers do not.
    for (provisioner, fits) in [(EBS, false), ("kubernetes.io/aws-ebs", false), ("other", true)] {
        let mut case = Case::zones();
        case.limit("a", 1).class("fast", |class| class.provisioner = provisioner.into());
        case.pod("p", None, &["new"]).claim("new", |claim| claim.class = Some("fast".into()));
        case.pod("q", Some("a"), &["q1"]).bound("q1", ebs);
        assert_eq!(case.verdicts()[0].is_empty(), fits, "{provisioner}");
    }
    // Two claims for one volume attach it once.
    let mut case = Case::zones();
    case.limit("a", 1).pod("p", None, &["one", "two"]).pod("q", None, &["one", "two"]);
    for claim in ["one", "two"] {
        case.bound(claim, |volume| (volume.driver, volume.handle) = (Some(EBS.into()), "fs".into()));
    }
    assert_eq!(case.verdicts()[0], "");
    // What is over its limit takes pods that attach nothing of that driver.
    let mut case = Case::zones();
    case.limit("a", 0).pod("p", None, &["nfs"]).bound("nfs", |_| {}).pod("q", Some("a"), &["q1"]).bound("q1", ebs);
    assert_eq!(case.verdicts(), ["", ""]);
}

#[test]
fn pods_with_claims_of_their_own_are_one_class() {
    let mut case = Case::zones();
    case.limit("a", 7);
    for at in 0..20 {
        let claims = [format!("data-{at}"), format!("log-{at}")];
        for claim in &claims {
            case.bound(claim, |volume| (ebs(volume), in_zone(volume, "a")).0);
        }
        case.pod(&format!("web-{at}"), None, &claims.each_ref().map(String::as_str));
    }
    case.bound("all", ebs);
    case.pod("x", None, &["all"]).pod("y", None, &["all"]);
    let snapshot = std::mem::take(&mut case.cluster).build();
    let mut simulation = Simulation::new(&snapshot);
    let mut classes: Vec<_> = snapshot.pods().map(|(_, pod)| simulation.class_of(&snapshot, pod)).collect();
    classes.dedup();
    assert_eq!(classes.len(), 2, "web and the two that share a volume");
    let (web, sharing) = (classes[0], classes[1]);
    simulation.prepare(&classes);
    let [a, b] = [NodeId(0), NodeId(1)];
    assert_eq!(simulation.room_for(web, a, 100), 3, "two volumes each, seven in all");
    assert_eq!(simulation.room_for(web, b, 100), 0);
    assert_eq!(simulation.room_for(sharing, a, 100), 100, "one volume for all of them");
    simulation.add(web, a, 3);
    assert_eq!(simulation.room_for(sharing, a, 100), 100);
    simulation.add(sharing, a, 1);
    simulation.remove(web, a, 1);
    assert_eq!(simulation.room_for(web, a, 100), 1);
    simulation.remove(sharing, a, 1);
    assert_eq!(simulation.room_for(web, a, 100), 1);
    simulation.remove(web, a, 1);
    assert_eq!(simulation.room_for(web, a, 100), 2);
}

#[test]
fn blame_names_the_claim() {
    let mut case = Case::zones();
    case.pod("p", None, &["far", "near"]).bound("near", |volume| in_zone(volume, "a"));
    case.bound("far", |volume| in_zone(volume, "b"));
    let snapshot = std::mem::take(&mut case.cluster).build();
    let blamed = |id| {
        let blamed = VolumeNeeds::blame(&snapshot, find(&snapshot, "p"), &NodeState::empty(&snapshot, id));
        blamed.into_iter().map(|(claim, _)| claim.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((blamed(NodeId(0)), blamed(NodeId(1))), (vec!["far".to_owned()], vec!["near".to_owned()]));
}

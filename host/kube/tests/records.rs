//! Texts in ConfigMaps, and other autoscalers, on the wire.

mod wire;

use plimsoll_apiserver::{Fault, Rule};
use plimsoll_kube::{
    LONGEST_RECORD, OwnName, Record, RecordError, RecordVersion, Resource, RivalKind, Stored, gather_rival_facts,
    rivals,
};
use serde_json::json;
use wire::{Alone, Wire};

#[tokio::test]
async fn a_text_is_written_only_over_what_was_read() {
    let wire = Wire::start().await;
    let (api, alone) = (wire.api().await, Alone::new());
    let permit = alone.permit();
    let record = Record::new(&wire.namespace, "plimsoll-launches", "launches.json");
    let absent = record.read(&api).await.expect("read");
    assert_eq!(absent, Stored { text: None, version: RecordVersion::Absent });
    let first = record.write(&api, &permit, "one", &absent.version).await.expect("written");
    let outdated = Err(RecordError::Outdated(wire.name("plimsoll-launches")));
    assert_eq!(record.write(&api, &permit, "two", &absent.version).await, outdated, "somebody created it");
    let second = record.write(&api, &permit, "two", &first).await.expect("written");
    assert_eq!(record.write(&api, &permit, "three", &first).await, outdated, "somebody changed it");
    let read = record.read(&api).await.expect("read");
    assert_eq!(read, Stored { text: Some("two".to_owned()), version: second.clone() });
    // Another key of the same ConfigMap.
    let other = Record { key: "other".to_owned(), ..record.clone() };
    assert_eq!(other.read(&api).await.expect("read"), Stored { text: None, version: second.clone() });
    let third = other.write(&api, &permit, "", &second).await.expect("written");
    assert_eq!(record.read(&api).await.expect("read"), Stored { text: Some("two".to_owned()), version: third.clone() });
    let object = api.get(&Resource::CONFIG_MAPS, &record.object).await.expect("is there");
    assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/managed-by"], "plimsoll");
    assert_eq!(object["data"], json!({"launches.json": "two", "other": ""}));
    // Deleted under us: to be read again, not made again with less in it.
    api.delete(&permit, &Resource::CONFIG_MAPS, &record.object, &Default::default()).await.expect("deleted");
    assert_eq!(record.write(&api, &permit, "four", &third).await, outdated);
    assert_eq!(record.read(&api).await.expect("read").version, RecordVersion::Absent);
}

#[tokio::test]
async fn a_text_has_a_longest_length_and_that_fits() {
    let wire = Wire::start().await;
    let (api, alone) = (wire.api().await, Alone::new());
    let record = Record::new(&wire.namespace, "plimsoll-status", "status");
    let longest = "\"".repeat(LONGEST_RECORD);
    let version = record.write(&api, &alone.permit(), &longest, &RecordVersion::Absent).await.expect("fits");
    let longer = record.write(&api, &alone.permit(), &format!("{longest}x"), &version).await.expect_err("does not fit");
    let expected = format!("921601 bytes do not fit into the ConfigMap {}: at most 921600 do", record.object);
    assert_eq!(longer.to_string(), expected);
    assert_eq!(record.read(&api).await.expect("read").text.map(|text| text.len()), Some(LONGEST_RECORD));
}

#[tokio::test]
async fn where_there_is_no_namespace_it_is_not_somebody_elses_fault() {
    let wire = Wire::start().await;
    let record = Record::new(&wire::unique("nowhere"), "plimsoll-status", "status");
    let wrong = record.write(&wire.api().await, &Alone::new().permit(), "x", &RecordVersion::Absent).await;
    assert!(matches!(wrong, Err(RecordError::Api { .. })), "{wrong:?}");
}

#[tokio::test]
async fn a_lost_answer_is_said_to_be_unknown_and_can_be_read() {
    let wire = Wire::start().await;
    let Some(server) = wire.hooks() else { return };
    let (api, alone) = (wire.api().await, Alone::new());
    let record = Record::new(&wire.namespace, "plimsoll-launches", "launches.json");
    let version = record.write(&api, &alone.permit(), "one", &RecordVersion::Absent).await.expect("written");
    server.faults().add(Rule::on("patch", "configmaps").times(1), Fault::DropAfterWrite);
    let lost = record.write(&api, &alone.permit(), "two", &version).await.expect_err("no answer");
    assert!(matches!(&lost, RecordError::Api { error, .. } if error.is_outcome_unknown()), "{lost:?}");
    assert_eq!(record.read(&api).await.expect("read").text.as_deref(), Some("two"));
}

#[tokio::test]
async fn other_autoscalers_are_found() {
    let wire = Wire::start().await;
    let (api, alone) = (wire.api().await, Alone::new());
    let labels = json!({"app.kubernetes.io/name": "cluster-autoscaler"});
    let image = "registry.k8s.io/autoscaling/cluster-autoscaler:v1.33.0";
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"namespace": wire.namespace, "name": "ca", "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {
            "containers": [{"name": "ca", "image": image}]}}},
    });
    wire.create(&Resource::DEPLOYMENTS, deployment).await;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"namespace": wire.namespace, "name": "plimsoll-other"}, "spec": {"holderIdentity": "x"},
    });
    let mut lease = wire.create(&Resource::LEASES, lease).await;
    let own = OwnName { namespace: wire.namespace.clone(), lease: "plimsoll".to_owned(), through_karpenter: false };
    let here = format!(" {}/", wire.namespace);
    let kinds = |found: Vec<plimsoll_kube::Rival>| -> Vec<RivalKind> {
        found.into_iter().filter(|rival| rival.sentence.contains(&here)).map(|rival| rival.kind).collect()
    };
    let before = gather_rival_facts(&api).await;
    assert_eq!(before.unread, Vec::<String>::new());
    assert_eq!(kinds(rivals(&before, None, &own)), [RivalKind::ClusterAutoscaler]);
    lease["spec"]["renewTime"] = "2026-01-01T00:00:00.000000Z".into();
    let name = wire.name("plimsoll-other");
    api.replace(&alone.permit(), &Resource::LEASES, &name, None, &lease).await.expect("renewed");
    let after = gather_rival_facts(&api).await;
    let found = kinds(rivals(&after, Some(&before), &own));
    assert_eq!(found, [RivalKind::ClusterAutoscaler, RivalKind::Plimsoll]);
}

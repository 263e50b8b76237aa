//! The replacement of a pod is started while the pod still serves.
//!
//! A ReplicaSet counts the pods that its selector matches, and that has the label `pod-template-hash`; Services do not
//! know this label. A pod that loses it is released by its ReplicaSet, which starts another one, and goes on serving
//! (`pkg/controller/controller_ref_manager.go`).

use plimsoll_model::well_known;
use plimsoll_planner::drain::{PodRef, Warmup, WriteAnswer};
use serde::Deserialize;
use serde_json::{Value, json};

use super::change::{change, entry};
use crate::api::{Api, ObjectName, Permit, Resource};

/// Which drain took a pod out of its ReplicaSet. The rest of the annotation is the planner's.
#[derive(Deserialize)]
struct Head {
    drain: String,
}

/// Takes a pod out of its ReplicaSet, and writes that on it: `annotation`, which holds at least the drain's identity
/// as `drain`. One write; the pod's owner reference is left to the ReplicaSet's controller, which takes it away in the
/// same look in which it starts the replacement.
pub async fn start_replacement(
    api: &Api,
    permit: &Permit,
    pod: &PodRef,
    warmup: &Warmup,
    annotation: &str,
) -> WriteAnswer {
    let name = ObjectName::in_namespace(&pod.namespace, &pod.name);
    let prepare = |object: &Value| take_out(object, warmup, annotation);
    change(api, permit, &Resource::PODS, &name, &pod.uid.to_string(), prepare).await
}

/// The patch that takes a pod out, or why there is nothing to write.
fn take_out(pod: &Value, warmup: &Warmup, annotation: &str) -> Result<Value, WriteAnswer> {
    let otherwise = |sentence: String| Err(WriteAnswer::Otherwise(sentence));
    let hash = entry(pod, "labels", well_known::POD_TEMPLATE_HASH);
    let written = entry(pod, "annotations", well_known::WARMING_UP).map(serde_json::from_str::<Head>);
    match written {
        Some(Ok(head)) if head.drain == *warmup.drain.0 && hash.is_none() => return Err(WriteAnswer::Done),
        Some(Ok(head)) if hash.is_none() => {
            return otherwise(format!("its replacement was started by the drain {}", head.drain));
        }
        _ => {}
    }
    if pod.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null()) {
        return otherwise("it is being deleted".to_owned());
    }
    let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let controller = owners.into_iter().flatten().find(|owner| owner["controller"] == true);
    if !controller.is_some_and(|owner| owner["kind"] == "ReplicaSet" && owner["uid"] == *warmup.replica_set_uid) {
        return otherwise(format!("the ReplicaSet {} does not control it any more", warmup.replica_set));
    }
    if hash != Some(&*warmup.hash) {
        return otherwise(format!("its label {} is not {}", well_known::POD_TEMPLATE_HASH, warmup.hash));
    }
    Ok(json!({"metadata": {
        "labels": {well_known::POD_TEMPLATE_HASH: null},
        "annotations": {well_known::WARMING_UP: annotation},
    }}))
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{Millis, Timestamp};
    use plimsoll_planner::drain::DrainId;

    use super::*;

    const OURS: &str = r#"{"drain":"d1","replicaSet":"web-abc"}"#;

    fn warmup() -> Warmup {
        Warmup {
            drain: DrainId("d1".into()),
            replica_set: "web-abc".into(),
            replica_set_uid: "r1".to_owned(),
            hash: "abc".into(),
            since: Timestamp(0),
            warmup: Millis::from_secs(60),
        }
    }

    fn pod() -> Value {
        json!({"metadata": {
            "labels": {"app": "web", well_known::POD_TEMPLATE_HASH: "abc"},
            "ownerReferences": [{"kind": "Other", "uid": "x"}, {"kind": "ReplicaSet", "uid": "r1", "controller": true}],
        }})
    }

    #[test]
    fn a_pod_of_its_replica_set_loses_one_label() {
        let expected = json!({"metadata": {
            "labels": {well_known::POD_TEMPLATE_HASH: null}, "annotations": {well_known::WARMING_UP: OURS},
        }});
        assert_eq!(take_out(&pod(), &warmup(), OURS), Ok(expected.clone()));
        // Put back by a person, or the leftover of an earlier drain: it is one of the ReplicaSet's again.
        for before in [OURS, r#"{"drain":"d0"}"#, "no JSON"] {
            let mut pod = pod();
            pod["metadata"]["annotations"] = json!({well_known::WARMING_UP: before});
            assert_eq!(take_out(&pod, &warmup(), OURS), Ok(expected.clone()));
        }
    }

    #[test]
    fn what_is_done_is_done_once() {
        let mut pod = pod();
        pod["metadata"]["labels"] = json!({"app": "web"});
        pod["metadata"]["annotations"] = json!({well_known::WARMING_UP: OURS});
        assert_eq!(take_out(&pod, &warmup(), OURS), Err(WriteAnswer::Done));
        pod["metadata"]["deletionTimestamp"] = "2026-11-22T05:05:00Z".into();
        assert_eq!(take_out(&pod, &warmup(), OURS), Err(WriteAnswer::Done));
        pod["metadata"]["annotations"][well_known::WARMING_UP] = r#"{"drain":"d0"}"#.into();
        let Err(WriteAnswer::Otherwise(sentence)) = take_out(&pod, &warmup(), OURS) else { panic!("taken out") };
        assert!(sentence.contains("d0"), "{sentence}");
    }

    #[test]
    fn pods_of_others_are_left_alone() {
        for (pointer, value, said) in [
            ("/metadata/ownerReferences/1/uid", json!("r2"), "does not control"),
            ("/metadata/ownerReferences/1/controller", json!(false), "does not control"),
            ("/metadata/ownerReferences/1/kind", json!("Job"), "does not control"),
            ("/metadata/ownerReferences", json!(null), "does not control"),
            ("/metadata/labels/pod-template-hash", json!("def"), "pod-template-hash"),
            ("/metadata/labels", json!(null), "pod-template-hash"),
        ] {
            let mut pod = pod();
            *pod.pointer_mut(pointer).expect("is there") = value;
            let Err(WriteAnswer::Otherwise(sentence)) = take_out(&pod, &warmup(), OURS) else { panic!("{pointer}") };
            assert!(sentence.contains(said), "{sentence}");
        }
        let mut leaving = pod();
        leaving["metadata"]["deletionTimestamp"] = "2026-11-22T05:05:00Z".into();
        assert_eq!(take_out(&leaving, &warmup(), OURS), Err(WriteAnswer::Otherwise("it is being deleted".to_owned())));
        for garbage in [json!(null), json!([]), json!({"metadata": {"ownerReferences": 7, "labels": []}})] {
            assert!(matches!(take_out(&garbage, &warmup(), OURS), Err(WriteAnswer::Otherwise(_))));
        }
    }
}

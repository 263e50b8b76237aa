//! A dump of many pods as API servers give them, the same every time.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

/// How the dump is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// On one line, as `kubectl get --raw`.
    Raw,
    /// With four blanks a level, as `kubectl get -o json`.
    Pretty,
    /// As `kubectl get -o yaml`, nearly.
    Yaml,
}

impl Form {
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "JSON, raw",
            Self::Pretty => "JSON",
            Self::Yaml => "YAML",
        }
    }
}

/// Writes a list of this many pods.
pub fn write(path: &Path, form: Form, pods: usize) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let (opening, closing) = match form {
        Form::Yaml => ("kind: PodList\napiVersion: v1\nitems:\n", "metadata: {}\n"),
        _ => ("{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[", "]}\n"),
    };
    out.write_all(opening.as_bytes())?;
    for index in 0..pods {
        let pod = pod(index);
        if form == Form::Yaml {
            out.write_all(b"-")?;
            yaml(&mut out, &pod, 1)?;
            continue;
        }
        if index > 0 {
            out.write_all(b",")?;
        }
        if form == Form::Raw {
            serde_json::to_writer(&mut out, &pod)?;
        } else {
            let four = serde_json::ser::PrettyFormatter::with_indent(b"    ");
            let mut serializer = serde_json::Serializer::with_formatter(&mut out, four);
            serde::Serialize::serialize(&pod, &mut serializer)?;
        }
    }
    out.write_all(closing.as_bytes())?;
    out.flush()
}

/// Block style, with every text in quotes.
fn yaml(out: &mut impl Write, value: &Value, level: usize) -> io::Result<()> {
    let indent = "  ".repeat(level);
    match value {
        Value::Object(map) if !map.is_empty() => {
            writeln!(out)?;
            for (key, value) in map {
                write!(out, "{indent}{}:", Value::from(key.as_str()))?;
                yaml(out, value, level + 1)?;
            }
            Ok(())
        }
        Value::Array(list) if !list.is_empty() => {
            writeln!(out)?;
            for value in list {
                write!(out, "{indent}-")?;
                yaml(out, value, level + 1)?;
            }
            Ok(())
        }
        scalar => writeln!(out, " {scalar}"),
    }
}

/// A number that looks random.
fn mixed(index: usize, salt: u64) -> u64 {
    let seed = u64::try_from(index).unwrap_or_default().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt;
    (seed ^ (seed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (seed >> 27)
}

fn uid(index: usize, salt: u64) -> String {
    let (a, b) = (mixed(index, salt), mixed(index, salt ^ 77));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

/// A pod of one of 600 workloads on one of many nodes, about 7 KB.
pub fn pod(index: usize) -> Value {
    let app = index % 600;
    let name = format!("service-{app}-{:09x}-{index:05x}", mixed(app, 1) & 0xf_ffff_ffff);
    let template = format!("{:09x}", mixed(app, 1) & 0xf_ffff_ffff);
    let ip = format!("10.{}.{}.{}", index >> 16 & 255, index >> 8 & 255, index & 255);
    let node = format!("ip-10-0-{}-{}.eu-west-1.compute.internal", index / 30 / 250 % 256, index / 30 % 250);
    let condition = |kind: &str| json!({"lastProbeTime": null, "lastTransitionTime": "2026-11-18T07:41:12Z", "status": "True", "type": kind});
    let container = |container: &str, cpu: u64| {
        json!({
            "args": ["--listen=:8080", "--log-format=json", format!("--service=service-{app}")],
            "env": [
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
                {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"key": "url", "name": format!("service-{app}-db")}}},
                {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector.monitoring.svc.cluster.local:4317"},
            ],
            "image": format!("registry.example.com/team-{}/{container}:v1.{app}.0", app % 40),
            "imagePullPolicy": "IfNotPresent",
            "livenessProbe": {"failureThreshold": 3, "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1},
            "name": container,
            "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
            "readinessProbe": {"failureThreshold": 3, "httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 5, "successThreshold": 1, "timeoutSeconds": 1},
            "resources": {"limits": {"memory": "512Mi"}, "requests": {"cpu": format!("{cpu}m"), "memory": "256Mi"}},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "volumeMounts": [{"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "kube-api-access", "readOnly": true}],
        })
    };
    let status = |container: &str| {
        json!({
            "containerID": format!("containerd://{:016x}{:016x}{:016x}{:016x}", mixed(index, 3), mixed(index, 4), mixed(index, 5), mixed(index, 6)),
            "image": format!("registry.example.com/team-{}/{container}:v1.{app}.0", app % 40),
            "imageID": format!("registry.example.com/team-{}/{container}@sha256:{:016x}{:016x}{:016x}{:016x}", app % 40, mixed(app, 7), mixed(app, 8), mixed(app, 9), mixed(app, 10)),
            "lastState": {}, "name": container, "ready": true, "restartCount": 0, "started": true,
            "state": {"running": {"startedAt": "2026-11-18T07:41:11Z"}},
        })
    };
    json!({
        "metadata": {
            "annotations": {
                "prometheus.io/port": "8080", "prometheus.io/scrape": "true",
                "cni.projectcalico.org/podIP": format!("{ip}/32"), "cni.projectcalico.org/podIPs": format!("{ip}/32"),
            },
            "creationTimestamp": "2026-11-18T07:41:02Z",
            "generateName": format!("service-{app}-{template}-"),
            "labels": {
                "app.kubernetes.io/name": format!("service-{app}"), "app.kubernetes.io/instance": format!("service-{app}"),
                "app.kubernetes.io/version": format!("v1.{app}.0"), "pod-template-hash": template, "team": format!("team-{}", app % 40),
            },
            "managedFields": managed_fields(),
            "name": name,
            "namespace": format!("team-{}", app % 40),
            "ownerReferences": [{"apiVersion": "apps/v1", "blockOwnerDeletion": true, "controller": true, "kind": "ReplicaSet", "name": format!("service-{app}-{template}"), "uid": uid(app, 11)}],
            "resourceVersion": (900_000 + index).to_string(),
            "uid": uid(index, 12),
        },
        "spec": {
            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": {"labelSelector": {"matchLabels": {"app.kubernetes.io/name": format!("service-{app}")}}, "topologyKey": "topology.kubernetes.io/zone"}, "weight": 100}]}},
            "containers": [container("server", 100 + 50 * (mixed(app, 13) % 20)), container("proxy", 50)],
            "dnsPolicy": "ClusterFirst", "enableServiceLinks": true,
            "nodeName": node,
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "preemptionPolicy": "PreemptLowerPriority", "priority": 0, "restartPolicy": "Always", "schedulerName": "default-scheduler",
            "securityContext": {"fsGroup": 1000, "runAsNonRoot": true}, "serviceAccountName": format!("service-{app}"),
            "terminationGracePeriodSeconds": 30,
            "tolerations": [
                {"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300},
                {"effect": "NoExecute", "key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 300},
            ],
            "volumes": [{"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}, {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}}]}}],
        },
        "status": {
            "conditions": [condition("PodReadyToStartContainers"), condition("Initialized"), condition("Ready"), condition("ContainersReady"), condition("PodScheduled")],
            "containerStatuses": [status("server"), status("proxy")],
            "hostIP": "10.0.1.2", "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "qosClass": "Burstable", "startTime": "2026-11-18T07:41:02Z",
        },
    })
}

/// Who set which field, a quarter of what a pod is.
fn managed_fields() -> Value {
    let leaf = || json!({});
    let container = |name: &str| {
        let fields = json!({".": leaf(), "f:args": leaf(), "f:env": {".": leaf(), "k:{\"name\":\"POD_NAME\"}": {".": leaf(), "f:name": leaf(), "f:valueFrom": {".": leaf(), "f:fieldRef": leaf()}}}, "f:image": leaf(), "f:imagePullPolicy": leaf(), "f:livenessProbe": {".": leaf(), "f:failureThreshold": leaf(), "f:httpGet": {".": leaf(), "f:path": leaf(), "f:port": leaf()}}, "f:name": leaf(), "f:ports": {".": leaf(), "k:{\"containerPort\":8080,\"protocol\":\"TCP\"}": {".": leaf(), "f:containerPort": leaf(), "f:name": leaf(), "f:protocol": leaf()}}, "f:resources": {".": leaf(), "f:limits": {".": leaf(), "f:memory": leaf()}, "f:requests": {".": leaf(), "f:cpu": leaf(), "f:memory": leaf()}}});
        (format!("k:{{\"name\":\"{name}\"}}"), fields)
    };
    let containers: serde_json::Map<String, Value> = [container("server"), container("proxy")].into_iter().collect();
    json!([
        {"apiVersion": "v1", "fieldsType": "FieldsV1", "manager": "kube-controller-manager", "operation": "Update", "time": "2026-11-18T07:41:02Z", "fieldsV1": {"f:metadata": {"f:annotations": {".": leaf(), "f:prometheus.io/port": leaf(), "f:prometheus.io/scrape": leaf()}, "f:generateName": leaf(), "f:labels": {".": leaf(), "f:app.kubernetes.io/name": leaf(), "f:pod-template-hash": leaf()}, "f:ownerReferences": {".": leaf()}}, "f:spec": {"f:affinity": {".": leaf(), "f:podAntiAffinity": leaf()}, "f:containers": containers, "f:dnsPolicy": leaf(), "f:restartPolicy": leaf(), "f:schedulerName": leaf()}}},
        {"apiVersion": "v1", "fieldsType": "FieldsV1", "manager": "kubelet", "operation": "Update", "subresource": "status", "time": "2026-11-18T07:41:12Z", "fieldsV1": {"f:status": {"f:conditions": {"k:{\"type\":\"ContainersReady\"}": {".": leaf(), "f:lastProbeTime": leaf(), "f:status": leaf(), "f:type": leaf()}, "k:{\"type\":\"Ready\"}": {".": leaf(), "f:lastProbeTime": leaf(), "f:status": leaf(), "f:type": leaf()}}, "f:containerStatuses": leaf(), "f:hostIP": leaf(), "f:phase": leaf(), "f:podIP": leaf(), "f:startTime": leaf()}}},
    ])
}

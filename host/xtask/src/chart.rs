//! The Helm chart and the Dockerfile: rendered by a real helm, validated against the schemas of Kubernetes, and held to
//! rules of our own.

mod manifests;
mod rules;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::python::Programs;
use crate::shell::Step;

/// Where the chart is, below the top.
const CHART: &str = "deploy/helm/plimsoll";
/// The permission blocks: the key under `rbac`, and how the names of its roles end.
const BLOCKS: [(&str, &str); 15] = [
    ("read", "read"),
    ("drain", "drain"),
    ("warmUp", "warm-up"),
    ("cleanup", "cleanup"),
    ("csrApproval", "csr-approval"),
    ("clusterApi", "cluster-api"),
    ("karpenter", "karpenter"),
    ("simulated", "simulated"),
    ("events", "events"),
    ("nodeMetrics", "node-metrics"),
    ("podMetrics", "pod-metrics"),
    ("rivals", "rivals"),
    ("lease", "lease"),
    ("status", "status"),
    ("launches", "launches"),
];
/// The oldest version of Kubernetes that `Chart.yaml` admits, the first with image volumes, and the newest known one.
const OLDEST: &str = "1.25";
const WITH_IMAGE_VOLUMES: &str = "1.31";
const NEWEST: &str = "1.37";

/// The files of `ci/`, and the permission blocks that each must end up with.
const SCENARIOS: [(&str, &str); 8] = [
    ("defaults", "lease read rivals status"),
    ("nothing", ""),
    (
        "everything",
        "cleanup cluster-api csr-approval drain events karpenter launches lease node-metrics pod-metrics read rivals \
         simulated status warm-up",
    ),
    ("cluster-api", "cleanup cluster-api csr-approval drain events launches lease read rivals status warm-up"),
    ("karpenter", "cleanup events karpenter launches read rivals status"),
    ("management-cluster", "cleanup drain events launches lease read rivals status warm-up"),
    ("observing", "cluster-api csr-approval lease read rivals status"),
    ("simulated", "cleanup drain events launches lease read rivals simulated status warm-up"),
];

/// Values that must be refused, beside those of `ci/defaults.yaml`, and what the refusal must say.
const REFUSED: [(&[&str], &str); 17] = [
    (&["--set", "image.repository="], "image.repository is required"),
    (&["--set", "config.cluster.identifier=  "], "config.cluster.identifier is required"),
    (&["--set", "config.cluster.identifier=Shop_1"], "identifier"),
    (&["--set", "config.mode=dry-run"], "mode"),
    (&["--set", "image.tag=latest"], "tag"),
    (&["--set", "image.digest=sha256:abc"], "digest"),
    (&["--set", "replicas=3"], "replicas"),
    (&["--set", "replicaCount=0"], "replicaCount"),
    (&["--set", "replicaCount=two"], "replicaCount"),
    (&["--set", "rbac.drain=yes-please"], "drain"),
    (&["--set", "rbac.everything=true"], "everything"),
    (&["--set", "policies.source=secret"], "source"),
    (&["--set", "policies.source=configMap"], "policies.configMap.name is required"),
    (&["--set", "policies.source=image"], "policies.image.reference is required"),
    (
        &["--set", "policies.source=image", "--set", "policies.image.reference=a/b:1", "--kube-version", "1.30"],
        "needs Kubernetes 1.31",
    ),
    (&["--set", "providerCredentials.secretName=tls"], "externalGrpc or clusterApi"),
    (&["--kube-version", "1.24"], "incompatible"),
];

/// Where what was rendered is left, for tests: `NAME.yaml`, the rules of its roles in `NAME.rules.json`, and the
/// configuration in `NAME/plimsoll.yaml`.
pub fn rendered(root: &Path) -> PathBuf {
    root.join("target/chart")
}

/// `helm lint`, with every set of values. The chart and the image are those of this version.
pub fn lint(root: &Path) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        (format!("{CHART}/Chart.yaml"), format!("appVersion: \"{version}\"")),
        ("deploy/Dockerfile".to_owned(), format!("ARG VERSION={version}")),
    ] {
        let text = fs::read_to_string(root.join(&file)).with_context(|| format!("{file} is missing"))?;
        ensure!(text.lines().any(|found| found == line), "{file} is of another version: it has no line `{line}`");
    }
    for name in scenarios(root)? {
        let lint = ["lint", "--strict", "--quiet", CHART, "--values", &values(name)];
        Programs::of(root).step(root, "helm", &lint).run()?;
    }
    Ok(())
}

/// Renders every set of values, and holds what comes out to the rules.
pub fn render(root: &Path) -> Result<()> {
    let out = rendered(root);
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    for name in scenarios(root)? {
        let text = template(root, name, &[]).output()?;
        let objects = manifests::parse(&text).with_context(|| format!("{name}: helm renders no YAML"))?;
        fs::write(out.join(format!("{name}.yaml")), manifests::without_custom(&text))?;
        write_configuration(&out.join(name), &objects)?;
        write_rules(&out.join(format!("{name}.rules.json")), &objects)?;
        let mut complaints = rules::complaints(&objects);
        if name == "observing" {
            complaints.extend(rules::cluster_writes(&objects));
        }
        let expected = SCENARIOS.iter().find(|(known, _)| *known == name).map_or("", |(_, blocks)| blocks);
        let (expected, found) = (expected.split_whitespace().map(str::to_owned).collect(), blocks(&objects));
        if found != expected {
            complaints.push(format!("permission blocks are {found:?}, and should be {expected:?}"));
        }
        ensure!(complaints.is_empty(), "{}:\n  {}", values(name), complaints.join("\n  "));
        println!("{name}: {} objects, blocks {found:?}", objects.len());
    }
    without_each_block(root)
}

/// Each block can be taken away, and takes nothing else with it.
fn without_each_block(root: &Path) -> Result<()> {
    let all = blocks(&manifests::parse(&template(root, "everything", &[]).output()?)?);
    for (key, block) in BLOCKS {
        let set = format!("rbac.{key}=false");
        let objects = manifests::parse(&template(root, "everything", &["--set", &set]).output()?)?;
        let left: BTreeSet<String> = all.iter().filter(|other| *other != block).cloned().collect();
        ensure!(blocks(&objects) == left, "{set} leaves {:?}, not {left:?}", blocks(&objects));
        let complaints = rules::complaints(&objects);
        ensure!(complaints.is_empty(), "{set}:\n  {}", complaints.join("\n  "));
    }
    println!("Without each of the {} blocks the others are as before.", BLOCKS.len());
    Ok(())
}

/// What was rendered, against the schemas of the oldest and the newest Kubernetes.
pub fn validate(root: &Path) -> Result<()> {
    let validator = |version: &str, files: &[String]| {
        let options = ["--strict", "--quiet", "-k", version];
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        Programs::of(root).step(root, "kubernetes-validate", &[&options[..], &files[..]].concat()).run()
    };
    let out = rendered(root);
    let newest: Vec<String> =
        scenarios(root)?.into_iter().map(|name| out.join(format!("{name}.yaml")).display().to_string()).collect();
    validator(NEWEST, &newest)?;
    let mut oldest = Vec::new();
    for name in scenarios(root)?.into_iter().filter(|name| *name != "everything") {
        let file = out.join(format!("{name}-{OLDEST}.yaml"));
        fs::write(&file, manifests::without_custom(&template(root, name, &["--kube-version", OLDEST]).output()?))?;
        oldest.push(file.display().to_string());
    }
    validator(OLDEST, &oldest)?;
    let file = out.join(format!("everything-{WITH_IMAGE_VOLUMES}.yaml"));
    let text = template(root, "everything", &["--kube-version", WITH_IMAGE_VOLUMES]).output()?;
    fs::write(&file, manifests::without_custom(&text))?;
    validator(WITH_IMAGE_VOLUMES, &[file.display().to_string()])
}

/// Wrong values are refused, by the schema or by a template, with a word about what is wrong.
pub fn refuse(root: &Path) -> Result<()> {
    for (arguments, reason) in REFUSED {
        let said = template(root, "defaults", arguments).refusal()?;
        ensure!(said.contains(reason), "{arguments:?} was refused without a word of \"{reason}\":\n{said}");
    }
    println!("{} wrong values were refused.", REFUSED.len());
    Ok(())
}

/// Every rendered configuration is one that the program takes.
pub fn configurations(root: &Path) -> Result<()> {
    for name in scenarios(root)? {
        let config = rendered(root).join(name).join("plimsoll.yaml").display().to_string();
        let run = ["run", "--quiet", "--locked", "--package", "plimsoll", "--"];
        let simulate =
            ["simulate", "--cluster", "examples/clusters/shop/cluster.yaml", "--config", &config, "-o", "json"];
        Step::cargo(root, &[&run[..], &simulate[..]].concat())
            .output()
            .with_context(|| format!("{} gives a configuration that cannot be used", values(name)))?;
    }
    println!("plimsoll takes the configurations of all {} sets of values.", SCENARIOS.len());
    Ok(())
}

/// hadolint.
pub fn dockerfile(root: &Path) -> Result<()> {
    Programs::of(root).step(root, "hadolint", &["deploy/Dockerfile"]).run()
}

/// The sets of values, none of which was forgotten here.
fn scenarios(root: &Path) -> Result<Vec<&'static str>> {
    let dir = root.join(CHART).join("ci");
    let names = fs::read_dir(&dir).with_context(|| format!("{} is missing", dir.display()))?;
    let mut files = BTreeSet::new();
    for entry in names {
        let name = entry?.file_name().to_string_lossy().into_owned();
        files.insert(name.strip_suffix(".yaml").unwrap_or(&name).to_owned());
    }
    let known: BTreeSet<String> = SCENARIOS.iter().map(|(name, _)| (*name).to_owned()).collect();
    if files != known {
        bail!("{} holds {files:?}, and host/xtask/src/chart.rs knows {known:?}", dir.display());
    }
    Ok(SCENARIOS.iter().map(|(name, _)| *name).collect())
}

fn values(name: &str) -> String {
    format!("{CHART}/ci/{name}.yaml")
}

fn template(root: &Path, name: &str, arguments: &[&str]) -> Step {
    let file = values(name);
    let common = ["template", "try", CHART, "--namespace", "autoscaling", "--values", &file];
    // So that the ServiceMonitor is rendered too.
    let apis = ["--api-versions", "monitoring.coreos.com/v1"];
    Programs::of(root).step(root, "helm", &[&common[..], &apis[..], arguments].concat())
}

/// How the names of the roles end.
fn blocks(objects: &[Value]) -> BTreeSet<String> {
    roles(objects).map(block_of).collect()
}

fn roles(objects: &[Value]) -> impl Iterator<Item = &Value> {
    objects.iter().filter(|object| object["kind"] == "ClusterRole" || object["kind"] == "Role")
}

fn block_of(role: &Value) -> String {
    let name = role["metadata"]["name"].as_str().unwrap_or_default();
    name.strip_prefix("try-plimsoll-").unwrap_or(name).to_owned()
}

/// Every role with its block, its namespace and its rules: the program's list of what its features need is compared with
/// this (tests/tests/chart.rs).
fn write_rules(file: &Path, objects: &[Value]) -> Result<()> {
    let rows = roles(objects).map(|role| {
        let namespace = role["metadata"]["namespace"].as_str().unwrap_or_default();
        json!({"block": block_of(role), "namespace": namespace, "rules": role["rules"]})
    });
    Ok(fs::write(file, serde_json::to_string_pretty(&rows.collect::<Vec<_>>())?)?)
}

/// The files of the ConfigMap, as the pod finds them.
fn write_configuration(dir: &Path, objects: &[Value]) -> Result<()> {
    fs::create_dir_all(dir)?;
    let maps = objects.iter().filter(|object| object["kind"] == "ConfigMap");
    for (name, text) in maps.filter_map(|map| map["data"].as_object()).flatten() {
        fs::write(dir.join(name), text.as_str().context("a file of the ConfigMap is no text")?)?;
    }
    Ok(())
}

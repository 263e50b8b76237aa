//! `simulate --watch`: an edited policy answers the next question, a broken one does not.

use std::fs;
use std::path::Path;

use crate::support::{Running, holding_policy};
use tempfile::TempDir;

const CLUSTER: &str = "examples/clusters/shop/cluster.yaml";
const CONFIG: &str = "examples/clusters/shop/plimsoll.yaml";

/// A running watch with one policy, which holds and says "first".
struct Watch {
    folder: TempDir,
    running: Running,
}

impl Watch {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hold.wasm"), holding_policy("first")).unwrap();
        Self::over(folder)
    }

    fn over(folder: TempDir) -> Self {
        let policies = folder.path().to_str().unwrap();
        let arguments = ["simulate", "--cluster", CLUSTER, "--config", CONFIG, "--policies", policies, "--watch"];
        let running = Running::start(&arguments);
        running.wait_for("HeldByPolicy");
        Self { folder, running }
    }

    fn policy(&self) -> std::path::PathBuf {
        self.folder.path().join("hold.wasm")
    }

    /// The plan that follows says `text`, by this generation.
    fn expect(&self, text: &str, generation: u32) {
        self.running.wait_for_error(&format!("generation {generation} answers"));
        self.running.wait_for(text);
    }
}

#[test]
fn a_policy_copied_over_answers_next() {
    let watch = Watch::start();
    fs::write(watch.policy(), holding_policy("second, copied over")).unwrap();
    watch.expect("second, copied over", 2);
}

#[test]
fn a_policy_renamed_over_answers_next() {
    let watch = Watch::start();
    let new = watch.folder.path().join(".hold.wasm.new");
    fs::write(&new, holding_policy("second, renamed over")).unwrap();
    fs::rename(&new, watch.policy()).unwrap();
    watch.expect("second, renamed over", 2);
}

/// As a kubelet does it: the files are links through `..data`, and `..data` is swapped.
#[test]
fn a_mounted_config_map_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let link = |target: &str, name: &Path| std::os::unix::fs::symlink(target, name).unwrap();
    fs::create_dir(at("..2026_1")).unwrap();
    fs::write(at("..2026_1/hold.wasm"), holding_policy("first")).unwrap();
    link("..2026_1", &at("..data"));
    link("..data/hold.wasm", &at("hold.wasm"));
    let watch = Watch::over(folder);
    let at = |name: &str| watch.folder.path().join(name);
    fs::create_dir(at("..2026_2")).unwrap();
    fs::write(at("..2026_2/hold.wasm"), holding_policy("second, mounted")).unwrap();
    link("..2026_2", &at("..data_tmp"));
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    fs::remove_dir_all(at("..2026_1")).unwrap();
    watch.expect("second, mounted", 2);
}

#[test]
fn random_bytes_keep_the_policy_of_before_and_say_why() {
    let watch = Watch::start();
    let noise: Vec<u8> = (0u32..50_000).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(watch.policy(), noise).unwrap();
    let refused = watch.running.wait_for_error("the change is refused and generation 1 goes on");
    assert!(refused.contains("cannot load"), "{refused}");
    watch.running.wait_for("first");
    fs::write(watch.policy(), holding_policy("third, good again")).unwrap();
    watch.expect("third, good again", 2);
}

#[test]
fn a_change_of_the_cluster_and_of_the_configuration_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, config) = (folder.path().join("cluster.yaml"), folder.path().join("plimsoll.yaml"));
    let pods = |count: u32| {
        let pod = |i: u32| {
            format!(
                "---\nkind: Pod\napiVersion: v1\nmetadata: {{name: web-{i}, namespace: shop}}\nspec: {{containers: [{{name: c, resources: {{requests: {{cpu: 2}}}}}}]}}\nstatus: {{phase: Pending}}\n"
            )
        };
        (0..count).map(pod).collect::<String>()
    };
    let group = |max: u32| {
        format!(
            "nodeGroups: [{{name: general, max: {max}, zones: [a], instanceTypes: [{{name: big, vcpu: 2, memoryMib: 8192}}]}}]\n"
        )
    };
    fs::write(&cluster, pods(2)).unwrap();
    fs::write(&config, group(10)).unwrap();
    let arguments =
        ["simulate", "--cluster", cluster.to_str().unwrap(), "--config", config.to_str().unwrap(), "--watch"];
    let running = Running::start(&arguments);
    running.wait_for("Launch: 2 nodes for 2 pods");
    fs::write(&cluster, pods(5)).unwrap();
    running.wait_for("Launch: 5 nodes for 5 pods");
    fs::write(&config, group(3)).unwrap();
    running.wait_for("Launch: 3 nodes for 3 pods");
    fs::write(&config, "nodeGroup: []\n").unwrap();
    let error = running.wait_for_error("the configuration of before goes on");
    assert!(error.contains("did you mean \"nodeGroups\""), "{error}");
    running.wait_for("Launch: 3 nodes for 3 pods");
}

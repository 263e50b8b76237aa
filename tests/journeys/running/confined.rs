//! The controller under the limits of its chart: nobody's user, no privileges, no home, nothing that can be written.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::cluster::{Cluster, SIMULATED, config};

/// Makes everything read-only for one process and what it starts, and gives up every right.
const CONFINE: &str = "mount --make-rprivate / && mount -o remount,bind,ro / && \
    exec setpriv --reuid=65532 --regid=65532 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \"$0\" \"$@\"";

fn confined(program: &std::path::Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", CONFINE]).arg(program).env_remove("HOME").current_dir("/");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_as_nobody_on_a_read_only_file_system() {
    let can = confined("true".as_ref()).output();
    if !can.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not make mount namespaces: {can:?}");
        return;
    }
    let cluster = Cluster::start(&config(SIMULATED)).await;
    for path in [cluster.folder.path(), &cluster.config] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let touched = confined("touch".as_ref()).arg(cluster.config.with_extension("new")).output().unwrap();
    assert!(!touched.status.success(), "it can write: {touched:?}");
    cluster.pods(2, "900m");
    let replica = cluster.replica_by("a", confined(crate::support::plimsoll()));
    cluster.until("pods run", &[&replica], |cluster| cluster.running() == (2, 2)).await;
}

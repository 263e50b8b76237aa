//! `cluster`, `mode`, `autoscaler`, `leaderElection`, `apiServer`, `provider`, `cleanup`, `metrics` and `log`.

use std::path::{Path, PathBuf};

use plimsoll_model::Millis;
use plimsoll_providers::ProviderConfig;

use super::Wrong;
use crate::config::file::ConfigFile;

/// The longest identifier: names of leases and ConfigMaps are made of it, and values of labels.
const LONGEST_IDENTIFIER: usize = 40;

/// What the controller needs beside what decisions need.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerConfig {
    /// Which Plimsoll of this cluster: `cluster.identifier`.
    pub identifier: Option<String>,
    /// `mode: observe`: nothing is changed but the lease and the status.
    pub observe: bool,
    /// Nodes are launched.
    pub enabled: bool,
    /// After a launch nothing more is launched for this long.
    pub cooldown: Millis,
    /// Changes are collected until none has come for this long.
    pub quiet: Millis,
    /// But for this long at most.
    pub at_most: Millis,
    /// A node that has not joined after this long is given up.
    pub max_provision_time: Millis,
    /// The times of the lease; `None` without leader election.
    pub election: Option<ElectionTimes>,
    /// How the API server is reached.
    pub api: ApiServerConfig,
    /// Who launches nodes; `None`: nobody.
    pub provider: Option<ProviderConfig>,
    /// The Node object of a machine that has been gone for this long is deleted; `None`: none is.
    pub cleanup: Option<Millis>,
    /// The metrics server is asked how busy nodes are.
    pub usage: bool,
    /// How much is logged: `error`, `warn`, `info`, `debug`, `trace`.
    pub log_level: String,
    /// As JSON, one object a line.
    pub log_json: bool,
    /// Where traces are sent: the URL of an OpenTelemetry collector (OTLP over gRPC).
    pub traces: Option<String>,
}

/// The times of a lease (client-go, package `leaderelection`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionTimes {
    /// Others wait this long before they take it over.
    pub lease: Millis,
    /// Whoever could not renew it for this long stops.
    pub renew: Millis,
    /// Time between tries.
    pub retry: Millis,
}

/// `apiServer`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiServerConfig {
    /// An HTTP or SOCKS5 proxy.
    pub proxy: Option<String>,
    /// PEM file of more authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// Writes per second in the long run.
    pub writes_per_second: Option<u32>,
    /// Writes at once after a pause.
    pub write_burst: Option<u32>,
}

impl Default for ControllerConfig {
    fn default() -> Self {
        Self {
            identifier: None,
            observe: false,
            enabled: true,
            cooldown: Millis(0),
            quiet: Millis::from_secs(1),
            at_most: Millis::from_secs(10),
            max_provision_time: Millis::from_secs(15 * 60),
            election: Some(ElectionTimes::default()),
            api: ApiServerConfig::default(),
            provider: None,
            cleanup: Some(Millis::from_secs(60)),
            usage: true,
            log_level: "info".to_owned(),
            log_json: true,
            traces: None,
        }
    }
}

impl Default for ElectionTimes {
    /// 15 s, 10 s, 2 s.
    fn default() -> Self {
        Self { lease: Millis::from_secs(15), renew: Millis::from_secs(10), retry: Millis::from_secs(2) }
    }
}

impl ControllerConfig {
    /// True if something differs that only a restart can change.
    pub fn differs_in_fixed(&self, other: &Self) -> bool {
        let fixed =
            |config: &Self| Self { enabled: true, cooldown: Millis(0), cleanup: None, usage: true, ..config.clone() };
        fixed(self) != fixed(other)
    }
}

/// Checks these sections.
pub fn controller(folder: &Path, file: &ConfigFile) -> Result<ControllerConfig, Wrong> {
    let default = ControllerConfig::default();
    let wrong = |field: &str, problem: String| (field.to_owned(), problem);
    let observe = match file.mode.as_deref() {
        None | Some("act") => false,
        Some("observe") => true,
        Some(other) => return Err(wrong("mode", format!("\"{other}\" is neither act nor observe"))),
    };
    let autoscaler = &file.autoscaler;
    let quiet = autoscaler.quiet.map_or(default.quiet, |seconds| seconds.0);
    let at_most = autoscaler.at_most.map_or(default.at_most.max(quiet), |seconds| seconds.0);
    if at_most < quiet {
        return Err(wrong("autoscaler.atMost", format!("{at_most} is less than autoscaler.quiet, which is {quiet}")));
    }
    let max_provision_time = autoscaler.max_provision_time.map_or(default.max_provision_time, |seconds| seconds.0);
    if max_provision_time < Millis::from_secs(1) {
        return Err(wrong("autoscaler.maxProvisionTime", "it must be one second at least".to_owned()));
    }
    let after = file.cleanup.after.map(|seconds| seconds.0).or(default.cleanup).unwrap_or_default();
    if let Some(config) = &file.provider {
        config.check().map_err(|error| (format!("provider.{}", error.key), error.problem))?;
    }
    let log_level = file.log.level.clone().unwrap_or(default.log_level);
    if !["error", "warn", "info", "debug", "trace"].contains(&log_level.as_str()) {
        let problem = format!("\"{log_level}\" is none of error, warn, info, debug, trace");
        return Err(wrong("log.level", problem));
    }
    let log_json = match file.log.format.as_deref() {
        None | Some("json") => true,
        Some("text") => false,
        Some(other) => return Err(wrong("log.format", format!("\"{other}\" is neither json nor text"))),
    };
    let api = &file.api_server;
    for (field, value) in [("writesPerSecond", api.writes_per_second), ("writeBurst", api.write_burst)] {
        if value == Some(0) {
            return Err(wrong(&format!("apiServer.{field}"), "it must be 1 at least".to_owned()));
        }
    }
    Ok(ControllerConfig {
        identifier: file.cluster.identifier.as_deref().map(identifier).transpose()?,
        observe,
        enabled: autoscaler.enabled.unwrap_or(true),
        cooldown: autoscaler.cooldown.map_or(default.cooldown, |seconds| seconds.0),
        quiet,
        at_most,
        max_provision_time,
        election: election(file)?,
        api: ApiServerConfig {
            proxy: api.proxy_url.clone(),
            ca_file: api.ca_file.as_ref().map(|path| folder.join(path)),
            writes_per_second: api.writes_per_second,
            write_burst: api.write_burst,
        },
        provider: file.provider.clone(),
        cleanup: file.cleanup.enabled.unwrap_or(true).then_some(after),
        usage: file.metrics.usage.unwrap_or(default.usage),
        log_level,
        log_json,
        traces: file.log.traces.endpoint.as_deref().map(collector).transpose()?,
    })
}

/// A part of names of objects: lower-case letters, digits and dashes.
fn identifier(text: &str) -> Result<String, Wrong> {
    let text = text.trim();
    let letters = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let inside = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
    let ends = inside(text.as_bytes().first()) && inside(text.as_bytes().last());
    if letters && ends && text.len() <= LONGEST_IDENTIFIER {
        return Ok(text.to_owned());
    }
    let problem = format!(
        "\"{text}\" cannot be part of a name; use up to {LONGEST_IDENTIFIER} lower-case letters, digits and dashes"
    );
    Err(("cluster.identifier".to_owned(), problem))
}

/// A URL without a path: gRPC has its own.
fn collector(text: &str) -> Result<String, Wrong> {
    let text = text.trim();
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    if host.is_some_and(|host| !host.is_empty() && !host.contains(|letter: char| "/?# ".contains(letter))) {
        return Ok(text.to_owned());
    }
    let problem = format!("\"{text}\" is no address of a collector, as in http://collector:4317");
    Err(("log.traces.endpoint".to_owned(), problem))
}

fn election(file: &ConfigFile) -> Result<Option<ElectionTimes>, Wrong> {
    let (keys, default) = (&file.leader_election, ElectionTimes::default());
    let times = ElectionTimes {
        lease: keys.lease_duration.map_or(default.lease, |seconds| seconds.0),
        renew: keys.renew_deadline.map_or(default.renew, |seconds| seconds.0),
        retry: keys.retry_period.map_or(default.retry, |seconds| seconds.0),
    };
    if !times.lease.0.is_multiple_of(1000) || times.lease < Millis::from_secs(1) {
        return Err(("leaderElection.leaseDuration".to_owned(), format!("{} is no number of seconds", times.lease)));
    }
    for (field, shorter, longer, than) in [
        ("renewDeadline", times.renew, times.lease, "leaseDuration"),
        ("retryPeriod", times.retry, times.renew, "renewDeadline"),
    ] {
        if shorter >= longer || shorter.0 == 0 {
            let problem = format!("{shorter} is not between 0 and leaderElection.{than}, which is {longer}");
            return Err((format!("leaderElection.{field}"), problem));
        }
    }
    Ok(keys.enabled.unwrap_or(true).then_some(times))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what cannot be read is a failing test")]

    use super::*;
    use crate::config::file;

    fn read(text: &str) -> Result<ControllerConfig, Wrong> {
        controller(Path::new("."), &file::parse(text).unwrap())
    }

    #[test]
    fn traces_have_a_collector() {
        assert_eq!(read("").unwrap().traces, None);
        for good in ["http://collector:4317", "https://[::1]:4317/", "http://10.0.0.1"] {
            let config = read(&format!("log: {{traces: {{endpoint: ' {good} '}}}}")).unwrap();
            assert_eq!(config.traces.as_deref(), Some(good));
        }
        for bad in
            ["collector:4317", "http://", "grpc://collector:4317", "http://collector/v1/traces", "http://a b", ""]
        {
            let (field, problem) = read(&format!("log: {{traces: {{endpoint: '{bad}'}}}}")).unwrap_err();
            assert_eq!(field, "log.traces.endpoint");
            assert!(problem.contains("is no address of a collector"), "{problem}");
        }
    }

    #[test]
    fn cleaning_up_and_usage_are_on_unless_told_otherwise() {
        let of = |text: &str| {
            let config = read(text).unwrap();
            (config.cleanup, config.usage)
        };
        assert_eq!(of(""), (Some(Millis::from_secs(60)), true));
        assert_eq!(of("cleanup: {after: 5m}"), (Some(Millis::from_secs(300)), true));
        assert_eq!(of("cleanup: {enabled: false, after: 5m}\nmetrics: {usage: false}"), (None, false));
        let (on, off) = (read("").unwrap(), read("cleanup: {enabled: false}\nmetrics: {usage: false}").unwrap());
        assert!(!on.differs_in_fixed(&off), "they take effect without a restart");
        assert!(on.differs_in_fixed(&read("log: {traces: {endpoint: 'http://c'}}").unwrap()));
    }
}

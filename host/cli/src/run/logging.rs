//! Log lines of the controller: JSON, one object a line, unless people are to read them.

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

use crate::config::ControllerConfig;

/// Begins to log on standard error, as the configuration says; `PLIMSOLL_LOG` outweighs its level.
pub fn start(config: &ControllerConfig) -> Result<()> {
    let wanted = std::env::var("PLIMSOLL_LOG").unwrap_or_else(|_| {
        format!(
            "warn,plimsoll={0},plimsoll_controller={0},plimsoll_kube={0},plimsoll_providers={0},plimsoll_policy={0}",
            config.log_level
        )
    });
    let filter = EnvFilter::try_new(&wanted).with_context(|| format!("PLIMSOLL_LOG: \"{wanted}\" is no log filter"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if config.log_json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).init();
    } else {
        lines.with_target(false).init();
    }
    Ok(())
}

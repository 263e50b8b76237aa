//! Log lines of the controller: JSON, one object a line, unless people are to read them. And traces, in a build that
//! has them.

use anyhow::{Context, Result};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry};

use crate::config::ControllerConfig;

/// The target of spans that only traces have: a line of the log names the decision that it belongs to, not the call
/// within.
pub const TRACES_ONLY: &str = "plimsoll::calls";

/// What is to be ended when the process does.
pub struct Logging {
    #[cfg(feature = "otel")]
    traces: Option<super::traces::Traces>,
}

/// Begins to log on standard error, as the configuration says; `PLIMSOLL_LOG` outweighs its level. Must be called
/// inside the runtime, which sends the traces.
pub fn start(config: &ControllerConfig) -> Result<Logging> {
    let wanted = std::env::var("PLIMSOLL_LOG").unwrap_or_else(|_| {
        format!(
            "warn,plimsoll={0},plimsoll_controller={0},plimsoll_kube={0},plimsoll_providers={0},plimsoll_policy={0}",
            config.log_level
        )
    });
    let filter = EnvFilter::try_new(&wanted).with_context(|| format!("PLIMSOLL_LOG: \"{wanted}\" is no log filter"))?;
    let filter = filter.and(filter_fn(|metadata| metadata.target() != TRACES_ONLY));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if config.log_json {
        Box::new(lines.json().flatten_event(true).with_current_span(true).with_span_list(false).with_filter(filter))
    } else {
        Box::new(lines.with_target(false).with_filter(filter))
    };
    #[cfg(feature = "otel")]
    {
        let traces = super::traces::open(config)?;
        tracing_subscriber::registry().with(lines).with(traces.as_ref().map(super::traces::Traces::layer)).init();
        Ok(Logging { traces })
    }
    #[cfg(not(feature = "otel"))]
    {
        tracing_subscriber::registry().with(lines).init();
        if config.traces.is_some() {
            tracing::warn!("log.traces has no effect: this build has no traces; build with --features otel");
        }
        Ok(Logging {})
    }
}

impl Logging {
    /// Sends the traces that have not been sent, for a few seconds at most. Outside of the runtime, while it runs.
    pub fn finish(self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces {
            traces.finish();
        }
    }
}

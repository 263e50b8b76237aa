//! Traces for an OpenTelemetry collector: OTLP over gRPC. Decisions, the calls of policies within them, and launches;
//! decisions and launches have the decision's id as their attribute `decision`.
//!
//! The standard variables (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, ...) hold too: see
//! the OpenTelemetry specification, "Environment Variable Specification".

use std::time::Duration;

use anyhow::{Context, Result};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::connection::host_name;
use crate::config::ControllerConfig;

/// Where the collector is, if the configuration does not say.
const VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// The last traces get this long.
const LAST_TRACES: Duration = Duration::from_secs(5);

/// Traces that are collected and sent.
pub struct Traces {
    provider: SdkTracerProvider,
}

/// `None` if neither the configuration nor the environment names a collector. Inside the runtime.
pub fn open(config: &ControllerConfig) -> Result<Option<Traces>> {
    let variable = || VARIABLES.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let Some(endpoint) = config.traces.clone().or_else(variable) else { return Ok(None) };
    Traces::to(&endpoint, config.identifier.as_deref()).map(Some)
}

impl Traces {
    /// To this collector. It need not be there yet.
    fn to(endpoint: &str, cluster: Option<&str>) -> Result<Self> {
        let mut exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint);
        if endpoint.starts_with("https://") {
            exporter = exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
        }
        let exporter = exporter.build().with_context(|| format!("traces cannot be sent to {endpoint}"))?;
        let mut resource = Resource::builder().with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", host_name()),
        ]);
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("plimsoll");
        }
        if let Some(cluster) = cluster {
            resource = resource.with_attribute(KeyValue::new("plimsoll.cluster", cluster.to_owned()));
        }
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        Ok(Self { provider })
    }

    /// What hands the program's own spans over, and what is said inside of them. What the exporter itself does is not
    /// among them.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let own = filter_fn(|metadata| metadata.target().starts_with("plimsoll") && *metadata.level() <= Level::INFO);
        tracing_opentelemetry::layer().with_tracer(self.provider.tracer("plimsoll")).with_filter(own)
    }

    /// Sends what has not been sent, for a few seconds at most.
    pub fn finish(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_TRACES) {
            tracing::warn!(%error, "the last traces are not sent");
        }
    }
}

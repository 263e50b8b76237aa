//! `/livez`, `/readyz`, `/metrics` and `/status`.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Health, Metrics, StatusBoard};

/// What is served.
#[derive(Clone, Debug)]
pub struct Pages {
    /// For the probes.
    pub health: Health,
    /// For Prometheus.
    pub metrics: Metrics,
    /// For people.
    pub status: StatusBoard,
}

/// Serves the probes at `health`, and the metrics and the status at `metrics`, until told to stop. The two may be one
/// address. The listeners are bound when this returns.
pub async fn serve(
    pages: Pages,
    health: SocketAddr,
    metrics: SocketAddr,
    stop: CancellationToken,
) -> std::io::Result<Vec<SocketAddr>> {
    let probes = Router::new().route("/livez", get(livez)).route("/readyz", get(readyz));
    let figures = Router::new().route("/metrics", get(figures)).route("/status", get(status));
    let parts = if health == metrics {
        vec![(health, probes.merge(figures))]
    } else {
        vec![(health, probes), (metrics, figures)]
    };
    let mut addresses = Vec::new();
    for (address, router) in parts {
        let listener = TcpListener::bind(address).await?;
        addresses.push(listener.local_addr()?);
        let stop = stop.clone();
        let server = axum::serve(listener, router.with_state(pages.clone()))
            .with_graceful_shutdown(async move { stop.cancelled().await });
        tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the server of probes and metrics has ended");
            }
        });
    }
    Ok(addresses)
}

async fn livez(State(pages): State<Pages>) -> impl IntoResponse {
    answer(pages.health.hanging())
}

async fn readyz(State(pages): State<Pages>) -> impl IntoResponse {
    answer(pages.health.causes())
}

/// As the probes of Kubernetes components answer: `ok`, or what is wrong line by line.
fn answer(problems: Vec<String>) -> (StatusCode, String) {
    if problems.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", problems.join("\n")))
    }
}

async fn figures(State(pages): State<Pages>) -> impl IntoResponse {
    let content = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    (content, pages.metrics.text())
}

async fn status(State(pages): State<Pages>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], pages.status.json())
}

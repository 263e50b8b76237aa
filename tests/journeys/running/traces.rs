//! Traces, as a collector sees them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::cluster::{Cluster, SIMULATED, config};

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Serves it; gives its address.
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        format!("http://{address}")
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().unwrap();
        let scopes = requests.iter().flat_map(|request| &request.resource_spans).flat_map(|all| &all.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    fn resource(&self, key: &str) -> String {
        let requests = self.0.lock().unwrap();
        let resource = requests[0].resource_spans[0].resource.clone().unwrap();
        text(&resource.attributes, key)
    }
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let known = attributes.iter().find(|attribute| attribute.key == key);
    match known.and_then(|attribute| attribute.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        _ => String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_and_launches_are_traced_under_their_id() {
    let collector = Collector::default();
    let endpoint = collector.serve().await;
    let cluster = Cluster::start(&config(SIMULATED)).await;
    // The key of the configuration, at a log level that says nothing of decisions: traces do not depend on it.
    let config = std::fs::read_to_string(&cluster.config).unwrap();
    let traced = config.replace("level: debug", &format!("level: warn, traces: {{endpoint: \"{endpoint}\"}}"));
    std::fs::write(&cluster.config, traced).unwrap();
    cluster.pods(2, "900m");
    let mut first = cluster.replica("a");
    cluster.until("two pods run", &[&first], |cluster| cluster.running() == (2, 2)).await;
    let (id, decision) = {
        let map = cluster.server.store().get("configmaps", super::NAMESPACE, "plimsoll-t-launches");
        (map.is_some(), cluster.status("t")["decisions"]["scale-up"]["id"].as_str().unwrap_or_default().to_owned())
    };
    assert!(id, "launches are written down");
    // The last ones are sent at the end, long before their interval of 5 s is over.
    assert_eq!(first.end(), Some(0), "{}", first.log());
    let spans = collector.spans();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    let decisions: Vec<&Span> = spans.iter().filter(|span| span.name == "decision").collect();
    assert!(!decisions.is_empty(), "{names:?}\n{}", first.log());
    for span in &decisions {
        let subject = match text(&span.attributes, "subject") {
            subject if subject == "scale-up" => 'u',
            subject if subject == "scale-down" => 'd',
            _ => panic!("{span:?}"),
        };
        assert!(text(&span.attributes, "decision").starts_with(subject), "{span:?}");
    }
    assert!(
        decision.is_empty() || decisions.iter().any(|span| text(&span.attributes, "decision") == decision),
        "the decision {decision} of the status is not among {decisions:?}"
    );
    let launches: Vec<&Span> = spans.iter().filter(|span| span.name == "launch").collect();
    assert!(!launches.is_empty(), "{names:?}");
    for launch in launches {
        let decision = text(&launch.attributes, "decision");
        assert!(decisions.iter().any(|span| text(&span.attributes, "decision") == decision), "{launch:?}");
    }
    // The policies' part is a child of the decision that they were asked for.
    let asked = |span: &&Span| span.name == "policies" && text(&span.attributes, "point") == "scale-up";
    let call = spans.iter().find(asked).unwrap();
    assert!(decisions.iter().any(|span| span.span_id == call.parent_span_id && span.trace_id == call.trace_id));
    let foreign = spans.iter().find(|span| !["decision", "launch", "policies"].contains(&span.name.as_str()));
    assert!(foreign.is_none(), "only the program's own spans: {foreign:?}");
    assert_eq!(collector.resource("service.name"), "plimsoll");
    assert_eq!(collector.resource("plimsoll.cluster"), "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_holds_nothing_up() {
    let cluster = Cluster::start(&config(SIMULATED)).await;
    cluster.pods(2, "900m");
    // The standard variable; nobody listens on the port of a listener that is gone.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut first = cluster.replica_with("a", |command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{free}"));
    });
    cluster.until("two pods run", &[&first], |cluster| cluster.running() == (2, 2)).await;
    let begin = Instant::now();
    assert_eq!(first.end(), Some(0), "{}", first.log());
    assert!(begin.elapsed() < Duration::from_secs(20), "{}", first.log());
    assert!(first.log().contains("telemetry data will be lost"), "it is said that they are lost:\n{}", first.log());
}

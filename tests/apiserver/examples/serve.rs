//! Serves an empty cluster until it is interrupted: `cargo run -p plimsoll-apiserver --example serve -- 127.0.0.1:8080`.

use plimsoll_apiserver::{ApiServer, Options};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listen = std::env::args().nth(1).and_then(|address| address.parse().ok());
    let defaults = Options::default();
    let server = ApiServer::start(Options { listen: listen.unwrap_or(defaults.listen), ..defaults }).await?;
    server.store().register_cluster_api();
    server.store().register_karpenter();
    println!("{}", server.url());
    tokio::signal::ctrl_c().await
}

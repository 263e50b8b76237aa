//! Client and server of the external gRPC interface, from its .proto file; no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto/externalgrpc.proto");
    let described = protox::compile(["proto/externalgrpc.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(described)?;
    Ok(())
}

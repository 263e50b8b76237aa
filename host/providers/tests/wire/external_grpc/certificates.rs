//! Who is who.

use std::path::PathBuf;
use std::time::Duration;

use plimsoll_providers::external_grpc::simulation::{ServerTls, Serving};
use plimsoll_providers::{ExternalGrpc, ExternalGrpcSettings, NodeGroupProvider as _};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::{ANY_PORT, group};
use plimsoll_providers::external_grpc::simulation::SimulatedCloud;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("signed").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("params");
        (params.signed_by(&key, &self.issuer).expect("signed").pem(), key.serialize_pem())
    }
}

struct Files(TempDir);

impl Files {
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

fn served(authority: &Authority) -> (SimulatedCloud, Serving) {
    let cloud = SimulatedCloud::new(vec![group("a", 10)], None);
    let (cert, key) = authority.issue("cloud.example");
    let tls = ServerTls { cert, key, client_ca: authority.pem.clone() };
    let serving = cloud.serve(ANY_PORT, Some(tls)).expect("a port");
    (cloud, serving)
}

#[tokio::test]
async fn both_sides_prove_who_they_are() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (cloud, serving) = served(&ours);
    let files = Files(TempDir::new().expect("a folder"));
    let (cert, key) = ours.issue("plimsoll");
    let (strange_cert, strange_key) = theirs.issue("plimsoll");
    let good = ExternalGrpcSettings {
        cacert: Some(files.write("ca.pem", &ours.pem)),
        cert: Some(files.write("cert.pem", &cert)),
        key: Some(files.write("key.pem", &key)),
        server_name: Some("cloud.example".to_owned()),
        timeout: Duration::from_secs(5),
        ..ExternalGrpcSettings::at(format!("https://{}", serving.address()))
    };
    let asked = |settings: ExternalGrpcSettings| async {
        let client = ExternalGrpc::new(settings).expect("settings");
        client.inventory().await.map(|inventory| inventory.groups.len()).map_err(|error| error.label())
    };
    assert_eq!(asked(good.clone()).await, Ok(1));
    let calls = cloud.calls().len();
    let strange_ca = Some(files.write("other-ca.pem", &theirs.pem));
    for (what, settings) in [
        ("the server's authority is another", ExternalGrpcSettings { cacert: strange_ca, ..good.clone() }),
        ("the client has no certificate", ExternalGrpcSettings { cert: None, key: None, ..good.clone() }),
        (
            "the client's authority is another",
            ExternalGrpcSettings {
                cert: Some(files.write("other-cert.pem", &strange_cert)),
                key: Some(files.write("other-key.pem", &strange_key)),
                ..good.clone()
            },
        ),
        ("the server has another name", ExternalGrpcSettings { server_name: None, ..good.clone() }),
        (
            "the client speaks without TLS",
            ExternalGrpcSettings {
                timeout: Duration::from_secs(1),
                ..ExternalGrpcSettings::at(serving.address().to_string())
            },
        ),
    ] {
        assert_eq!(asked(settings).await, Err("Unreachable"), "{what}");
    }
    assert_eq!(cloud.calls().len(), calls, "somebody got through");
    let missing = ExternalGrpcSettings { key: Some(files.0.path().join("nowhere.pem")), ..good };
    assert_eq!(asked(missing).await, Err("Failed"));
}

#[tokio::test]
async fn renewed_certificates_are_used_without_a_restart() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let files = Files(TempDir::new().expect("a folder"));
    let write = |authority: &Authority| {
        let (cert, key) = authority.issue("plimsoll");
        (files.write("ca.pem", &authority.pem), files.write("cert.pem", &cert), files.write("key.pem", &key))
    };
    let (_old_cloud, old) = served(&before);
    let address = old.address();
    let (cacert, cert, key) = write(&before);
    let client = ExternalGrpc::new(ExternalGrpcSettings {
        cacert: Some(cacert),
        cert: Some(cert),
        key: Some(key),
        server_name: Some("cloud.example".to_owned()),
        ..ExternalGrpcSettings::at(address.to_string())
    })
    .expect("settings");
    assert!(client.inventory().await.is_ok());
    // In the middle of a renewal: what was good goes on.
    files.write("key.pem", "half a");
    assert!(client.inventory().await.is_ok());
    drop(old);
    let (cert, key) = after.issue("cloud.example");
    let tls = ServerTls { cert, key, client_ca: after.pem.clone() };
    let new_cloud = SimulatedCloud::new(vec![group("a", 10)], None);
    let mut serving = new_cloud.serve(address, Some(tls.clone()));
    for _ in 0..200 {
        if serving.is_ok() {
            break;
        }
        // The old listener goes with its task.
        tokio::time::sleep(Duration::from_millis(10)).await;
        serving = new_cloud.serve(address, Some(tls.clone()));
    }
    let _serving = serving.expect("the same port");
    write(&after);
    assert!(client.inventory().await.is_ok());
    assert!(new_cloud.calls().len() > 1);
}

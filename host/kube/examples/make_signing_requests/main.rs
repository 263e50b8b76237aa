//! Makes the signing requests of the example cluster anew: `cargo run -p plimsoll-kube --example make_signing_requests`.
//!
//! Their keys are random, so every run writes other files, and `make_shop` must be run after it.

use std::error::Error;
use std::net::IpAddr;
use std::path::PathBuf;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

/// File, organization, common name, and the names and addresses asked for.
type Request = (&'static str, &'static str, &'static str, &'static [&'static str]);

#[rustfmt::skip]
const REQUESTS: [Request; 9] = [
    ("joining", "system:nodes", "system:node:ip-10-0-64-132.eu-west-1.compute.internal", &[]),
    ("serving", "system:nodes", "system:node:ip-10-0-32-57.eu-west-1.compute.internal", &["ip-10-0-32-57.eu-west-1.compute.internal", "10.0.32.57"]),
    ("foreign-address", "system:nodes", "system:node:ip-10-0-96-142.eu-west-1.compute.internal", &["ip-10-0-96-142.eu-west-1.compute.internal", "10.0.96.142", "10.0.32.21"]),
    ("masters", "system:masters", "system:node:ip-10-0-32-155.eu-west-1.compute.internal", &[]),
    ("unknown-node", "system:nodes", "system:node:ip-10-0-99-99.eu-west-1.compute.internal", &[]),
    ("joined", "system:nodes", "system:node:ip-10-0-64-168.eu-west-1.compute.internal", &[]),
    ("denied", "system:nodes", "system:node:ip-10-0-96-155.eu-west-1.compute.internal", &["kubernetes.default.svc"]),
    ("renewal", "system:nodes", "system:node:ip-10-0-64-201.eu-west-1.compute.internal", &[]),
    ("person", "developers", "jane@shop.example", &[]),
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/make_shop/requests");
    std::fs::create_dir_all(&folder)?;
    for (file, organization, common_name, names) in REQUESTS {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, organization);
        params.distinguished_name.push(DnType::CommonName, common_name);
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into()?),
            });
        }
        let pem = params.serialize_request(&KeyPair::generate()?)?.pem()?;
        std::fs::write(folder.join(format!("{file}.pem")), pem.replace("\r\n", "\n"))?;
    }
    println!("{}: {} requests", folder.display(), REQUESTS.len());
    Ok(())
}

//! Certificate signing requests, good and bad. Their keys are made once by the example `make_signing_requests`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::identity::{before, uid};
use super::nodes;

const CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING: &str = "kubernetes.io/kubelet-serving";

/// A request and who made it.
struct Request {
    name: &'static str,
    pem: &'static str,
    signer: &'static str,
    user: User,
    /// Seconds since.
    age: u64,
    conditions: &'static [(&'static str, &'static str)],
}

enum User {
    Bootstrap,
    /// The node of this key.
    Node(&'static str),
    Person(&'static str),
}

macro_rules! pem {
    ($name:literal) => {
        include_str!(concat!("../requests/", $name, ".pem"))
    };
}

#[rustfmt::skip]
const REQUESTS: [Request; 10] = [
    // A machine that was launched wants to join.
    Request { name: "csr-2xk7p", pem: pem!("joining"), signer: CLIENT, user: User::Bootstrap, age: 34, conditions: &[] },
    // A node asks for exactly the names and addresses of its machine.
    Request { name: "csr-5wq9d", pem: pem!("serving"), signer: SERVING, user: User::Node("general-4"), age: 51, conditions: &[] },
    // A node asks for the address of another as well.
    Request { name: "csr-6hd2m", pem: pem!("foreign-address"), signer: SERVING, user: User::Node("spot-3"), age: 42, conditions: &[] },
    // A node would like to be the administrator.
    Request { name: "csr-7tznb", pem: pem!("masters"), signer: CLIENT, user: User::Node("spot-4"), age: 40, conditions: &[] },
    // A name that no machine has.
    Request { name: "csr-8rlq4", pem: pem!("unknown-node"), signer: CLIENT, user: User::Bootstrap, age: 29, conditions: &[] },
    // Cut off on its way.
    Request { name: "csr-9vcgs", pem: "-----BEGIN CERTIFICATE REQUEST-----\nMIIBJTCBzAIBADBOMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXM", signer: CLIENT, user: User::Bootstrap, age: 26, conditions: &[] },
    // Done already.
    Request { name: "csr-b4kfx", pem: pem!("joined"), signer: CLIENT, user: User::Bootstrap, age: 3_400, conditions: &[("Approved", "AutoApproved")] },
    Request { name: "csr-c8msj", pem: pem!("denied"), signer: SERVING, user: User::Node("spot-6"), age: 2_900, conditions: &[("Denied", "PolicyDenied")] },
    // A node renews its own certificate.
    Request { name: "csr-d6pwh", pem: pem!("renewal"), signer: CLIENT, user: User::Node("memory-2"), age: 18, conditions: &[] },
    // Not about a node at all.
    Request { name: "jane-developer", pem: pem!("person"), signer: "kubernetes.io/kube-apiserver-client", user: User::Person("jane@shop.example"), age: 540, conditions: &[] },
];

/// All signing requests.
pub fn signing_requests() -> Vec<Value> {
    REQUESTS.iter().map(Request::object).collect()
}

impl Request {
    fn object(&self) -> Value {
        let (username, groups): (String, &[&str]) = match self.user {
            User::Bootstrap => (
                "system:bootstrap:q3f8zk".to_owned(),
                &["system:bootstrappers", "system:bootstrappers:shop", "system:authenticated"],
            ),
            User::Node(key) => {
                (format!("system:node:{}", nodes::find(key).name()), &["system:nodes", "system:authenticated"])
            }
            User::Person(name) => (name.to_owned(), &["developers", "system:authenticated"]),
        };
        let auth = if self.signer == SERVING { "server auth" } else { "client auth" };
        let conditions: Vec<Value> = self
            .conditions
            .iter()
            .map(|(kind, reason)| {
                let moment = before(self.age - 2);
                json!({"lastTransitionTime": moment, "lastUpdateTime": moment, "reason": reason, "status": "True", "type": kind})
            })
            .collect();
        json!({
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"creationTimestamp": before(self.age), "name": self.name, "uid": uid(self.name)},
            "spec": {
                "groups": groups,
                "request": STANDARD.encode(self.pem),
                "signerName": self.signer,
                "usages": ["digital signature", auth],
                "username": username,
            },
            "status": if conditions.is_empty() { json!({}) } else { json!({"conditions": conditions}) },
        })
    }
}

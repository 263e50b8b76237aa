//! Which requests are forged, and so denied, and which are left.
//!
//! A denial is final: an administrator cannot approve a denied request any more, and another approver never sees it.
//! So only what no honest requester can ever send is denied, and only by what the API server vouches for (who asks)
//! held against what is asked for:
//!
//! | request                                                                            | verdict |
//! |------------------------------------------------------------------------------------|---------|
//! | a node's own credentials ask for an identity that is not that node's               | deny    |
//! | anybody asks for an organization `system:…` other than `system:nodes`, as masters  | deny    |
//! | a node's own credentials ask for a name of the API server                          | deny    |
//! | a stranger (neither node nor known bootstrap identity) asks for a node's identity: |         |
//! | an administrator by hand, or a bootstrap account that is not configured            | leave   |
//! | a bootstrap identity asks for a node that exists: perhaps a machine set up anew    | leave   |
//! | a name or address that the inventory does not know, or knows of another machine:   |         |
//! | addresses move, and the inventory may be behind                                    | leave   |
//! | no such machine, a machine outside its time, a weak key, a broken request          | leave   |
//! | the inventory says too little yet                                                  | retry   |

use plimsoll_model::SigningRequest;

use super::decode::Decoded;
use super::name::{canonical, impersonates_api_server};
use super::verify::{NODE_GROUP, asking_node};

/// Why a request is forged, as a sentence; `None` if it is not.
pub(super) fn forged(request: &SigningRequest, decoded: &Decoded) -> Option<String> {
    let privileged = |name: &&String| name.starts_with("system:") && **name != NODE_GROUP;
    if let Some(organization) = decoded.organizations.iter().find(privileged) {
        return Some(format!("{} asks for organization {organization:?}", request.username));
    }
    asking_node(request)?;
    if let Some(other) = decoded.common_names.iter().find(|name| **name != *request.username) {
        return Some(format!("{} asks for the identity of {other:?}", request.username));
    }
    let name = decoded.dns_names.iter().find(|name| impersonates_api_server(&canonical(name)))?;
    Some(format!("{} asks for {name}, a name of the API server", request.username))
}

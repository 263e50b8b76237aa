//! One permission.

use std::borrow::Cow;
use std::fmt;

/// One permission, as a role grants it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rule {
    /// For example `patch`.
    pub verb: Cow<'static, str>,
    /// The API group; empty for the core group.
    pub group: Cow<'static, str>,
    /// For example `nodes`.
    pub resource: Cow<'static, str>,
    /// For example `eviction`; empty for the object itself.
    pub subresource: Cow<'static, str>,
    /// Empty: in all namespaces, or the resource has none.
    pub namespace: String,
    /// Empty: every object.
    pub name: String,
}

/// What a feature is without a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// Off.
    Must,
    /// Less: a note says what is missing.
    Better,
    /// Off if it has none of those that are marked like this.
    OneOf,
}

impl fmt::Display for Rule {
    /// As people say it: `update certificatesigningrequests/approval (certificates.k8s.io)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.subresource.is_empty() {
            write!(f, "/{}", self.subresource)?;
        }
        if !self.group.is_empty() {
            write!(f, " ({})", self.group)?;
        }
        if !self.name.is_empty() {
            write!(f, " \"{}\"", self.name)?;
        }
        if !self.namespace.is_empty() {
            write!(f, " in namespace {}", self.namespace)?;
        }
        Ok(())
    }
}

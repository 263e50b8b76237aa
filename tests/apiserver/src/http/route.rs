//! What a path and a query ask for.

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// An object, a collection or a subresource.
    Resource(Place),
    /// Which kinds there are: everything, a group, or a version of a group.
    Discovery(Discovery),
    /// Anything else.
    Other,
}

/// A place where objects are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

/// A discovery document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Discovery {
    CoreVersions,
    Groups,
    Group(String),
    Version { group: String, version: String },
}

/// The query of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

// === impl Route ===

impl Route {
    /// Takes a path apart.
    pub(crate) fn parse(path: &str) -> Self {
        let segments: Vec<String> = path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["api"] => Self::Discovery(Discovery::CoreVersions),
            ["api", version] => Self::Discovery(Discovery::version("", version)),
            ["api", version, rest @ ..] => Place::parse("", version, rest),
            ["apis"] => Self::Discovery(Discovery::Groups),
            ["apis", group] => Self::Discovery(Discovery::Group((*group).to_owned())),
            ["apis", group, version] => Self::Discovery(Discovery::version(group, version)),
            ["apis", group, version, rest @ ..] => Place::parse(group, version, rest),
            _ => Self::Other,
        }
    }
}

// === impl Discovery ===

impl Discovery {
    fn version(group: &str, version: &str) -> Self {
        Self::Version { group: group.to_owned(), version: version.to_owned() }
    }
}

// === impl Place ===

impl Place {
    fn parse(group: &str, version: &str, rest: &[&str]) -> Route {
        let of_namespace = |name: &str| group.is_empty() && matches!(name, "status" | "finalize");
        let (namespace, rest) = match rest {
            ["namespaces", _, sub] if of_namespace(sub) => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
            _ => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some((*name).to_owned()), None),
            [plural, name, subresource] => (*plural, Some((*name).to_owned()), Some((*subresource).to_owned())),
            _ => return Route::Other,
        };
        Route::Resource(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            namespace,
            name,
            subresource,
        })
    }

    /// `pods`, `pods/eviction`.
    pub(crate) fn full_resource(&self) -> String {
        match &self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.plural),
            None => self.plural.clone(),
        }
    }
}

// === impl Query ===

impl Query {
    /// Takes a query apart.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        });
        Self(pairs.collect())
    }

    /// A value; what is empty is as good as not there.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Whether a switch is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1" | "True" | "t"))
    }

    /// A number; none if it is none.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}

/// Undoes percent encoding. What is no encoding stays as it is.
fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = (byte == b'%').then(|| after.get(..2)).flatten().and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> (String, Option<String>, Option<String>, Option<String>) {
        match Route::parse(path) {
            Route::Resource(place) => (place.plural, place.namespace, place.name, place.subresource),
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn paths_name_objects_collections_and_subresources() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(place("/api/v1/nodes"), ("nodes".to_owned(), None, None, None));
        assert_eq!(place("/api/v1/namespaces/a"), ("namespaces".to_owned(), None, some("a"), None));
        assert_eq!(place("/api/v1/namespaces/a/status"), ("namespaces".to_owned(), None, some("a"), some("status")));
        assert_eq!(place("/api/v1/namespaces/a/pods"), ("pods".to_owned(), some("a"), None, None));
        let eviction = ("pods".to_owned(), some("a"), some("p"), some("eviction"));
        assert_eq!(place("/api/v1/namespaces/a/pods/p/eviction"), eviction);
        assert_eq!(place("/apis/apps/v1/deployments"), ("deployments".to_owned(), None, None, None));
        assert_eq!(Route::parse("/apis/apps"), Route::Discovery(Discovery::Group("apps".to_owned())));
        assert_eq!(Route::parse("/healthz"), Route::Other);
    }

    #[test]
    fn a_query_is_decoded() {
        let query = Query::parse("labelSelector=a%3Db%2Cc+in+%28d%29&watch=1&limit=500&x=%zz&continue=");
        assert_eq!(query.get("labelSelector"), Some("a=b,c in (d)"));
        assert!(query.is_on("watch"));
        assert_eq!(query.number("limit"), Some(500));
        assert_eq!(query.get("x"), Some("%zz"));
        assert_eq!(query.get("continue"), None);
    }
}

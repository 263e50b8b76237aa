//! A text kept on the API server: one key of a ConfigMap, written only over what was read.

use serde_json::json;

use crate::api::{Api, ApiError, ObjectName, Patch, Permit, Resource};

/// The longest text. A ConfigMap may have 1 MiB in all.
pub const LONGEST_RECORD: usize = 900 * 1024;

/// Where a text is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The ConfigMap.
    pub object: ObjectName,
    /// The key in its `data`.
    pub key: String,
}

/// A text as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The text; `None` if there is none yet.
    pub text: Option<String>,
    /// To write over it.
    pub version: RecordVersion,
}

/// What a write replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordVersion {
    /// There is no ConfigMap.
    Absent,
    /// The ConfigMap of this resource version.
    At(String),
}

/// Why a record cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Somebody else wrote since it was read: read again.
    #[error("the ConfigMap {0} was changed by somebody else")]
    Outdated(ObjectName),
    /// It does not fit.
    #[error("{bytes} bytes do not fit into the ConfigMap {object}: at most {LONGEST_RECORD} do")]
    TooLong {
        /// Which.
        object: ObjectName,
        /// How long the text is.
        bytes: usize,
    },
    /// The call failed. If its outcome is unknown, read again to see whether the text is there.
    #[error("the ConfigMap {object}: {error}")]
    Api {
        /// Which.
        object: ObjectName,
        /// Why.
        error: Box<ApiError>,
    },
}

// === impl Record ===

impl Record {
    /// A key of a ConfigMap.
    pub fn new(namespace: &str, name: &str, key: &str) -> Self {
        Self { object: ObjectName::in_namespace(namespace, name), key: key.to_owned() }
    }

    /// What is there now.
    pub async fn read(&self, api: &Api) -> Result<Stored, RecordError> {
        let object = match api.get(&Resource::CONFIG_MAPS, &self.object).await {
            Ok(object) => object,
            Err(ApiError::NotFound(_)) => return Ok(Stored { text: None, version: RecordVersion::Absent }),
            Err(error) => return Err(self.failed(error)),
        };
        let version = self.version_of(&object)?;
        Ok(Stored { text: object["data"][&self.key].as_str().map(str::to_owned), version })
    }

    /// Writes a text over what was read, and gives what the next write replaces. Other keys are left alone.
    pub async fn write(
        &self,
        api: &Api,
        permit: &Permit,
        text: &str,
        over: &RecordVersion,
    ) -> Result<RecordVersion, RecordError> {
        if text.len() > LONGEST_RECORD {
            return Err(RecordError::TooLong { object: self.object.clone(), bytes: text.len() });
        }
        let mut object = json!({
            "metadata": {"labels": {"app.kubernetes.io/managed-by": "plimsoll"}},
            "data": {&self.key: text},
        });
        let written = match over {
            RecordVersion::Absent => {
                object["apiVersion"] = Resource::CONFIG_MAPS.api_version().into();
                object["kind"] = Resource::CONFIG_MAPS.kind.as_ref().into();
                object["metadata"]["namespace"] = self.object.namespace.as_str().into();
                object["metadata"]["name"] = self.object.name.as_str().into();
                api.create(permit, &Resource::CONFIG_MAPS, &object).await
            }
            RecordVersion::At(version) => {
                // In a patch too, the API server refuses a version that is not the present one.
                object["metadata"]["resourceVersion"] = version.as_str().into();
                api.patch(permit, &Resource::CONFIG_MAPS, &self.object, None, Patch::Merge, &object).await
            }
        };
        match written {
            Ok(object) => self.version_of(&object),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn version_of(&self, object: &serde_json::Value) -> Result<RecordVersion, RecordError> {
        let version = object["metadata"]["resourceVersion"].as_str().filter(|version| !version.is_empty());
        let missing = || self.failed(ApiError::Garbled("a ConfigMap without a resource version".to_owned()));
        version.map(|version| RecordVersion::At(version.to_owned())).ok_or_else(missing)
    }

    fn failed(&self, error: ApiError) -> RecordError {
        let object = self.object.clone();
        match error {
            // Of a write only: deleted, created or changed since it was read.
            ApiError::Conflict(_) | ApiError::AlreadyExists(_) => RecordError::Outdated(object),
            ApiError::NotFound(answer) if answer.message.contains("namespaces") => {
                RecordError::Api { object, error: Box::new(ApiError::NotFound(answer)) }
            }
            ApiError::NotFound(_) => RecordError::Outdated(object),
            error => RecordError::Api { object, error: Box::new(error) },
        }
    }
}

//! Persistent volumes.

use plimsoll_model::{Pools, Volume};
use serde::Deserialize;

use super::field::{Str, nullable};
use super::metadata::Metadata;
use super::quantities::Quantities;
use super::selector::NodeSelectorObject;
use super::{Object, Row, WholeProblem};

/// A `PersistentVolume`.
#[derive(Debug, Deserialize)]
pub(crate) struct VolumeObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    spec: Spec<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    status: Status<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    node_affinity: NodeAffinity<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    storage_class_name: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    capacity: Quantities<'a>,
    #[serde(borrow, default)]
    csi: Option<Csi<'a>>,
    #[serde(borrow, default)]
    aws_elastic_block_store: Option<AwsDisk<'a>>,
    #[serde(borrow, default)]
    gce_persistent_disk: Option<GceDisk<'a>>,
    #[serde(borrow, default)]
    azure_disk: Option<AzureDisk<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct NodeAffinity<'a> {
    #[serde(borrow, default)]
    required: Option<NodeSelectorObject<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Csi<'a> {
    #[serde(borrow)]
    driver: Str<'a>,
    #[serde(borrow)]
    volume_handle: Str<'a>,
}

#[derive(Debug, Deserialize)]
struct AwsDisk<'a> {
    #[serde(borrow, rename = "volumeID")]
    volume_id: Str<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GceDisk<'a> {
    #[serde(borrow)]
    pd_name: Str<'a>,
}

#[derive(Debug, Deserialize)]
struct AzureDisk<'a> {
    #[serde(borrow, rename = "diskURI")]
    disk_uri: Str<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Status<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    phase: Str<'a>,
}

// === impl VolumeObject ===

impl<'a> Row<'a> for VolumeObject<'a> {
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        let Self { metadata, spec, status } = self;
        let class = metadata.storage_class().unwrap_or(&spec.storage_class_name);
        let (driver, handle) = spec.driver_and_handle().unwrap_or_default();
        let volume = Volume {
            name: pools.text(&metadata.name.0),
            labels: metadata.labels(pools),
            node_affinity: spec.node_affinity.required.as_ref().map(|required| required.to_selector(pools)),
            class: pools.text(class),
            capacity: spec.capacity.storage(),
            driver: (!driver.is_empty()).then(|| pools.text(driver)),
            handle: pools.text(handle),
            available: *status.phase == *"Available",
        };
        Ok(Object::Volume(volume))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }
}

// === impl Spec ===

impl Spec<'_> {
    /// Volumes of the old in-tree drivers are attached by the CSI drivers that replaced them, and kube-scheduler
    /// counts them under those names (k8s.io/csi-translation-lib).
    fn driver_and_handle(&self) -> Option<(&str, &str)> {
        if let Some(csi) = &self.csi {
            return Some((&csi.driver, &csi.volume_handle));
        }
        if let Some(disk) = &self.aws_elastic_block_store {
            // Written as vol-1 or as aws://zone/vol-1.
            let id = disk.volume_id.rsplit_once('/').map_or(&*disk.volume_id, |(_, id)| id);
            return Some(("ebs.csi.aws.com", id));
        }
        if let Some(disk) = &self.gce_persistent_disk {
            return Some(("pd.csi.storage.gke.io", &disk.pd_name));
        }
        self.azure_disk.as_ref().map(|disk| ("disk.csi.azure.com", &*disk.disk_uri))
    }
}

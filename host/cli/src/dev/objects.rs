//! What the local cluster begins with.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use plimsoll_apiserver::Store;
use serde_json::Value;

use super::NAMESPACE;

/// The configuration of the web shop.
pub const CONFIG: &str = include_str!("../../../../examples/dev/plimsoll.yaml");
/// Its objects.
const OBJECTS: &str = include_str!("../../../../examples/dev/cluster.yaml");

/// Puts the objects of these files into the store, or those of the web shop where no file is given.
pub fn load(store: &Store, files: &[PathBuf]) -> Result<()> {
    put(store, serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}))?;
    if files.is_empty() {
        return read(store, OBJECTS).context("the example");
    }
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        read(store, &text).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn read(store: &Store, text: &str) -> Result<()> {
    let documents: Vec<Value> = if text.trim_start().starts_with('{') {
        vec![serde_json::from_str(text).context("it is no JSON")?]
    } else {
        serde_saphyr::from_multiple(text).context("it is no YAML")?
    };
    for mut document in documents {
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items.into_iter().try_for_each(|item| put(store, item))?,
            _ if document.is_null() => {}
            _ => put(store, document)?,
        }
    }
    Ok(())
}

fn put(store: &Store, mut object: Value) -> Result<()> {
    let (kind, name) = (object["kind"].to_string(), object["metadata"]["name"].to_string());
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        bail!("an object of kind {kind} has no metadata");
    };
    // A dump says what another server called its versions.
    metadata.remove("resourceVersion");
    metadata.remove("managedFields");
    store.apply(object).map_err(|refusal| anyhow::anyhow!("{kind} {name}: {}", refusal.message))?;
    Ok(())
}

/// Fewer replicas of the web shop. False if it is not there.
pub fn evening(store: &Store) -> bool {
    let fewer = store.update("deployments.apps", "shop", "web", |web| web["spec"]["replicas"] = 4.into());
    fewer.is_ok()
}

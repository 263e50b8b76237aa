//! Kubernetes objects as helm prints them.

use anyhow::Result;
use serde_json::Value;

/// The objects of a rendered chart.
pub fn parse(text: &str) -> Result<Vec<Value>> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(text)?;
    Ok(objects.into_iter().filter(|object| !object.is_null()).collect())
}

/// Without objects of which Kubernetes itself has no schema.
pub fn without_custom(text: &str) -> String {
    let documents = text.split("\n---\n").filter(|document| !document.contains("\napiVersion: monitoring.coreos.com/"));
    documents.collect::<Vec<_>>().join("\n---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "---\n# Source: a\napiVersion: v1\nkind: Service\nspec: {port: 80, on: true}\n---\n# Source: b\n\
                       apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\n";

    #[test]
    fn documents_are_read_with_their_types() {
        let objects = parse(TWO).unwrap();
        assert_eq!(objects.len(), 2);
        assert_eq!(objects[0]["spec"], serde_json::json!({"port": 80, "on": true}));
        assert!(parse("a: [").is_err());
        assert!(parse("a: 1\na: 2\n").is_err());
    }

    #[test]
    fn custom_objects_are_left_out() {
        let objects = parse(&without_custom(TWO)).unwrap();
        assert_eq!(objects.len(), 1);
        assert_eq!(objects[0]["kind"], "Service");
    }
}

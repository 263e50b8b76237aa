//! The settings of a policy: JSON text in the request, a struct of the author's in the policy.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// For a policy without settings: any key is an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Reads settings. Text that is empty or `{}` gives the defaults without a look at serde.
///
/// # Errors
/// A sentence that names the key and says what is wrong with it.
pub fn parse<S: DeserializeOwned + Default>(text: &str) -> Result<S, String> {
    let text = text.trim_ascii();
    if matches!(text, "" | "{}") {
        return Ok(S::default());
    }
    // serde would take a list for a struct, by position.
    if !text.starts_with('{') {
        return Err("the settings are wrong: write keys and their values".into());
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let settings = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        sentence(&path, &error.into_inner())
    })?;
    json.end().map_err(|error| sentence(".", &error))?;
    Ok(settings)
}

fn sentence(path: &str, error: &serde_json::Error) -> String {
    let problem = error.to_string();
    // The line and column are those of text that nobody wrote: the configuration is YAML.
    let problem = problem.rfind(" at line ").map_or(problem.as_str(), |end| &problem[..end]);
    match path {
        "." | "?" => format!("the settings are wrong: {problem}"),
        key => format!("the setting `{key}` is wrong: {problem}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
    struct Sample {
        max_nodes: u32,
        groups: Vec<String>,
    }

    #[test]
    fn nothing_gives_the_defaults() {
        for text in ["", "{}", "  {}\n", "{ }"] {
            assert_eq!(parse::<Sample>(text), Ok(Sample::default()), "{text:?}");
        }
    }

    #[test]
    fn keys_are_read() {
        let expected = Sample { max_nodes: 3, groups: vec!["a".into()] };
        assert_eq!(parse(r#"{"maxNodes": 3, "groups": ["a"]}"#), Ok(expected));
    }

    #[test]
    fn an_error_names_the_key() {
        for (text, expected) in [
            (
                r#"{"maxNodes": "three"}"#,
                "the setting `maxNodes` is wrong: invalid type: string \"three\", expected u32",
            ),
            (
                r#"{"groups": ["a", 1]}"#,
                "the setting `groups[1]` is wrong: invalid type: integer `1`, expected a string",
            ),
            (r#"{"nodes": 1}"#, "the setting `nodes` is wrong: unknown field `nodes`, expected `maxNodes` or `groups`"),
            ("[1]", "the settings are wrong: write keys and their values"),
            ("{} x", "the settings are wrong: trailing characters"),
        ] {
            assert_eq!(parse::<Sample>(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn a_policy_without_settings_takes_none() {
        assert_eq!(parse("{}"), Ok(NoSettings {}));
        let error = parse::<NoSettings>(r#"{"a": 1}"#).unwrap_err();
        assert_eq!(error, "the setting `a` is wrong: unknown field `a`, there are no fields");
    }
}

//! What the configuration may set.

use regex_lite::Regex;
use serde::Deserialize;

/// The settings, all optional.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// What makes one option better than another.
    pub strategy: Strategy,
    /// Which groups come first; read by the strategy `priority` only.
    pub priorities: Vec<Priority>,
    /// Among options that the strategy finds equal, spot comes first. Pods that insist on on-demand never see
    /// a spot option, so this never moves them.
    pub prefer_spot: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { strategy: Strategy::default(), priorities: Vec::new(), prefer_spot: true }
    }
}

/// What makes one option better than another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The least money for the pods that it places.
    #[default]
    LeastCost,
    /// The least sum of the unused shares of CPU and of memory.
    LeastWaste,
    /// The most pods placed.
    MostPods,
    /// The fewest nodes for the pods that it places.
    LeastNodes,
    /// The group with the highest priority, then the least money.
    Priority,
}

/// Groups of one priority.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Priority {
    /// Higher comes first. Groups that nothing matches come last.
    pub priority: i32,
    /// Regular expressions; a group has this priority if one of them matches a part of its name.
    pub groups: Vec<String>,
}

impl Settings {
    /// Checks what serde does not.
    ///
    /// # Errors
    /// A sentence that names the key, what is wrong, and what to write.
    pub fn validate(&self) -> Result<(), String> {
        if self.strategy == Strategy::Priority && self.priorities.is_empty() {
            return Err("the strategy `priority` needs `priorities`: write a list of `{priority: 50, groups: \
                        [\"regular expression\"]}`"
                .into());
        }
        for (p, priority) in self.priorities.iter().enumerate() {
            if priority.groups.is_empty() {
                return Err(format!("the setting `priorities[{p}].groups` is empty: write a regular expression"));
            }
            for (g, pattern) in priority.groups.iter().enumerate() {
                Regex::new(pattern).map_err(|error| {
                    format!(
                        "the setting `priorities[{p}].groups[{g}]` is not a regular expression: {pattern:?}: {error}"
                    )
                })?;
            }
        }
        Ok(())
    }
}

/// The priorities with their expressions compiled, highest first.
#[derive(Debug, Default)]
pub struct Priorities(Vec<(i32, Regex)>);

impl Priorities {
    /// Compiles what `settings` asks for: nothing unless the strategy is `priority`.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        if settings.strategy != Strategy::Priority {
            return Priorities::default();
        }
        let mut rules: Vec<_> = settings
            .priorities
            .iter()
            .flat_map(|rule| rule.groups.iter().map(|pattern| (rule.priority, pattern)))
            // What does not compile was an error when the configuration was loaded.
            .filter_map(|(priority, pattern)| Some((priority, Regex::new(pattern).ok()?)))
            .collect();
        rules.sort_by_key(|(priority, _)| core::cmp::Reverse(*priority));
        Priorities(rules)
    }

    /// The highest priority whose expressions match the group; `None` if none does.
    #[must_use]
    pub fn of(&self, group: &str) -> Option<i32> {
        self.0.iter().find(|(_, pattern)| pattern.is_match(group)).map(|(priority, _)| *priority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_sdk::settings::parse;

    fn error_of(text: &str) -> String {
        match parse::<Settings>(text) {
            Ok(settings) => settings.validate().unwrap_err(),
            Err(error) => error,
        }
    }

    #[test]
    fn reads_every_key() {
        let text = r#"{"strategy": "priority", "preferSpot": false,
                       "priorities": [{"priority": 50, "groups": ["^shop-", "batch"]}]}"#;
        let settings: Settings = parse(text).unwrap();
        let groups = vec!["^shop-".to_owned(), "batch".to_owned()];
        let priorities = vec![Priority { priority: 50, groups }];
        assert_eq!(settings, Settings { strategy: Strategy::Priority, priorities, prefer_spot: false });
        assert_eq!(settings.validate(), Ok(()));
        assert!(parse::<Settings>("{}").unwrap().prefer_spot);
    }

    #[test]
    fn reads_every_strategy() {
        for (name, strategy) in [
            ("least-cost", Strategy::LeastCost),
            ("least-waste", Strategy::LeastWaste),
            ("most-pods", Strategy::MostPods),
            ("least-nodes", Strategy::LeastNodes),
            ("priority", Strategy::Priority),
        ] {
            assert_eq!(parse::<Settings>(&format!(r#"{{"strategy": "{name}"}}"#)).unwrap().strategy, strategy);
        }
    }

    #[test]
    fn errors_name_the_key() {
        for (text, expected) in [
            (r#"{"strategy": "cheap"}"#, "`strategy`"),
            (r#"{"strategy": "priority"}"#, "needs `priorities`"),
            (r#"{"priorities": [{"priority": 1}]}"#, "`priorities[0]` is wrong: missing field `groups`"),
            (r#"{"priorities": [{"priority": 1, "groups": []}]}"#, "`priorities[0].groups` is empty"),
            (r#"{"priorities": [{"priority": 1, "groups": ["a", "("]}]}"#, "`priorities[0].groups[1]`"),
            (r#"{"preferspot": true}"#, "unknown field `preferspot`"),
        ] {
            let error = error_of(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_highest_match_counts() {
        let rule = |priority, pattern: &str| Priority { priority, groups: vec![pattern.into()] };
        let priorities = vec![rule(5, "micro"), rule(50, "large"), rule(10, "")];
        let settings = Settings { strategy: Strategy::Priority, priorities, ..Settings::default() };
        let compiled = Priorities::new(&settings);
        assert_eq!(compiled.of("t2.micro"), Some(10));
        assert_eq!(compiled.of("m4.large"), Some(50));
        let none = Settings { priorities: vec![rule(5, "^micro$")], ..settings };
        assert_eq!(Priorities::new(&none).of("t2.micro"), None);
    }
}

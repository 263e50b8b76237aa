//! Label selectors, as `k8s.io/apimachinery/pkg/labels` reads them.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use crate::semantics::refusal::Refusal;

/// Which labels an object must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// Nothing matches: the selector of an object that has none.
    nothing: bool,
    /// All must hold, ordered by key.
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equals,
    NotEquals,
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Symbol(&'static str),
    End,
}

/// The symbols of the language, the longer ones first.
const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

// === impl LabelSelector ===

impl LabelSelector {
    /// What matches every object.
    pub fn everything() -> Self {
        Self::default()
    }

    /// What matches no object.
    pub fn nothing() -> Self {
        Self { nothing: true, requirements: Vec::new() }
    }

    /// Reads the text of `?labelSelector=`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut parser = Parser { tokens: tokens(text), at: 0 };
        let mut requirements = parser.requirements().map_err(Refusal::bad_request)?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { nothing: false, requirements })
    }

    /// Reads `spec.selector` of an object: none of it matches nothing, an empty one everything.
    pub fn from_json(selector: &Value) -> Result<Self, Refusal> {
        if selector.is_null() {
            return Ok(Self::nothing());
        }
        let problem = |text: String| Refusal::bad_request(text);
        let mut requirements = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            requirements.push(requirement(key, Operator::Equals, [value.to_owned()].into()).map_err(problem)?);
        }
        for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let text = |field: &str| expression.get(field).and_then(Value::as_str).unwrap_or_default();
            let operator = match text("operator") {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(problem(format!("\"{other}\" is not a valid label selector operator"))),
            };
            let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
            let values = values.filter_map(Value::as_str).map(str::to_owned).collect();
            requirements.push(requirement(text("key"), operator, values).map_err(problem)?);
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { nothing: false, requirements })
    }

    /// Whether an object with these labels is selected.
    pub fn matches_labels(&self, labels: Option<&Map<String, Value>>) -> bool {
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        !self.nothing && self.requirements.iter().all(|requirement| requirement.holds(label(&requirement.key)))
    }

    /// Whether this object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        self.matches_labels(object.pointer("/metadata/labels").and_then(Value::as_object))
    }

    /// Whether every object is selected.
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

// === impl Requirement ===

impl Requirement {
    fn holds(&self, label: Option<&str>) -> bool {
        let listed = label.is_some_and(|label| self.values.contains(label));
        let number = || label.and_then(|label| label.parse::<i64>().ok());
        let bound = || self.values.first().and_then(|value| value.parse::<i64>().ok());
        match self.operator {
            Operator::Equals | Operator::In => listed,
            Operator::NotEquals | Operator::NotIn => !listed,
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan => number().zip(bound()).is_some_and(|(number, bound)| number > bound),
            Operator::LessThan => number().zip(bound()).is_some_and(|(number, bound)| number < bound),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        match self.operator {
            Operator::Equals => write!(f, "{}={values}", self.key),
            Operator::NotEquals => write!(f, "{}!={values}", self.key),
            Operator::In => write!(f, "{} in ({values})", self.key),
            Operator::NotIn => write!(f, "{} notin ({values})", self.key),
            Operator::Exists => f.write_str(&self.key),
            Operator::DoesNotExist => write!(f, "!{}", self.key),
            Operator::GreaterThan => write!(f, "{}>{values}", self.key),
            Operator::LessThan => write!(f, "{}<{values}", self.key),
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

// === impl Parser ===

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn requirements(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        match self.peek() {
            Token::End => return Ok(requirements),
            Token::Word(_) | Token::Symbol("!") => {}
            other => return Err(format!("found '{other}', expected: !, identifier, or 'end of string'")),
        }
        loop {
            let requirement = self.requirement();
            requirements.push(requirement.map_err(|problem| format!("unable to parse requirement: {problem}"))?);
            match self.take() {
                Token::End => return Ok(requirements),
                Token::Symbol(",") => match self.peek() {
                    Token::Word(_) | Token::Symbol("!") => {}
                    other => return Err(format!("found '{other}', expected: identifier after ','")),
                },
                other => return Err(format!("found '{other}', expected: ',' or 'end of string'")),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = *self.peek() == Token::Symbol("!");
        if absent {
            self.at += 1;
        }
        let key = match self.take() {
            Token::Word(key) => key,
            other => return Err(format!("found '{other}', expected: identifier")),
        };
        if absent {
            return requirement(&key, Operator::DoesNotExist, BTreeSet::new());
        }
        let operator = match self.peek() {
            Token::End | Token::Symbol(",") => return requirement(&key, Operator::Exists, BTreeSet::new()),
            Token::Symbol("=" | "==") => Operator::Equals,
            Token::Symbol("!=") => Operator::NotEquals,
            Token::Symbol(">") => Operator::GreaterThan,
            Token::Symbol("<") => Operator::LessThan,
            Token::Word(word) if word == "in" => Operator::In,
            Token::Word(word) if word == "notin" => Operator::NotIn,
            other => return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        };
        self.at += 1;
        let values = match operator {
            Operator::In | Operator::NotIn => self.list()?,
            _ => [self.value()?].into(),
        };
        requirement(&key, operator, values)
    }

    /// What stands after `=`; nothing there is the empty value.
    fn value(&mut self) -> Result<String, String> {
        match self.peek().clone() {
            Token::End | Token::Symbol(",") => Ok(String::new()),
            Token::Word(word) => {
                self.at += 1;
                Ok(word)
            }
            other => Err(format!("found '{other}', expected: identifier")),
        }
    }

    /// `(a,b)`; nothing between commas is the empty value.
    fn list(&mut self) -> Result<BTreeSet<String>, String> {
        match self.take() {
            Token::Symbol("(") => {}
            other => return Err(format!("found '{other}' expected: '('")),
        }
        let mut values = BTreeSet::new();
        loop {
            match self.peek().clone() {
                Token::Word(word) => {
                    self.at += 1;
                    values.insert(word);
                }
                Token::Symbol("," | ")") => {
                    values.insert(String::new());
                }
                other => return Err(format!("found '{other}', expected: ',', ')' or identifier")),
            }
            match self.take() {
                Token::Symbol(",") => {}
                Token::Symbol(")") => return Ok(values),
                other => return Err(format!("found '{other}', expected: ',' or ')'")),
            }
        }
    }
}

// === impl Token ===

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Symbol(symbol) => f.write_str(symbol),
            Self::End => Ok(()),
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            tokens.push(Token::Symbol(symbol));
            rest = &rest[symbol.len()..];
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || "=!(),<>".contains(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    tokens
}

fn requirement(key: &str, operator: Operator, values: BTreeSet<String>) -> Result<Requirement, String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if name.is_empty() || !is_label_value(name) || prefix.is_some_and(|prefix| !is_subdomain(prefix)) {
        return Err(format!(
            "<nil>: Invalid value: {key:?}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
             with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
             '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        ));
    }
    match operator {
        Operator::In | Operator::NotIn if values.is_empty() => {
            return Err("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty".to_owned());
        }
        Operator::GreaterThan | Operator::LessThan => {
            if let Some(value) = values.iter().find(|value| value.parse::<i64>().is_err()) {
                return Err(format!(
                    "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                ));
            }
        }
        _ => {}
    }
    if let Some((index, value)) = values.iter().enumerate().find(|(_, value)| !is_label_value(value)) {
        return Err(format!(
            "values[{index}][{key}]: Invalid value: {value:?}: a valid label must be an empty string or consist of alphanumeric \
             characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  \
             or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        ));
    }
    Ok(Requirement { key: key.to_owned(), operator, values })
}

fn is_label_value(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63 && bytes.iter().copied().all(inside) && ends(bytes.first()) && ends(bytes.last())
}

fn is_subdomain(text: &str) -> bool {
    let part = |part: &str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(inside)
    };
    text.len() <= 253 && text.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(selector: &str, labels: &Value) -> bool {
        LabelSelector::parse(selector).unwrap().matches(&json!({ "metadata": { "labels": labels } }))
    }

    #[test]
    fn every_form_of_the_language_is_read() {
        let labels = json!({ "app": "web", "tier": "", "rank": "7", "x.io/zone": "a" });
        for (selector, expected) in [
            ("", true),
            ("app=web", true),
            ("app==web", true),
            ("app = web", true),
            ("app=db", false),
            ("app!=db", true),
            ("app!=web", false),
            ("none!=web", true),
            ("app", true),
            ("none", false),
            ("!none", true),
            ("! none", true),
            ("!app", false),
            ("app in (web, db)", true),
            ("app in (db)", false),
            ("none in (db)", false),
            ("app notin (db,cache)", true),
            ("app notin (web)", false),
            ("none notin (web)", true),
            ("tier=", true),
            ("tier in (,a)", true),
            ("app=", false),
            ("rank>6", true),
            ("rank>7", false),
            ("rank<8", true),
            ("app>1", false),
            ("x.io/zone=a,app in (web),!gone", true),
            ("x.io/zone=a,app in (web),gone", false),
        ] {
            assert_eq!(matches(selector, &labels), expected, "{selector}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_in_the_words_of_the_real_server() {
        for (selector, problem) in [
            ("a===b", "found '=', expected: identifier"),
            ("a in (b", "found '', expected: ',' or ')'"),
            ("g>h", "values[0]: Invalid value: \"h\": for 'Gt', 'Lt' operators, the value must be an integer"),
            ("a b", "found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ] {
            let refusal = LabelSelector::parse(selector).unwrap_err();
            assert_eq!(refusal.message, format!("unable to parse requirement: {problem}"), "{selector}");
            assert_eq!(refusal.code, 400);
        }
        for (selector, problem) in [
            ("a,", "found '', expected: identifier after ','"),
            ("a,,b", "found ',', expected: identifier after ','"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ] {
            assert_eq!(LabelSelector::parse(selector).unwrap_err().message, problem, "{selector}");
        }
        for selector in ["-a=b", "a=-b", "A/b/c=d", "UPPER.io/a", "a=ü", "a//b"] {
            assert!(LabelSelector::parse(selector).is_err(), "{selector}");
        }
    }

    #[test]
    fn no_selector_matches_nothing_and_an_empty_one_everything() {
        let pod = json!({ "metadata": {} });
        assert!(!LabelSelector::from_json(&Value::Null).unwrap().matches(&pod));
        assert!(LabelSelector::from_json(&json!({})).unwrap().matches(&pod));
        assert!(
            LabelSelector::from_json(&json!({ "matchExpressions": [{ "key": "a", "operator": "Near" }] })).is_err()
        );
        assert!(LabelSelector::from_json(&json!({ "matchExpressions": [{ "key": "a", "operator": "In" }] })).is_err());
    }

    #[test]
    fn the_text_is_ordered_by_key() {
        let selector = json!({
            "matchLabels": { "a": "b" },
            "matchExpressions": [
                { "key": "z", "operator": "In", "values": ["2", "1"] }, { "key": "g", "operator": "DoesNotExist" }
            ]
        });
        assert_eq!(LabelSelector::from_json(&selector).unwrap().to_string(), "a=b,!g,z in (1,2)");
        assert_eq!(LabelSelector::nothing().to_string(), "");
    }
}

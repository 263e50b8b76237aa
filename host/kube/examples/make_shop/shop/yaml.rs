//! YAML as `kubectl` prints it: keys in order, lists not indented, text in quotes only where it needs them.

use serde_json::{Map, Value};

/// One document.
pub fn document(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, 0);
    out
}

/// Writes a value whose key, if it has one, stands on the line before.
fn write_value(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) => write_map(out, map, indent, true),
        Value::Array(list) => {
            for item in list {
                out.push_str(&" ".repeat(indent));
                out.push_str("- ");
                match item {
                    Value::Object(map) if !map.is_empty() => write_map(out, map, indent + 2, false),
                    scalar => out.push_str(&format!("{}\n", inline(scalar))),
                }
            }
        }
        scalar => out.push_str(&format!("{}{}\n", " ".repeat(indent), inline(scalar))),
    }
}

fn write_map(out: &mut String, map: &Map<String, Value>, indent: usize, mut indent_first: bool) {
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_unstable();
    for key in keys {
        if indent_first {
            out.push_str(&" ".repeat(indent));
        }
        indent_first = true;
        out.push_str(&text(key));
        out.push(':');
        match &map[key] {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                write_map(out, inner, indent + 2, true);
            }
            list @ Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                write_value(out, list, indent);
            }
            scalar => out.push_str(&format!(" {}\n", inline(scalar))),
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        other => other.to_string(),
    }
}

/// Text that would read as something else gets quotes.
fn text(string: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-@%+=,:() ".contains(c);
    let first = string.chars().next().unwrap_or(' ');
    let is_word = matches!(
        string.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    // Times, numbers and quantities like 1e3 all start like a number.
    let like_number = string.parse::<f64>().is_ok() || string.contains('T') && string.ends_with('Z');
    let safe = (first.is_ascii_alphanumeric() || first == '/')
        && string.chars().all(plain)
        && !string.contains(": ")
        && !string.ends_with([':', ' '])
        && !is_word
        && !like_number;
    if safe { string.to_owned() } else { Value::from(string).to_string() }
}

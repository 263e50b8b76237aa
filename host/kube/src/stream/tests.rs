//! Tests of the splitting of streams.

use super::*;

/// What the sink got: line, kind, version and text of each object.
#[derive(Default)]
struct Seen(Vec<(u64, String, String, String)>);

impl Sink for Seen {
    fn object(&mut self, object: RawObject<'_>) {
        let or_none = |text: Option<&str>| text.unwrap_or("-").to_owned();
        let text = String::from_utf8_lossy(object.text).into_owned();
        self.0.push((object.line, or_none(object.kind), or_none(object.api_version), text));
    }
}

fn split(text: &str) -> Result<Vec<(u64, String)>, String> {
    let mut seen = Seen::default();
    match read_objects(text.as_bytes(), &mut seen) {
        Ok(()) => Ok(seen.0.into_iter().map(|(line, kind, version, _)| (line, format!("{kind} {version}"))).collect()),
        Err(StreamError::Syntax(error)) => Err(error.to_string()),
        Err(StreamError::Broke { line, problem }) => Err(format!("broke at {line}: {problem}")),
    }
}

fn found(text: &str) -> Vec<(u64, String)> {
    split(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn expect(objects: &[(u64, &str)]) -> Vec<(u64, String)> {
    objects.iter().map(|(line, kind)| (*line, (*kind).to_owned())).collect()
}

#[test]
fn lists_give_their_items_wherever_the_kind_stands() {
    let items = r#"[{"kind":"Pod","apiVersion":"v1"},
        {"apiVersion":"v1","kind":"Node"}]"#;
    let expected = expect(&[(1, "Pod v1"), (2, "Node v1")]);
    assert_eq!(found(&format!(r#"{{"apiVersion":"v1","kind":"List","items":{items}}}"#)), expected);
    assert_eq!(found(&format!(r#"{{"items":{items},"kind":"List","apiVersion":"v1"}}"#)), expected);
    assert_eq!(found(&format!(r#"{{"source":"x","n":1.5,"things":{items},"other":[]}}"#)), expected);
    assert_eq!(found(items), expected);
}

#[test]
fn items_of_typed_lists_take_kind_and_version_of_the_list() {
    let expected = expect(&[(1, "Pod v1"), (2, "Pod v1")]);
    assert_eq!(found("{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[{},\n{}]}"), expected);
    assert_eq!(found("{\"items\":[{},\n{}],\"kind\":\"PodList\",\"apiVersion\":\"v1\"}"), expected);
    assert_eq!(found("{\"kind\":\"List\",\"items\":[{\"apiVersion\":\"v1\"}]}"), expect(&[(1, "- v1")]));
    assert_eq!(found("{\"kind\":\"PodList\",\"items\":null}"), []);
}

#[test]
fn objects_keep_their_own_arrays() {
    let text = "\n{\"rules\":[{\"a\":1},\n{\"b\":2}],\n\"kind\":\"Role\",\"apiVersion\":\"rbac/v1\",\"x\":[1]}";
    let mut seen = Seen::default();
    read_objects(text.as_bytes(), &mut seen).unwrap();
    assert_eq!(seen.0, [(2, "Role".into(), "rbac/v1".into(), text[1..].into())]);
    assert_eq!(found(r#"{"kind":"AllowList","spec":{"items":[]}}"#), expect(&[(1, "AllowList -")]));
    assert_eq!(found(r#"{"kind":"Set","items":[{"kind":"Pod"}]}"#), expect(&[(1, "Set -")]));
}

#[test]
fn many_documents_lists_of_lists_and_what_has_no_kind() {
    assert_eq!(
        found("{\"kind\":\"Pod\"}{\"kind\":\"Node\"}\n\n{\"kind\":\"List\",\"items\":[]}\n{\"kind\":\"Pod\"}"),
        expect(&[(1, "Pod -"), (1, "Node -"), (4, "Pod -")])
    );
    assert_eq!(
        found("[{\"kind\":\"PodList\",\"items\":[\n{}]},\n{\"kind\":\"List\",\"items\":[{\"kind\":\"Node\"}]}]"),
        expect(&[(2, "Pod -"), (3, "Node -")])
    );
    assert_eq!(found("{\"a\":1}"), expect(&[(1, "- -")]));
    assert_eq!(found("{\"kind\":5}"), expect(&[(1, "- -")]));
    assert_eq!(found("{\"pods\":[{\"metadata\":{}}]}"), expect(&[(1, "- -")]));
    assert_eq!(found("{}"), []);
    assert_eq!(found("{\"pods\":[]}"), []);
    assert_eq!(found(""), []);
}

#[test]
fn yaml_is_read_like_json_with_its_lines() {
    let list =
        "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: a\n\n- kind: Node\nkind: List\n";
    assert_eq!(found(list), expect(&[(3, "Pod v1"), (8, "Node -")]));
    let documents = "# first\n---\nkind: Pod\n---\n---\n# nothing\n...\n---\nkind: Node\napiVersion: v1\n";
    assert_eq!(found(documents), expect(&[(3, "Pod -"), (9, "Node v1")]));
    assert_eq!(found("\u{feff}kind: Pod"), expect(&[(1, "Pod -")]));
    assert_eq!(found("\u{feff} {\"kind\": \"Pod\"}"), expect(&[(1, "Pod -")]));
    assert_eq!(found("# only a comment\n"), []);
}

#[test]
fn yaml_scalars_become_the_json_they_stand_for() {
    let yaml = "kind: X\na: [1, -2, 1.5, 1e3, 007, 0x1F, .5, +1, 1.2.3, -x]\nb: [true, False, yes, null, ~, '1', \"é\\n\", !!str 5]\n\
                c: |\n  two\n  lines\nd: >-\n  one\n  line\n5: {on: }\n";
    let mut seen = Seen::default();
    read_objects(yaml.as_bytes(), &mut seen).unwrap();
    let value: serde_json::Value = serde_json::from_str(&seen.0[0].3).unwrap();
    let expected = serde_json::json!({
        "kind": "X",
        "a": [1, -2, 1.5, 1e3, "007", "0x1F", ".5", "+1", "1.2.3", "-x"],
        "b": [true, false, "yes", null, null, "1", "é\n", "5"],
        "c": "two\nlines\n", "d": "one line", "5": {"on": null},
    });
    assert_eq!(value, expected);
}

#[test]
fn anchors_are_repeated_and_bombs_refused() {
    let mut seen = Seen::default();
    let yaml = "kind: X\na: &a {k: &b [1, &c two]}\nb: *a\nc: *b\nd: *c\n";
    read_objects(yaml.as_bytes(), &mut seen).unwrap();
    let value: serde_json::Value = serde_json::from_str(&seen.0[0].3).unwrap();
    assert_eq!(value["b"], serde_json::json!({"k": [1, "two"]}));
    assert_eq!((&value["c"], &value["d"]), (&serde_json::json!([1, "two"]), &serde_json::json!("two")));

    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let error = split(&bomb).unwrap_err();
    assert!(error.starts_with("line 7, ") && error.contains("16 MiB"), "{error}");
    let error = split("kind: X\na: &a [*a]\n").unwrap_err();
    assert!(error.starts_with("line 2, "), "{error}");
    let error = split("kind: X\n<<: {a: 1}\n").unwrap_err();
    assert_eq!(error, "line 2, column 1: merge keys (<<) are not read; write the fields out");
}

#[test]
fn nesting_bombs_are_refused() {
    let deep = 200_000;
    for text in ["[".repeat(deep), "{\"a\":".repeat(deep), "- ".repeat(deep), "{a: ".repeat(deep), "a: [".repeat(deep)]
    {
        split(&text).unwrap_err();
    }
    let closed = format!("{{\"kind\":\"Pod\",\"spec\":{}{}}}", "[".repeat(deep), "]".repeat(deep));
    assert_eq!(found(&closed).len(), 1);
    let lists = "{\"kind\":\"List\",\"items\":[".repeat(10) + &"]}".repeat(10);
    assert!(split(&lists).unwrap_err().contains("lists in lists"));
}

#[test]
fn what_is_no_dump_is_named_with_its_place() {
    for (text, expected) in [
        ("hello world", "line 1, column 1: this is no Kubernetes object"),
        ("{\"kind\":\"Pod\"", "line 1, column 14: the text ends in the middle"),
        ("{\"kind\":\"List\",\n\"items\":[{\"kind\":\"Po", "line 2, column 21: the text ends in the middle"),
        ("{\"kind\":\"Pod\",}", "line 1, column 15: expected a field name"),
        ("{\"kind\":\"Pod\" \"x\":1}", "line 1, column 15: expected , or }"),
        ("{\"items\":[{}\n{}]}", "line 2, column 1: expected , or ]"),
        ("{\"kind\":\n\"Pod\", \"a\": nope}", "line 2, column 14: expected ident"),
        ("{\"items\":[\n{\"a\":1,\n\"b\":tru}]}", "line 3, column 8: expected ident"),
        ("apiVersion: v1\nitems:\n- kind: Pod\n", "line 3, column 1: this list does not say its kind"),
        ("a: 1\n b: 2\n", "line 2, column "),
        ("a: [1, 2\n", "line 1, column 4: unclosed bracket"),
        ("a: \"x\n", "line 2, column 1: "),
        ("a: b\0c\n", "line 1, column 1: this is no text"),
        ("\u{1f}\u{8b}", "line 1, column 1: "),
    ] {
        let error = split(text).unwrap_err();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
    for bytes in [&[0u8; 5000][..], &[0xff, 0xfe, b'{', 0], &[0x1f, 0x8b, 8, 0], &[b'k', 0xfa, 0xfb], b"\xff\xff\xff"] {
        let mut seen = Seen::default();
        assert!(matches!(read_objects(bytes, &mut seen), Err(StreamError::Syntax(_))), "{bytes:?}");
    }
}

#[test]
fn a_page_is_no_dump() {
    let page = |next: &str| format!("{{\"kind\":\"PodList\",\"metadata\":{{\"continue\":{next}}},\"items\":[{{}}]}}");
    for whole in ["\"\"", "null", "5"] {
        assert_eq!(found(&page(whole)).len(), 1, "{whole}");
    }
    assert!(split(&page("\"eyJ2Ijoi\"")).unwrap_err().contains("one page of several"));
}

#[test]
fn line_ends_of_windows_and_long_items_are_fine() {
    let yaml = "kind: List\r\nitems:\r\n- kind: Pod\r\n  a: |\r\n    x\r\n    y\r\n- kind: Node\r\n";
    assert_eq!(found(yaml), expect(&[(3, "Pod -"), (7, "Node -")]));
    assert_eq!(found("{\r\n\"kind\":\"List\",\r\n\"items\":[\r\n{\"kind\":\"Pod\"}]}\r\n"), expect(&[(4, "Pod -")]));
    let long = "x".repeat(100_000);
    assert_eq!(
        found(&format!("kind: Pod\na:\n- {long}\n- '{long}'\n{}: b\n", "k".repeat(300))),
        expect(&[(1, "Pod -")])
    );
}

#[test]
fn a_reader_that_fails_is_named_with_the_last_line() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }
    for text in ["{\"kind\":\"List\",\n\"items\":[", "kind: List\nitems:\n"] {
        let padded = format!("{text}{}", " ".repeat(5000));
        let outcome = read_objects(padded.as_bytes().chain(Fails), &mut Seen::default());
        let Err(StreamError::Broke { problem, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(problem.to_string(), "disk on fire");
    }
}

#[test]
fn large_values_and_small_reads_change_nothing() {
    let huge = "x".repeat(3 * 1024 * 1024);
    let json =
        format!("{{\"kind\":\"List\",\"items\":[{{\"kind\":\"Pod\",\"a\":\"{huge}\"}},\n{{\"kind\":\"Node\"}}]}}");
    assert_eq!(found(&json), expect(&[(1, "Pod -"), (2, "Node -")]));
    let yaml = format!("kind: List\nitems:\n- a: {huge}\n  b: \"{huge}\"\n  kind: Pod\n- kind: Node\n");
    assert_eq!(found(&yaml), expect(&[(3, "Pod -"), (6, "Node -")]));
}

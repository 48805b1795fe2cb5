use proptest::prelude::*;
use serde_json::json;

use super::*;

fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

fn set(text: &str, at: &str, value: &Value) -> String {
    with_member(text, &path(at), value).unwrap()
}

#[test]
fn a_member_is_put_first_in_the_words_of_the_file() {
    for (before, after) in [
        ("", "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n"),
        ("{}", "{\n  \"a\": {\n    \"b\": 1\n  }\n}"),
        ("{\n\t\"z\": [ 1,2 ]\n}\n", "{\n\t\"a\": {\n\t\t\"b\": 1\n\t},\n\t\"z\": [ 1,2 ]\n}\n"),
        ("{\"z\":1}", "{\"a\":{\"b\":1},\"z\":1}"),
        ("{\"z\": 1}", "{\"a\": {\"b\":1},\"z\": 1}"),
        ("{\r\n  \"z\": 1\r\n}", "{\r\n  \"a\": {\r\n    \"b\": 1\r\n  },\r\n  \"z\": 1\r\n}"),
        ("{\n  \"a\": {}\n}", "{\n  \"a\": {\n    \"b\": 1\n  }\n}"),
        ("{\n  \"a\": {\n    \"c\": \"}\\\"{\"\n  }\n}", "{\n  \"a\": {\n    \"b\": 1,\n    \"c\": \"}\\\"{\"\n  }\n}"),
        ("{\n  \"a\": {\n    \"b\": \"x\"\n  }\n}", "{\n  \"a\": {\n    \"b\": 1\n  }\n}"),
    ] {
        assert_eq!(set(before, "a.b", &json!(1)), after);
    }
}

#[test]
fn an_item_is_put_first_and_taken_out_from_anywhere() {
    let text = "{\n  \"deny\": [\n    \"b\",\n    \"c\"\n  ]\n}\n";

    let more = with_item(text, &path("deny"), "a").unwrap();

    assert_eq!(more, "{\n  \"deny\": [\n    \"a\",\n    \"b\",\n    \"c\"\n  ]\n}\n");
    assert!(has_item(&more, &path("deny"), "a").unwrap());
    assert_eq!(without_item(&more, &path("deny"), "a").unwrap(), text);
    assert_eq!(without_item(text, &path("deny"), "c").unwrap(), "{\n  \"deny\": [\n    \"b\"\n  ]\n}\n");
}

#[test]
fn what_is_no_object_is_refused_with_its_line() {
    let broken = with_member("{\n  \"a\": 1,\n}", &path("b"), &json!(1)).unwrap_err();

    assert!(matches!(broken, EditError::Malformed { line: 3, .. }), "{broken:?}");
    for text in ["[]", "1", "{\"a\": 1}", "{\"a\": [1]}"] {
        assert!(with_member(text, &path("a.b"), &json!(1)).is_err(), "{text}");
    }
    assert!(with_item("{\"a\": {}}", &path("a"), "b").is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-c\"\\\\{}\\[\\],:\n\u{e4}]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d\"}]{1,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_file() -> impl Strategy<Value = String> {
    (prop::collection::btree_map("[a-d\"}]{1,2}", any_json(), 0..5), 0..4_u8).prop_map(|(members, layout)| {
        let value = Value::Object(members.into_iter().collect());
        match layout {
            0 => value.to_string(),
            1 => format!("{value:#}\n"),
            2 => format!(" {value:#}").replace('\n', "\r\n"),
            _ => format!("{value:#}").replace("  ", "\t"),
        }
    })
}

proptest! {
    #[test]
    fn what_is_set_is_there_and_all_else_is_as_before(text in any_file(), value in any_json()) {
        let at = path("a.q");
        let Ok(after) = with_member(&text, &at, &value) else { return Ok(()) };
        let missing = missing_parents(&text, &at).unwrap();
        let back = without_member(&after, &at, missing).unwrap();

        prop_assert_eq!(member(&after, &at).unwrap(), Some(value));
        prop_assert_eq!(parse(&back).unwrap(), parse(&text).unwrap());
        if text.trim() != "{}" && missing == 1 {
            prop_assert_eq!(back, text);
        }
    }

    #[test]
    fn every_member_can_be_taken_out_alone(text in any_file(), key in "[a-d]") {
        let without = without_member(&text, std::slice::from_ref(&key), 0).unwrap();

        let mut expected = parse(&text).unwrap();
        expected.as_object_mut().unwrap().shift_remove(&key);
        prop_assert_eq!(parse(&without).unwrap(), expected);
    }
}

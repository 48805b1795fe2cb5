//! What holds for every page.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{
    CODE_PATH, CONFIRM_PATH, DEVICE_PATH, EMAIL_PATH, Failure, PROVIDER_PATH, STYLE_PATH, Shown, samples::Words,
    style::STYLE,
};

/// What ends text and attributes, turns text around, or is no text at all.
const HOSTILE: &str =
    "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;{{ 7*7 }}\u{202e}\u{2066}\0\r\n{% raw %}<!--";

/// The elements that have no end.
const VOID: [&str; 4] = ["input", "link", "meta", "br"];

const PLAIN: Words<'static> = Words {
    machine: "build-7",
    label: "Acme",
    value: "ada@example.com",
    detail: "not today",
    typed: "ada@",
    code: "K7Q4-MF2X",
    hidden: "secret",
};

fn hostile(text: &str) -> Words<'_> {
    Words { machine: text, label: text, value: text, detail: text, typed: text, code: text, hidden: "secret" }
}

/// An element of a page, with its attributes and all text inside.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    text: String,
}

impl Element {
    fn read(start: &BytesStart<'_>) -> Self {
        let name = start.name().as_ref().to_owned();
        let mut attributes = BTreeMap::new();
        for attribute in start.html_attributes() {
            let attribute = attribute.unwrap();
            let key = attribute.key.as_ref().to_owned();
            let value = unescaped(&attribute.value);
            assert!(attributes.insert(key, value).is_none(), "an attribute stands twice in {name}");
        }
        Self { name, attributes, text: String::new() }
    }

    fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

fn unescaped(text: &str) -> String {
    quick_xml::escape::unescape(text).unwrap().into_owned()
}

/// The elements of a page, in the order in which they end.
///
/// The pages are written so that a strict reader can follow: each element but the void ones has its end.
fn elements(html: &str) -> Vec<Element> {
    let mut reader = Reader::from_str(html);
    reader.config_mut().check_end_names = false;
    let (mut open, mut closed) = (Vec::<Element>::new(), Vec::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                let element = Element::read(&start);
                if VOID.contains(&element.name.as_str()) { closed.push(element) } else { open.push(element) }
            }
            Event::End(end) => {
                let element = open.pop().unwrap();
                assert_eq!(element.name, end.name().as_ref());
                closed.push(element);
            }
            Event::Text(text) => {
                append(&mut open, &text);
            }
            Event::GeneralRef(reference) => {
                let text = unescaped(&format!("&{};", &*reference));
                append(&mut open, &text);
            }
            Event::DocType(_) => {}
            Event::Eof => break,
            other => panic!("what is {other:?} doing here"),
        }
    }
    assert!(open.is_empty());
    closed
}

fn append(open: &mut [Element], text: &str) {
    for element in open {
        element.text.push_str(text);
    }
}

fn named<'a>(elements: &'a [Element], name: &str) -> Vec<&'a Element> {
    elements.iter().filter(|element| element.name == name).collect()
}

#[test]
fn every_page_has_a_title_a_heading_a_language_and_landmarks() {
    for (name, page) in PLAIN.pages() {
        let elements = elements(page.html());

        let one = |tag: &str| -> &Element {
            let found = named(&elements, tag);
            assert_eq!(found.len(), 1, "{name}: {tag}");
            found[0]
        };
        assert!(page.html().starts_with("<!doctype html>"), "{name}");
        assert_eq!(one("html").attribute("lang"), "en", "{name}");
        assert!(!one("h1").text.trim().is_empty(), "{name}");
        assert!(one("main").text.contains(&one("h1").text), "{name}");
        assert_eq!(one("header").text.trim(), "AgentKeys", "{name}");
        assert!(one("title").text.ends_with(" · AgentKeys"), "{name}");
        assert_eq!(one("title").text.starts_with("Error: "), page.status() != StatusCode::OK, "{name}");
        assert!(one("title").text.contains(&one("h1").text), "{name}");
        let metas = named(&elements, "meta");
        assert!(metas.iter().any(|meta| meta.attribute("charset") == "utf-8"), "{name}");
        assert!(
            metas
                .iter()
                .any(|meta| meta.attribute("name") == "color-scheme" && meta.attribute("content") == "light dark"),
            "{name}"
        );
    }
}

#[test]
fn every_field_has_a_label_and_what_describes_it_is_there() {
    let mut fields = 0;
    for (name, page) in PLAIN.pages() {
        let elements = elements(page.html());
        let ids: Vec<_> = elements.iter().map(|element| element.attribute("id")).filter(|id| !id.is_empty()).collect();
        let unique: BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "{name}: an id stands twice");

        for input in named(&elements, "input").iter().filter(|input| input.attribute("type") != "hidden") {
            fields += 1;
            let labels = named(&elements, "label");
            assert!(labels.iter().any(|label| label.attribute("for") == input.attribute("id")), "{name}");
            for attribute in ["name", "autocomplete", "inputmode", "spellcheck", "maxlength"] {
                assert!(input.attributes.contains_key(attribute), "{name}: {attribute}");
            }
            let is_refused = input.attribute("aria-invalid") == "true";
            assert_eq!(is_refused, page.status() != StatusCode::OK, "{name}");
            let alert = elements.iter().find(|element| element.attribute("role") == "alert");
            assert_eq!(alert.is_some(), is_refused, "{name}");
            if let Some(alert) = alert {
                assert!(input.attribute("aria-describedby").split(' ').any(|id| id == alert.attribute("id")), "{name}");
            }
        }
        for element in &elements {
            for id in element.attribute("aria-describedby").split_whitespace() {
                assert!(ids.contains(&id), "{name}: {id}");
            }
        }
    }
    assert!(fields >= 8);
}

#[test]
fn no_page_runs_a_script_has_a_style_of_its_own_or_loads_from_elsewhere() {
    for (name, page) in PLAIN.pages() {
        for element in elements(page.html()) {
            let is_foreign =
                ["script", "style", "img", "iframe", "object", "base", "table", "svg"].contains(&element.name.as_str());
            assert!(!is_foreign, "{name}: {}", element.name);
            for (attribute, value) in &element.attributes {
                assert!(attribute != "style" && !attribute.starts_with("on"), "{name}: {attribute}");
                if ["href", "src", "action", "formaction"].contains(&attribute.as_str()) {
                    assert!(value.starts_with('/') && !value.starts_with("//"), "{name}: {value}");
                }
            }
        }
        assert!(page.html().contains(&format!("href=\"{STYLE_PATH}\"")), "{name}");
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
}

#[test]
fn forms_post_to_their_routes_and_carry_the_hidden_fields() {
    let posts = [
        ("sign-in", PROVIDER_PATH, vec!["provider=google", "provider=acme"]),
        ("sign-in", EMAIL_PATH, vec!["email="]),
        ("code", CODE_PATH, vec!["code="]),
        ("device", DEVICE_PATH, vec!["user_code="]),
        ("confirm-device", CONFIRM_PATH, vec!["decision=approve", "decision=refuse"]),
    ];
    let pages: BTreeMap<_, _> = PLAIN.pages().into_iter().collect();

    for (name, path, sent) in posts {
        let html = pages[name].html();
        let start = html.find(&format!("<form method=\"post\" action=\"{path}\">")).unwrap();
        let form = &html[start..];
        let form = &form[..form.find("</form>").unwrap() + 7];
        let elements = elements(form);

        let controls: Vec<_> = elements
            .iter()
            .filter(|element| element.attributes.contains_key("name"))
            .map(|element| format!("{}={}", element.attribute("name"), element.attribute("value")))
            .collect();
        assert_eq!(controls, [vec!["flow=secret", "csrf=secret"], sent].concat(), "{name}");
    }
}

#[test]
fn a_single_provider_is_the_only_button() {
    let pages: BTreeMap<_, _> = PLAIN.pages().into_iter().collect();

    for name in ["sign-in-one", "sign-in-link"] {
        let elements = elements(pages[name].html());

        assert_eq!(named(&elements, "form").len(), 1, "{name}");
        assert_eq!(named(&elements, "button").len(), 1, "{name}");
    }
}

#[test]
fn hostile_text_stays_text() {
    let plain: BTreeMap<_, _> = PLAIN.pages().into_iter().map(|(name, page)| (name, elements(page.html()))).collect();
    let tags = |elements: &[Element]| -> Vec<_> {
        let of = |element: &Element| (element.name.clone(), element.attributes.keys().cloned().collect::<Vec<_>>());
        elements.iter().map(of).collect()
    };

    for (name, page) in hostile(HOSTILE).pages() {
        let found = elements(page.html());

        assert_eq!(tags(&found), tags(&plain[&name]), "{name}");
        let is_bare = |character: char| "\0\r\u{202e}\u{2066}".contains(character);
        assert!(!page.html().contains(is_bare), "{name}");
    }
    let pages: BTreeMap<_, _> = hostile(HOSTILE).pages().into_iter().collect();
    let confirm = elements(pages["confirm-device"].html());
    let shown = Shown::name(HOSTILE).unwrap().to_string();
    assert!(named(&confirm, "dd").iter().any(|element| element.text.contains(&shown)));
    assert!(named(&confirm, "button").iter().any(|element| element.text.contains(&shown)));
}

#[test]
fn a_long_text_does_not_fill_a_page() {
    let longest = "<".repeat(10_000);

    for (name, page) in hostile(&longest).pages() {
        // Each of at most four texts is cut to 255 characters, of five bytes each once escaped.
        assert!(page.html().len() < 12_000, "{name}: {}", page.html().len());
    }
}

#[test]
fn only_pages_that_lead_elsewhere_say_so() {
    use axum::response::IntoResponse;

    for (name, page) in PLAIN.pages() {
        let response = page.into_response();

        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        let (_, targets) = policy.split_once("form-action ").unwrap();
        let expected = match name.as_str() {
            "sign-in" | "sign-in-error" | "sign-in-one" | "sign-in-device" | "sign-in-link" => "'self' https:",
            "confirm-command" | "confirm-nameless" => "'self' http://127.0.0.1:49152",
            _ => "'self'",
        };
        assert_eq!(targets, expected, "{name}");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "));
    }
}

#[test]
fn the_detail_of_an_error_is_quoted_and_its_code_is_there() {
    let pages: BTreeMap<_, _> = PLAIN.pages().into_iter().collect();

    for failure in Failure::ALL {
        let page = &pages[&format!("error-{}", failure.as_str())];
        let elements = elements(page.html());

        assert_eq!(page.status(), failure.status());
        assert!(named(&elements, "code").iter().any(|code| code.text == failure.as_str()), "{failure:?}");
    }
    assert!(elements(pages["error-provider_error"].html()).iter().any(|element| element.text == "not today"));
}

/// The custom properties of the light theme, and those of the dark one.
fn themes() -> [BTreeMap<&'static str, [f64; 3]>; 2] {
    let (light, rest) = STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let (dark, _) = rest.split_once("\n}\n").unwrap();
    [light, dark].map(|block| {
        let colours = block.lines().filter_map(|line| line.trim().strip_suffix(';')?.split_once(": #"));
        colours.filter(|(_, hex)| hex.len() == 6).map(|(name, hex)| (name, luminances(hex))).collect()
    })
}

fn luminances(colour: &str) -> [f64; 3] {
    let bytes = hex::decode(colour).unwrap();
    let linear = |byte: u8| {
        let value = f64::from(byte) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    [linear(bytes[0]), linear(bytes[1]), linear(bytes[2])]
}

/// WCAG 2.2, "contrast ratio".
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let relative = |[red, green, blue]: [f64; 3]| 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    let (one, other) = (relative(one), relative(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn both_themes_can_be_read() {
    const TEXT: f64 = 4.5;
    const SHAPE: f64 = 3.0;
    let pairs = [
        ("--text", "--card", TEXT),
        ("--text", "--hover", TEXT),
        ("--text", "--notice", TEXT),
        ("--quiet", "--card", TEXT),
        ("--accent", "--card", TEXT),
        ("--danger", "--card", TEXT),
        ("--on-accent", "--accent", TEXT),
        ("--on-accent", "--accent-hover", TEXT),
        ("--line", "--card", SHAPE),
        ("--line", "--hover", SHAPE),
        ("--accent", "--notice", SHAPE),
        ("--focus", "--card", SHAPE),
        ("--focus", "--ground", SHAPE),
    ];
    assert!((contrast(luminances("ffffff"), luminances("000000")) - 21.0).abs() < 0.001);

    for theme in themes() {
        for (front, back, least) in pairs {
            let measured = contrast(theme[front], theme[back]);

            assert!(measured >= least, "{front} on {back}: {measured:.2}");
        }
    }
}

#[test]
fn every_colour_of_the_stylesheet_has_a_name_in_both_themes() {
    let [light, dark] = themes();
    let mut rules = STYLE.lines().filter(|line| !line.trim_start().starts_with("--"));

    assert_eq!(light.keys().collect::<Vec<_>>(), dark.keys().collect::<Vec<_>>());
    assert!(!rules.any(|line| line.contains(": #") || line.contains("rgb") || line.contains("hsl")));
}

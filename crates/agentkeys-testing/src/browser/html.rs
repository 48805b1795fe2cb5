use std::collections::BTreeMap;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

/// The elements that have no end.
const VOID: [&str; 4] = ["input", "link", "meta", "br"];

/// An element of a page, with its attributes and all text inside.
#[derive(Clone, Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) number: usize,
    pub(super) text: String,
    attributes: BTreeMap<String, String>,
    parents: Vec<usize>,
}

impl Element {
    /// The elements of a page, in the order in which they begin.
    ///
    /// The pages are written so that a strict reader can follow: each element but the void ones has its end.
    pub(super) fn all(html: &str) -> Vec<Self> {
        let mut reader = Reader::from_str(html);
        reader.config_mut().check_end_names = false;
        let (mut all, mut open) = (Vec::<Self>::new(), Vec::<usize>::new());
        loop {
            match reader.read_event().expect("a page that a strict reader can follow") {
                Event::Start(start) => {
                    let element = Self::read(&start, all.len(), open.clone());
                    if !VOID.contains(&element.name.as_str()) {
                        open.push(element.number);
                    }
                    all.push(element);
                }
                Event::End(end) => {
                    let number = open.pop().expect("an end has its beginning");
                    assert_eq!(all[number].name, end.name().as_ref(), "{html}");
                }
                Event::Text(text) => append(&mut all, &open, &text),
                Event::GeneralRef(reference) => append(&mut all, &open, &unescaped(&format!("&{};", &*reference))),
                Event::DocType(_) => {}
                Event::Eof => break,
                other => panic!("what is {other:?} doing here"),
            }
        }
        assert!(open.is_empty(), "{html}");
        all
    }

    /// The value of an attribute, empty where it is not there.
    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// Whether it stands in the element of this number.
    pub(super) fn is_inside(&self, number: usize) -> bool {
        self.parents.contains(&number)
    }

    fn read(start: &BytesStart<'_>, number: usize, parents: Vec<usize>) -> Self {
        let mut attributes = BTreeMap::new();
        for attribute in start.html_attributes() {
            let attribute = attribute.expect("an attribute");
            attributes.insert(attribute.key.as_ref().to_owned(), unescaped(&attribute.value));
        }
        Self { name: start.name().as_ref().to_owned(), number, text: String::new(), attributes, parents }
    }
}

fn unescaped(text: &str) -> String {
    quick_xml::escape::unescape(text).expect("references that are known").into_owned()
}

fn append(all: &mut [Element], open: &[usize], text: &str) {
    for number in open {
        all[*number].text.push_str(text);
    }
}

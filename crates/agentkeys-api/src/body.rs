use std::{borrow::Cow, cell::Cell, collections::HashSet, fmt};

use agentkeys_types::{
    AgentName, EmailAddress, EvmAddress, OmniAccount, ProviderName, RequestId, SessionId, Timestamp,
};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::{ErrorCode, Problem};

/// No request of ours comes near these.
const DEEPEST: usize = 16;
const MOST_MEMBERS: usize = 64;

/// A request body that can be read from the fields of a JSON object.
pub trait Body: Sized {
    /// Takes its fields out of `fields`.
    fn read(fields: &mut Fields) -> Result<Self, Problem>;
}

/// Reads a request strictly: one JSON object, no duplicate or unknown field, every value of the right kind.
pub fn read_body<B: Body>(bytes: &[u8]) -> Result<B, Problem> {
    let mut fields = Fields::parse(bytes)?;
    let body = B::read(&mut fields)?;
    fields.finish()?;
    Ok(body)
}

/// One value of a JSON object.
#[derive(Debug)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number that fits.
    Integer(u64),
    /// `null`
    Null,
    /// A list of nothing but texts.
    Texts(Vec<String>),
    /// Anything else, which no field of ours takes.
    Other,
}

/// The members of a JSON object that have not been read yet.
#[derive(Debug)]
pub struct Fields(Vec<(String, Value)>);

impl Fields {
    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let scan = Scan::default();
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let members = ObjectSeed { scan: &scan }.deserialize(&mut deserializer);
        members.and_then(|members| deserializer.end().map(|()| Self(members))).map_err(|error| scan.problem(&error))
    }

    /// The field's value.
    ///
    /// # Errors
    ///
    /// When it is absent, or not of its type, with the type's own code.
    pub fn required<F: Field>(&mut self, name: &'static str) -> Result<F, Problem> {
        let read = self.take(name).and_then(F::read);
        read.ok_or_else(|| Problem::new(F::CODE, format!("{name} {}", F::EXPECTED)))
    }

    /// The field's value, if it is there and not `null`.
    ///
    /// # Errors
    ///
    /// When it is there and not of its type, with the type's own code.
    pub fn optional<F: Field>(&mut self, name: &'static str) -> Result<Option<F>, Problem> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let refusal = || Problem::new(F::CODE, format!("{name} {}", F::EXPECTED));
                F::read(value).map(Some).ok_or_else(refusal)
            }
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let index = self.0.iter().position(|(member, _)| member == name)?;
        Some(self.0.swap_remove(index).1)
    }

    fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            return Ok(());
        }
        // The name is not repeated: a caller may have put a secret on the wrong side of the colon.
        Err(Problem::new(ErrorCode::UnknownField, "the body has a field that this request does not have"))
    }
}

/// A type that a JSON value can be read as, and the code of the refusal when it cannot.
pub trait Field: Sized {
    /// The code of the refusal.
    const CODE: ErrorCode;
    /// Ends the sentence that begins with the field's name.
    const EXPECTED: &'static str;

    /// The value, if it is one.
    fn read(value: Value) -> Option<Self>;
}

macro_rules! parsed_field {
    ($type:ty, $code:ident, $expected:literal) => {
        impl Field for $type {
            const CODE: ErrorCode = ErrorCode::$code;
            const EXPECTED: &'static str = $expected;

            fn read(value: Value) -> Option<Self> {
                let Value::Text(text) = value else { return None };
                text.parse().ok()
            }
        }
    };
}

parsed_field!(AgentName, InvalidField, "must be 1 to 32 of a-z, 0-9 and hyphen");
parsed_field!(OmniAccount, InvalidOmniAccount, "must be 64 hex characters");
parsed_field!(
    EvmAddress,
    InvalidAddress,
    "must be 0x and 40 hex digits, with a right EIP-55 checksum if in mixed case"
);
parsed_field!(EmailAddress, InvalidEmail, "must be one plain address, such as ada@example.com");
parsed_field!(ProviderName, InvalidField, "must be the name of a provider: 1 to 32 of a-z and 0-9");
parsed_field!(RequestId, InvalidField, "must be 64 hex digits");
parsed_field!(Timestamp, InvalidField, "must be a time such as 2026-12-22T10:00:00Z");
parsed_field!(SessionId, InvalidField, "must be 32 lowercase hex digits");

/// A short text without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

impl Field for Text {
    const CODE: ErrorCode = ErrorCode::InvalidField;
    const EXPECTED: &'static str = "must be a text of 1 to 256 characters, none of them a control character";

    fn read(value: Value) -> Option<Self> {
        let Value::Text(text) = value else { return None };
        let count = text.chars().take(257).count();
        ((1..=256).contains(&count) && !text.chars().any(char::is_control)).then_some(Self(text))
    }
}

/// Why the scan stopped, where `serde_json` itself saw nothing wrong.
#[derive(Default)]
struct Scan {
    fault: Cell<Option<ErrorCode>>,
    members: Cell<usize>,
}

impl Scan {
    fn stop<E: Error>(&self, fault: ErrorCode) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }

    fn count<E: Error>(&self) -> Result<(), E> {
        self.members.set(self.members.get() + 1);
        if self.members.get() > MOST_MEMBERS { Err(self.stop(ErrorCode::JsonTooComplex)) } else { Ok(()) }
    }

    fn problem(&self, error: &serde_json::Error) -> Problem {
        let text = error.to_string();
        let out_of_bounds = text.starts_with("number out of range") || text.starts_with("recursion limit exceeded");
        let code =
            self.fault.get().unwrap_or(if out_of_bounds { ErrorCode::JsonTooComplex } else { ErrorCode::InvalidJson });
        let detail: Cow<'static, str> = match code {
            ErrorCode::DuplicateField => "a field stands twice".into(),
            ErrorCode::JsonTooComplex => "the body is more complex than any request here".into(),
            _ => format!("the body must be one JSON object (line {}, column {})", error.line(), error.column()).into(),
        };
        Problem::new(code, detail)
    }
}

#[derive(Clone, Copy)]
struct ObjectSeed<'s> {
    scan: &'s Scan,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Vec<(String, Value)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(String, Value)> = Vec::with_capacity(4);
        while let Some(name) = map.next_key::<String>()? {
            self.scan.count()?;
            if members.iter().any(|(member, _)| *member == name) {
                return Err(self.scan.stop(ErrorCode::DuplicateField));
            }
            members.push((name, map.next_value_seed(ValueSeed { scan: self.scan, depth: 1 })?));
        }
        Ok(members)
    }
}

#[derive(Clone, Copy)]
struct ValueSeed<'s> {
    scan: &'s Scan,
    depth: usize,
}

impl ValueSeed<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEEPEST {
            return Err(self.scan.stop(ErrorCode::JsonTooComplex));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut texts = Some(Vec::new());
        while let Some(element) = seq.next_element_seed(seed)? {
            self.scan.count()?;
            match element {
                Value::Text(text) => texts.iter_mut().for_each(|texts| texts.push(text.clone())),
                _ => texts = None,
            }
        }
        Ok(texts.map_or(Value::Other, Value::Texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            self.scan.count()?;
            if !names.insert(name) {
                return Err(self.scan.stop(ErrorCode::DuplicateField));
            }
            map.next_value_seed(seed)?;
        }
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Greeting {
        name: Text,
        email: Option<EmailAddress>,
    }

    impl Body for Greeting {
        fn read(fields: &mut Fields) -> Result<Self, Problem> {
            Ok(Self { name: fields.required("name")?, email: fields.optional("email")? })
        }
    }

    fn refusal(body: impl AsRef<[u8]>) -> ErrorCode {
        read_body::<Greeting>(body.as_ref()).unwrap_err().error
    }

    #[test]
    fn a_right_body_is_read() {
        let body = read_body::<Greeting>(br#" {"name":"Ada","email":null} "#).unwrap();

        assert_eq!(body, Greeting { name: Text("Ada".to_owned()), email: None });
    }

    #[test]
    fn what_is_not_one_json_object_is_invalid_json() {
        for body in [
            &b""[..],
            b"{",
            b"[]",
            b"null",
            b"\"a\"",
            b"{\"name\":\"a\"}x",
            b"\xef\xbb\xbf{\"name\":\"a\"}",
            b"{\"name\":\"\xff\"}",
            b"{\"name\":\"a\",}",
        ] {
            assert_eq!(refusal(body), ErrorCode::InvalidJson, "{body:?}");
        }
    }

    #[test]
    fn a_body_that_is_out_of_all_proportion_is_too_complex() {
        let deep = format!(r#"{{"name":{}"#, "[".repeat(10_000));
        let deep_objects = format!(r#"{{"name":{}"#, r#"{"a":"#.repeat(10_000));
        let wide = format!("{{{}}}", (0..5000).map(|index| format!(r#""k{index}":1"#)).collect::<Vec<_>>().join(","));
        let long = format!(r#"{{"name":[{}0]}}"#, "0,".repeat(5000));
        for body in [deep, deep_objects, wide, long, r#"{"name":1e400}"#.to_owned()] {
            assert_eq!(refusal(&body), ErrorCode::JsonTooComplex, "{}", &body[..40.min(body.len())]);
        }
    }

    #[test]
    fn fields_that_are_doubled_unknown_absent_or_wrong_have_their_codes() {
        assert_eq!(refusal(r#"{"name":"a","name":"a"}"#), ErrorCode::DuplicateField);
        assert_eq!(refusal(r#"{"name":"a","n\u0061me":"b"}"#), ErrorCode::DuplicateField);
        assert_eq!(refusal(r#"{"name":{"a":1,"a":2}}"#), ErrorCode::DuplicateField);
        assert_eq!(refusal(r#"{"name":"a","admin":true}"#), ErrorCode::UnknownField);
        assert_eq!(refusal("{}"), ErrorCode::InvalidField);
        for value in ["1", "1.5", "-1", "true", "null", "[]", "{}", r#""""#, r#""\u0000""#] {
            assert_eq!(refusal(format!(r#"{{"name":{value}}}"#)), ErrorCode::InvalidField, "{value}");
        }
        assert_eq!(refusal(r#"{"name":"a","email":["a@b.io"]}"#), ErrorCode::InvalidEmail);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>()) {
            let _ = read_body::<Greeting>(&bytes);
        }
    }
}

//! Typed parameters: from the host's list to the author's struct, by serde.

use crate::__bindings::host::types::Parameter;
use crate::{Error, Result, Value};
use serde::de::value::{MapDeserializer, SeqDeserializer, StringDeserializer};
use serde::de::{self, DeserializeOwned, Expected, IntoDeserializer, Unexpected, Visitor};
use std::fmt;

/// The parameters of a module that has none.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}

/// Reads a module's parameters into its own type. The macros do this for you.
///
/// Names are those of the manifest, in `kebab-case`; an absent parameter needs an `Option` or `#[serde(default)]`. Text also
/// reads as an enum without fields. [`Error::Invalid`] names the parameter or the type that does not fit.
pub fn decode<T: DeserializeOwned>(parameters: Vec<Parameter>) -> Result<T> {
    let map = MapDeserializer::<_, Mismatch>::new(parameters.into_iter().map(|p| (p.name, Typed(p.value))));
    T::deserialize(map).map_err(|Mismatch(text)| Error::Invalid(["parameters: ", &text].concat()))
}

/// A parameter that the author's type has no place for.
#[derive(Debug)]
struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    // The default words for these two print floats, which costs every guest that has a parameter 30 KB.
    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self([&told(unexpected), " is not ", &expected.to_string()].concat())
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }
}

fn told(value: Unexpected<'_>) -> String {
    match value {
        Unexpected::Str(text) => ["the text `", text, "`"].concat(),
        Unexpected::Signed(integer) => integer.to_string(),
        Unexpected::Unsigned(integer) => integer.to_string(),
        Unexpected::Bool(true) => "true".to_owned(),
        Unexpected::Bool(false) => "false".to_owned(),
        Unexpected::Float(_) => "a number with a fraction".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        _ => "the value".to_owned(),
    }
}

/// One value, as serde wants to be handed it.
struct Typed(Value);

impl IntoDeserializer<'_, Mismatch> for Typed {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> de::Deserializer<'de> for Typed {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Mismatch> {
        match self.0 {
            Value::Text(text) => visitor.visit_string(text),
            Value::Integer(integer) => visitor.visit_i64(integer),
            Value::Number(number) => visitor.visit_f64(number),
            Value::Boolean(boolean) => visitor.visit_bool(boolean),
            Value::Texts(texts) => visitor.visit_seq(SeqDeserializer::new(texts.into_iter())),
        }
    }

    /// A parameter that is there is `Some`; one that is not never comes here.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Mismatch> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> std::result::Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Mismatch> {
        match self.0 {
            Value::Text(text) => {
                let text: StringDeserializer<Mismatch> = text.into_deserializer();
                text.deserialize_enum(name, variants, visitor)
            }
            _ => Err(de::Error::custom("one of a few words is wanted, as text")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<&[&str]> for Value {
    fn from(texts: &[&str]) -> Self {
        Self::Texts(texts.iter().map(|t| (*t).to_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Method {
        SlowAndSteady,
        Fast,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct All {
        file: Option<String>,
        how_many: u32,
        ratio: f64,
        #[serde(default)]
        deep: bool,
        names: Vec<String>,
        method: Method,
    }

    fn list(values: &[(&str, Value)]) -> Vec<Parameter> {
        values.iter().map(|(n, v)| Parameter { name: (*n).to_owned(), value: v.clone() }).collect()
    }

    fn full() -> Vec<(&'static str, Value)> {
        vec![
            ("how-many", 3.into()),
            ("ratio", 0.5.into()),
            ("names", (&["a", "b"][..]).into()),
            ("method", "slow-and-steady".into()),
        ]
    }

    #[test]
    fn every_type_arrives() {
        let mut values = full();
        values.push(("file", "/x".into()));
        values.push(("deep", true.into()));
        let all: All = decode(list(&values)).unwrap();
        assert_eq!(
            all,
            All {
                file: Some("/x".into()),
                how_many: 3,
                ratio: 0.5,
                deep: true,
                names: vec!["a".into(), "b".into()],
                method: Method::SlowAndSteady,
            }
        );
    }

    #[test]
    fn absent_parameters_take_their_defaults() {
        let all: All = decode(list(&full())).unwrap();
        assert_eq!((all.file, all.deep), (None, false));
        decode::<NoParameters>(Vec::new()).unwrap();
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let wrong = |change: (&'static str, Value)| {
            let mut values = full();
            values.retain(|(name, _)| *name != change.0);
            values.push(change);
            decode::<All>(list(&values)).unwrap_err().to_string()
        };
        assert!(wrong(("colour", "red".into())).contains("unknown field `colour`"));
        assert_eq!(wrong(("how-many", Value::Integer(-1))), "invalid: parameters: -1 is not u32");
        assert_eq!(wrong(("how-many", "three".into())), "invalid: parameters: the text `three` is not u32");
        assert_eq!(wrong(("deep", 0.5.into())), "invalid: parameters: a number with a fraction is not a boolean");
        assert!(wrong(("method", "sideways".into())).contains("sideways"));
        assert!(wrong(("method", true.into())).contains("one of a few words"));
        assert!(wrong(("names", "a".into())).contains("sequence"));
        assert!(decode::<All>(Vec::new()).unwrap_err().to_string().contains("how-many"));
        assert!(decode::<NoParameters>(list(&[("x", true.into())])).is_err());
    }
}

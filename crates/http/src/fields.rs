//! The members of a request, read one by one, so that every mistake is answered with the name of
//! its field.

use std::fmt;

use countersign_flows::FieldError;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use crate::problem::{MALFORMED_REQUEST, Problem};

/// Reads itself from the fields of a request. Mistakes are collected in the fields; what is
/// returned then counts for nothing.
pub(crate) trait FromFields {
    fn from_fields(fields: &mut Fields) -> Self;
}

/// The fields of a request. What nobody asks for is ignored.
pub(crate) struct Fields {
    values: Vec<(String, Value)>,
    errors: Vec<FieldError>,
    form: bool,
}

impl Fields {
    pub(crate) fn new(values: Vec<(String, Value)>) -> Self {
        Self {
            values,
            errors: Vec::new(),
            form: false,
        }
    }

    pub(crate) fn from_json(body: &[u8]) -> Result<Self, Problem> {
        let object: Object = serde_json::from_slice(body).map_err(|error| {
            let detail = match error.classify() {
                Category::Data => {
                    "The body must be a JSON object without repeated members.".to_owned()
                }
                _ if body.is_empty() => "A JSON object is needed as the body.".to_owned(),
                _ => format!(
                    "The body is not valid JSON: see line {}, column {}.",
                    error.line(),
                    error.column()
                ),
            };
            Problem::from(&MALFORMED_REQUEST).detail(detail)
        })?;
        Ok(Self::new(object.0))
    }

    pub(crate) fn from_form(pairs: Vec<(String, String)>) -> Self {
        let values = pairs.into_iter().map(|(n, v)| (n, Value::String(v)));
        Self {
            form: true,
            ..Self::new(values.collect())
        }
    }

    /// Whether a form was posted, whose parameters OAuth 2 names.
    pub(crate) fn is_form(&self) -> bool {
        self.form
    }

    /// A parameter that only forms have.
    pub(crate) fn form_text(&mut self, field: &'static str) -> Option<String> {
        match self.form {
            true => self.optional_text(field),
            false => None,
        }
    }

    /// Reads a whole request, or answers with all its mistakes.
    pub(crate) fn read<T: FromFields>(mut self) -> Result<T, Problem> {
        let value = T::from_fields(&mut self);
        match self.errors.is_empty() {
            true => Ok(value),
            false => Err(Problem::fields(self.errors)),
        }
    }

    /// A text that must be there.
    pub(crate) fn text(&mut self, field: &'static str) -> String {
        match self.take(field) {
            Some(Value::String(text)) => text,
            Some(_) => self.wrong(field, "wrong_type", "must be a string"),
            None => self.wrong(field, "required", "is required"),
        }
    }

    /// A text that may be missing or `null`.
    pub(crate) fn optional_text(&mut self, field: &'static str) -> Option<String> {
        self.nullable_text(field).flatten()
    }

    /// A text that may be missing (`None`) or `null` (`Some(None)`).
    pub(crate) fn nullable_text(&mut self, field: &'static str) -> Option<Option<String>> {
        match self.take(field)? {
            Value::String(text) => Some(Some(text)),
            Value::Null => Some(None),
            _ => self.wrong(field, "wrong_type", "must be a string or null"),
        }
    }

    pub(crate) fn wrong<T: Default>(
        &mut self,
        field: &'static str,
        code: &'static str,
        detail: &str,
    ) -> T {
        self.errors.push(FieldError {
            field,
            code,
            detail: detail.to_owned(),
        });
        T::default()
    }

    fn take(&mut self, field: &str) -> Option<Value> {
        let at = self.values.iter().position(|(name, _)| name == field)?;
        Some(self.values.swap_remove(at).1)
    }
}

/// A JSON object whose members are kept in a list: nobody can make it slow with chosen names.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

/// Which members the routes know. Only those must not be repeated: everything else is ignored
/// anyway, and comparing ten thousand unknown names with each other would cost time.
const KNOWN: [&str; 8] = [
    "email",
    "password",
    "name",
    "username",
    "refresh_token",
    "scope",
    "current_password",
    "new_password",
];

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members: Vec<(String, Value)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let value: Value = map.next_value()?;
            if !KNOWN.contains(&name.as_str()) {
                continue;
            }
            if members.iter().any(|(other, _)| *other == name) {
                return Err(serde::de::Error::custom("repeated member"));
            }
            members.push((name, value));
        }
        Ok(Object(members))
    }
}

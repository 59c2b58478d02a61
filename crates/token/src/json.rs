//! Reading the members of one JSON object by name, for headers and claims alike.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::Refusal;

/// A member's value, as far as headers and claims need it.
#[derive(Debug)]
pub(crate) enum Member<'a> {
    Text(Cow<'a, str>),
    TextList(Vec<String>),
    /// Written as an integer and within `i64`. `1e9` and `1.0` are not: that a time is a whole number of seconds can be seen on it.
    Integer(i64),
    Other,
}

/// The members that `names` lists, in that order; other members are skipped.
///
/// A name that occurs twice is refused even if it is not listed: two readers that disagree on which one counts must not both accept the token.
pub(crate) fn object<'a, const N: usize>(
    json: &'a [u8],
    names: &[&'static str; N],
) -> Result<[Option<Member<'a>>; N], Refusal> {
    // The reader looks at UTF-8 only in the strings that it returns, not in those that it skips.
    let text = std::str::from_utf8(json).map_err(|_| Refusal::Malformed)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = reader
        .deserialize_map(ObjectVisitor { names })
        .map_err(|_| Refusal::Malformed)?;
    reader.end().map_err(|_| Refusal::Malformed)?;
    members
}

struct ObjectVisitor<'n, const N: usize> {
    names: &'n [&'static str; N],
}

impl<'de, const N: usize> Visitor<'de> for ObjectVisitor<'_, N> {
    type Value = Result<[Option<Member<'de>>; N], Refusal>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = [const { None }; N];
        let mut unlisted: Vec<Cow<'de, str>> = Vec::new();
        let mut duplicate = false;
        // Our own tokens list their members in this order, so the next name is mostly the right guess.
        let mut guess = 0;
        while let Some(Name(name)) = map.next_key()? {
            let position = if self.names.get(guess).is_some_and(|n| *n == name) {
                Some(guess)
            } else {
                self.names.iter().position(|n| *n == name)
            };
            match position.and_then(|p| members.get_mut(p)) {
                Some(member) => {
                    duplicate |= member.is_some();
                    *member = Some(map.next_value()?);
                }
                None => {
                    duplicate |= unlisted.contains(&name);
                    unlisted.push(name);
                    map.next_value::<IgnoredAny>()?;
                }
            }
            guess = position.map_or(guess, |p| p + 1);
        }
        Ok(if duplicate {
            Err(Refusal::DuplicateMember)
        } else {
            Ok(members)
        })
    }
}

struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

impl<'de> Deserialize<'de> for Member<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Member<'de>, E> {
        Ok(Member::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Member<'de>, E> {
        Ok(i64::try_from(number).map_or(Member::Other, Member::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Member<'de>, E> {
        Ok(Member::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Member<'de>, E> {
        Ok(Member::Other)
    }

    fn visit_unit<E>(self) -> Result<Member<'de>, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Member<'de>, A::Error> {
        let mut texts = Vec::new();
        let mut only_texts = true;
        while let Some(item) = items.next_element::<Member<'de>>()? {
            match item {
                Member::Text(text) => texts.push(text.into_owned()),
                _ => only_texts = false,
            }
        }
        Ok(if only_texts {
            Member::TextList(texts)
        } else {
            Member::Other
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }
}

use jiff::Timestamp;
use uuid::Uuid;

/// A value to be bound. Each driver knows the form that it takes on its engine.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Uuid(Uuid),
    OptUuid(Option<Uuid>),
    Text(String),
    OptText(Option<String>),
    Time(Timestamp),
    OptTime(Option<Timestamp>),
    Int(i64),
    Bytes(Vec<u8>),
    OptBytes(Option<Vec<u8>>),
    /// JSON text.
    Json(String),
    OptJson(Option<String>),
    /// On PostgreSQL an array, on SQLite a JSON list of its values as text or numbers.
    List(List),
}

/// Many values of one kind.
#[derive(Clone, Debug)]
pub(crate) enum List {
    Uuids(Vec<Option<Uuid>>),
    Texts(Vec<Option<String>>),
    Times(Vec<Option<Timestamp>>),
    Ints(Vec<Option<i64>>),
    Bytes(Vec<Option<Vec<u8>>>),
    Jsons(Vec<Option<String>>),
}

impl List {
    /// As a JSON list; bytes as hexadecimal digits.
    pub(super) fn to_json(&self) -> String {
        let hex =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        let list: serde_json::Value = match self {
            Self::Uuids(ids) => {
                let ids = ids.iter().map(|id| id.map(|id| hex(id.as_bytes())));
                ids.collect::<Vec<_>>().into()
            }
            Self::Texts(texts) | Self::Jsons(texts) => texts.clone().into(),
            Self::Times(times) => {
                let times = times
                    .iter()
                    .map(|time| time.map(|time| time.as_microsecond()));
                times.collect::<Vec<_>>().into()
            }
            Self::Ints(numbers) => numbers.clone().into(),
            Self::Bytes(all) => {
                let all = all.iter().map(|bytes| bytes.as_deref().map(hex));
                all.collect::<Vec<_>>().into()
            }
        };
        list.to_string()
    }
}

/// A time as both engines store it: cut to whole microseconds.
pub(crate) fn micros(time: Timestamp) -> Timestamp {
    // Cannot fail: it is a whole number of microseconds of a valid time.
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

macro_rules! from {
    ($($from:ty => |$value:ident| $to:expr;)+) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        })+
    };
}

from! {
    Uuid => |id| Self::Uuid(id);
    Option<Uuid> => |id| Self::OptUuid(id);
    &str => |text| Self::Text(text.to_owned());
    Option<&str> => |text| Self::OptText(text.map(str::to_owned));
    Timestamp => |time| Self::Time(time);
    Option<Timestamp> => |time| Self::OptTime(time);
    i64 => |number| Self::Int(number);
    &[u8] => |bytes| Self::Bytes(bytes.to_vec());
}

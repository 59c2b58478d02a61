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

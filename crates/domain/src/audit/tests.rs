use std::collections::HashSet;
use std::net::IpAddr;

use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::root_secret::RootSecret;
use crate::{EventId, SessionId, UserId};

fn ink(secret: u8) -> Ink {
    Ink::derive(&RootSecret::new(vec![secret; 32]))
}

fn at(second: i64) -> Timestamp {
    Timestamp::new(1_800_000_000 + second, 123_456_000).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn draft(n: u8) -> Draft {
    let mut details = Details::new();
    details.insert("scope".to_owned(), "local".into());
    Draft {
        id: EventId::new(at(i64::from(n)), [n; 10]),
        at: at(i64::from(n)),
        kind: Kind::LoginFailed,
        reason: Some("invalid_credentials"),
        by: By::Anybody,
        user: Some(UserId::new(at(0), [1; 10])),
        session: Some(SessionId::new([2; 16])),
        personal: Personal {
            ip: Some(ip("192.0.2.7")),
            user_agent: Some("curl/8.5.0".to_owned()),
            request_id: Some("a request".to_owned()),
        },
        details,
    }
}

const SALT: Salt = Salt([3; 16]);

mod rows {
    use super::*;

    #[test]
    fn same_draft_gives_same_row() {
        let (one, other) = (ink(7), ink(7));
        let row = one.write(&draft(1), Some(&SALT));
        assert_eq!(row, other.write(&draft(1), Some(&SALT)));
        assert_eq!(row.digest(), other.write(&draft(1), Some(&SALT)).digest());
        assert!(other.wrote(&row));
        assert!(!ink(8).wrote(&row));
    }

    #[test]
    fn times_are_kept_as_the_database_does() {
        let mut odd = draft(1);
        odd.at = Timestamp::new(1_800_000_000, 123_456_789).unwrap();
        let row = ink(7).write(&odd, Some(&SALT));
        assert_eq!(row.at, Timestamp::new(1_800_000_000, 123_456_000).unwrap());
        assert!(ink(7).wrote(&row));
    }

    /// Every single change of what the MAC is over, one for each field and more for those that have parts.
    fn changes(row: &Row) -> Vec<(&'static str, Row)> {
        let mut all = Vec::new();
        let mut change = |name, how: &dyn Fn(&mut Row)| {
            let mut changed = row.clone();
            how(&mut changed);
            assert_ne!(&changed, row, "{name}");
            all.push((name, changed));
        };
        change("id", &|row| row.id = EventId(Uuid::from_bytes([9; 16])));
        change("at", &|row| {
            row.at = Timestamp::from_microsecond(row.at.as_microsecond() + 1).unwrap();
        });
        change("kind", &|row| row.kind = "login.succeeded".to_owned());
        change("outcome", &|row| row.outcome = "success".to_owned());
        change("reason", &|row| row.reason = Some(String::new()));
        change("no reason", &|row| row.reason = None);
        change("by", &|row| row.by = "server".to_owned());
        change("user", &|row| {
            row.user = Some(UserId(Uuid::from_bytes([9; 16])))
        });
        change("no user", &|row| row.user = None);
        change("session", &|row| {
            row.session = Some(SessionId(Uuid::from_bytes([9; 16])));
        });
        change("no session", &|row| row.session = None);
        change("user and session", &|row| {
            let (user, session) = (row.user.unwrap(), row.session.unwrap());
            (row.user, row.session) = (Some(UserId(session.0)), Some(SessionId(user.0)));
        });
        change("details", &|row| row.details.push(' '));
        change("no details", &|row| row.details.clear());
        change("personal", &|row| row.personal[0] ^= 1);
        change("no personal", &|row| row.personal.clear());
        change("mac", &|row| row.mac[31] ^= 1);
        all
    }

    #[test]
    fn any_single_change_shows() {
        let ink = ink(7);
        let row = ink.write(&draft(1), Some(&SALT));
        for (name, changed) in changes(&row) {
            assert!(!ink.wrote(&changed), "{name}");
        }
    }

    #[test]
    fn no_two_rows_have_one_digest() {
        let row = ink(7).write(&draft(1), Some(&SALT));
        let mut digests = HashSet::from([row.digest()]);
        for (name, changed) in changes(&row) {
            if name != "mac" {
                assert!(digests.insert(changed.digest()), "{name}");
            }
        }
        // What one field loses the next one gains.
        let mut moved = row.clone();
        moved.kind = format!("{}{}", row.kind, row.outcome);
        moved.outcome = String::new();
        assert!(digests.insert(moved.digest()));
        let mut none = row.clone();
        none.reason = None;
        none.by = format!("{}{}", row.reason.clone().unwrap(), row.by);
        assert!(digests.insert(none.digest()));
    }

    #[test]
    fn erasing_an_address_leaves_the_row_valid() {
        let ink = ink(7);
        let mut row = ink.write(&draft(1), Some(&SALT));
        row.address = None;
        assert!(ink.wrote(&row));
    }

    /// What is stored of known events. It never changes: every stored MAC, hash and signature is over it.
    #[test]
    fn stored_format_is_what_it_was() {
        let ink = ink(7);
        let row = ink.write(&draft(1), Some(&SALT));
        let mark = ink.mark(MarkKind::Head, 1, [5; 32], at(0));
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let formats = [
            hex(&row.digest()),
            hex(&row.mac),
            hex(&row.address.unwrap().0),
            hex(&link(&[0; 32], 1, &row.digest())),
            hex(ink.public_key()),
            hex(&mark.signature[..32]),
        ];
        let stored = [
            "209d003b67e97870087bb03841aed677789637cd836e8e3b42a79b4e95dc50ca",
            "e2057837c7147b7fd74e4f38c773c5f156879214824bfdd8954f07883c55f396",
            "bc4ea2227d4f0a71c97bcfac3fa6a083",
            "45d62a82cec173f9bebe00d3d6215e56820c51cc8259ddb3cc74d4cb16fb1318",
            "64390b84143c34f31a320b8df6edafd0cc5688e98545c2bb211ca42682e6e9f4",
            "b5ec835d6f6b4dcaf1427ec2231d24e302ba5d37c054df4cd0502d24fe11752b",
        ];
        assert_eq!(formats, stored);
    }
}

mod personal {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened() {
        let (ink, draft) = (ink(7), draft(1));
        let row = ink.write(&draft, Some(&SALT));
        assert_eq!(ink.read(&row, Some(&SALT)), Some(draft.personal.clone()));
        let text = String::from_utf8_lossy(&row.personal);
        for part in ["192.0.2.7", "curl", "a request"] {
            assert!(
                !text.contains(part) && !row.details.contains(part),
                "{part}"
            );
        }
    }

    #[test]
    fn not_with_another_root_secret_user_salt_or_event() {
        let ours = ink(7);
        let row = ours.write(&draft(1), Some(&SALT));
        assert_eq!(ink(8).read(&row, Some(&SALT)), None);
        assert_eq!(ours.read(&row, Some(&Salt([4; 16]))), None);
        assert_eq!(ours.read(&row, None), None);
        let other = Some(UserId::new(at(1), [8; 10]));
        let of_other = Row {
            user: other,
            ..row.clone()
        };
        assert_eq!(ours.read(&of_other, Some(&SALT)), None);
        let of_nobody = Row {
            user: None,
            ..row.clone()
        };
        assert_eq!(ours.read(&of_nobody, Some(&SALT)), None);
        let of_other_event = Row {
            id: draft(2).id,
            ..row.clone()
        };
        assert_eq!(ours.read(&of_other_event, Some(&SALT)), None);
        let mut changed = row;
        changed.personal[0] ^= 1;
        assert_eq!(ours.read(&changed, Some(&SALT)), None);
    }

    #[test]
    fn no_two_events_look_alike() {
        let ours = ink(7);
        let (one, other) = (draft(1), draft(2));
        assert_eq!(one.personal, other.personal);
        let (one, other) = (
            ours.write(&one, Some(&SALT)),
            ours.write(&other, Some(&SALT)),
        );
        assert_ne!(one.personal, other.personal);
    }

    #[test]
    fn of_an_erased_user_nothing_is_kept() {
        let ours = ink(7);
        let row = ours.write(&draft(1), None);
        assert!(row.personal.is_empty());
        assert_eq!(row.address, None);
        assert!(ours.wrote(&row));
        assert_eq!(ours.read(&row, Some(&SALT)), None);
    }

    #[test]
    fn of_nobody_known_it_is_the_installations() {
        let ours = ink(7);
        let draft = Draft {
            user: None,
            ..draft(1)
        };
        let row = ours.write(&draft, None);
        assert_eq!(ours.read(&row, None), Some(draft.personal.clone()));
        // A salt that is at hand has no say in it.
        assert_eq!(row, ours.write(&draft, Some(&SALT)));
        assert_eq!(ours.read(&row, Some(&SALT)), Some(draft.personal));
        assert_eq!(ink(8).read(&row, None), None);
    }

    #[test]
    fn where_nothing_is_known_nothing_is_sealed() {
        let draft = Draft {
            personal: Personal::default(),
            ..draft(1)
        };
        let row = ink(7).write(&draft, Some(&SALT));
        assert!(row.personal.is_empty());
        assert_eq!(ink(7).read(&row, Some(&SALT)), None);
    }

    #[test]
    fn addresses_are_found_by_their_block() {
        let (ours, other) = (ink(7), ink(8));
        let tag = |text| ours.tag(ip(text));
        assert_eq!(tag("192.0.2.7"), tag("::ffff:192.0.2.7"));
        assert_ne!(tag("192.0.2.7"), tag("192.0.2.8"));
        assert_eq!(tag("2001:db8::1"), tag("2001:db8::ffff:1"));
        assert_ne!(tag("2001:db8::1"), tag("2001:db8:0:1::1"));
        assert_ne!(tag("192.0.2.7"), other.tag(ip("192.0.2.7")));
        let row = ours.write(&draft(1), Some(&SALT));
        assert_eq!(row.address, Some(tag("192.0.2.7")));
    }

    #[test]
    fn expiry_has_one_id_for_each_session_and_secret() {
        let (a, b) = (SessionId::new([1; 16]), SessionId::new([2; 16]));
        assert_eq!(ink(7).expiry_of(a), ink(7).expiry_of(a));
        assert_ne!(ink(7).expiry_of(a), ink(7).expiry_of(b));
        assert_ne!(ink(7).expiry_of(a), ink(8).expiry_of(a));
        assert_eq!(ink(7).expiry_of(a).0.get_version_num(), 8);
    }

    #[test]
    fn fingerprints_tell_texts_apart_and_no_more() {
        let print = ink(7).fingerprint(b"a setting");
        assert_eq!(print.len(), 16);
        assert_eq!(print, ink(7).fingerprint(b"a setting"));
        assert_ne!(print, ink(7).fingerprint(b"another"));
        assert_ne!(print, ink(8).fingerprint(b"a setting"));
    }

    #[test]
    fn nothing_secret_is_printed() {
        assert_eq!(format!("{:?} {:?}", ink(7), SALT), "Ink Salt");
    }
}

mod chain {
    use super::*;

    fn chain(ink: &Ink, n: u8) -> Vec<Sealed> {
        let mut hash = [0; 32];
        let sealed = (1..=n).map(|i| {
            let row = ink.write(&draft(i), Some(&SALT));
            hash = link(&hash, u64::from(i), &row.digest());
            Sealed {
                position: u64::from(i),
                hash,
                row,
            }
        });
        sealed.collect()
    }

    fn head(ink: &Ink, sealed: &[Sealed]) -> Option<Mark> {
        let last = sealed.last()?;
        Some(ink.mark(MarkKind::Head, last.position, last.hash, at(100)))
    }

    fn walk(ink: &Ink, cut: Option<&Mark>, sealed: &[Sealed]) -> Result<Cursor, Fault> {
        let mut cursor = Cursor::begin(ink, cut)?;
        for sealed in sealed {
            cursor.step(ink, sealed)?;
        }
        Ok(cursor)
    }

    fn check(ink: &Ink, sealed: &[Sealed], head: Option<&Mark>) -> Result<(), Fault> {
        walk(ink, None, sealed)?.end(ink, head)
    }

    #[test]
    fn untouched_ones_are_walked_to_their_end() {
        let ink = ink(7);
        for n in 0..5 {
            let sealed = chain(&ink, n);
            assert_eq!(check(&ink, &sealed, head(&ink, &sealed).as_ref()), Ok(()));
        }
    }

    #[test]
    fn links_depend_on_all_that_they_are_over() {
        let here = link(&[0; 32], 1, &[1; 32]);
        assert_ne!(here, link(&[1; 32], 1, &[1; 32]));
        assert_ne!(here, link(&[0; 32], 2, &[1; 32]));
        assert_ne!(here, link(&[0; 32], 1, &[2; 32]));
    }

    #[test]
    fn the_first_bad_row_is_named() {
        let ink = ink(7);
        let sealed = chain(&ink, 5);
        let end = head(&ink, &sealed);
        let with = |how: &dyn Fn(&mut Vec<Sealed>)| {
            let mut sealed = sealed.clone();
            how(&mut sealed);
            check(&ink, &sealed, end.as_ref())
        };
        let id = |n: usize| sealed[n - 1].row.id;
        let changed = Fault::Changed {
            position: 3,
            id: id(3),
        };
        assert_eq!(with(&|log| log[2].row.by = "user".to_owned()), Err(changed));
        let moved = Fault::Moved {
            position: 3,
            id: id(3),
        };
        assert_eq!(with(&|log| log[2].hash[0] ^= 1), Err(moved));
        let missing = |position| Err(Fault::Missing { position });
        assert_eq!(with(&|log| drop(log.remove(2))), missing(3));
        assert_eq!(with(&|log| drop(log.remove(0))), missing(1));
        assert_eq!(with(&|log| drop(log.pop())), missing(5));
        assert_eq!(with(&|log| log.clear()), missing(1));
        let swapped = Fault::Moved {
            position: 2,
            id: id(4),
        };
        let swap = |log: &mut Vec<Sealed>| {
            let row = log[1].row.clone();
            log[1].row = std::mem::replace(&mut log[3].row, row);
        };
        assert_eq!(with(&swap), Err(swapped));
    }

    #[test]
    fn another_installations_row_is_not_ours_wherever_it_stands() {
        let (ours, other) = (ink(7), ink(8));
        let mut sealed = chain(&ours, 3);
        let end = head(&ours, &sealed);
        sealed[1].row = other.write(&draft(2), Some(&SALT));
        sealed[1].hash = link(&sealed[0].hash, 2, &sealed[1].row.digest());
        let (position, id) = (2, sealed[1].row.id);
        let expected = Err(Fault::Changed { position, id });
        assert_eq!(check(&ours, &sealed, end.as_ref()), expected);
    }

    #[test]
    fn without_a_head_nothing_may_be_there() {
        let ink = ink(7);
        let sealed = chain(&ink, 2);
        let expected = Err(Fault::Mark {
            kind: MarkKind::Head,
            position: 2,
        });
        assert_eq!(check(&ink, &sealed, None), expected);
        assert_eq!(check(&ink, &[], None), Ok(()));
    }

    #[test]
    fn marks_are_for_one_purpose_one_place_and_one_time() {
        let ink = ink(7);
        let mark = ink.mark(MarkKind::Checkpoint, 3, [5; 32], at(0));
        assert!(ink.signed(&mark, MarkKind::Checkpoint));
        assert!(mark.is_signed_by(ink.public_key()));
        assert!(!mark.is_signed_by(&[0; 32]) && !mark.is_signed_by(b""));
        assert!(!super::ink(8).signed(&mark, MarkKind::Checkpoint));
        for kind in [MarkKind::Head, MarkKind::Cut] {
            assert!(!ink.signed(&mark, kind));
            let renamed = Mark {
                kind,
                ..mark.clone()
            };
            assert!(!ink.signed(&renamed, kind), "{kind:?}");
        }
        let mut changes = vec![mark.clone(); 5];
        changes[0].position = 4;
        changes[1].hash[0] ^= 1;
        changes[2].at = at(1);
        changes[3].signature[0] ^= 1;
        changes[4].signature.clear();
        for changed in changes {
            assert!(!ink.signed(&changed, MarkKind::Checkpoint), "{changed:?}");
        }
    }

    #[test]
    fn a_checkpoint_is_no_end() {
        let ink = ink(7);
        let sealed = chain(&ink, 3);
        let last = &sealed[2];
        let replayed = Mark {
            kind: MarkKind::Head,
            ..ink.mark(MarkKind::Checkpoint, 3, last.hash, at(0))
        };
        let expected = Err(Fault::Mark {
            kind: MarkKind::Head,
            position: 3,
        });
        assert_eq!(check(&ink, &sealed, Some(&replayed)), expected);
    }

    #[test]
    fn a_checkpoint_is_about_its_own_place() {
        let ink = ink(7);
        let sealed = chain(&ink, 3);
        let cursor = walk(&ink, None, &sealed).unwrap();
        let at_end = |position, hash| ink.mark(MarkKind::Checkpoint, position, hash, at(0));
        assert_eq!(cursor.pass(&ink, &at_end(3, cursor.hash())), Ok(()));
        for wrong in [at_end(2, cursor.hash()), at_end(3, [1; 32])] {
            let expected = Fault::Mark {
                kind: MarkKind::Checkpoint,
                position: wrong.position,
            };
            assert_eq!(cursor.pass(&ink, &wrong), Err(expected));
        }
    }

    #[test]
    fn behind_a_cut_the_chain_goes_on() {
        let ink = ink(7);
        let sealed = chain(&ink, 5);
        let end = head(&ink, &sealed);
        let cut = ink.mark(MarkKind::Cut, 3, sealed[2].hash, at(9));
        let cursor = walk(&ink, Some(&cut), &sealed[3..]).unwrap();
        assert_eq!(cursor.end(&ink, end.as_ref()), Ok(()));
        // Cut further than it says.
        let missing = Fault::Missing { position: 4 };
        assert_eq!(walk(&ink, Some(&cut), &sealed[4..]).unwrap_err(), missing);
        let mut forged = cut;
        forged.position = 4;
        let expected = Fault::Mark {
            kind: MarkKind::Cut,
            position: 4,
        };
        assert_eq!(Cursor::begin(&ink, Some(&forged)).unwrap_err(), expected);
    }

    #[test]
    fn faults_name_the_place() {
        let id = draft(1).id;
        let texts = [
            Fault::Missing { position: 17 },
            Fault::Changed { position: 17, id },
            Fault::Moved { position: 17, id },
            Fault::Beyond { position: 17, id },
            Fault::Mark {
                kind: MarkKind::Cut,
                position: 17,
            },
        ]
        .map(|fault| fault.to_string());
        assert!(texts.iter().all(|text| text.contains("17")), "{texts:?}");
        assert!(Fault::Foreign { id }.to_string().contains(&id.to_string()));
    }
}

use countersign_domain::rotation::SessionState;
use countersign_domain::{SessionId, UserId};
use jiff::Timestamp;
use uuid::Uuid;

use super::support::{CLUSTER, SINGLE, calls, link};
use crate::entry::{Entry, Facts};

/// With its name and its expiry.
const MOST: i64 = 200;

#[tokio::test]
async fn session_needs_at_most_200_bytes() {
    let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
    let entry = Entry {
        state: SessionState {
            generation: u32::MAX - 1,
            rotated_at: at(0),
            idle_expires_at: at(1000),
            expires_at: at(2000),
            ended: None,
        },
        facts: Facts {
            user: UserId(Uuid::max()),
            auth_time: at(0),
            amr: ["pwd", "otp", "mfa"].map(str::to_owned).to_vec(),
            roles: ["reader", "writer"].map(str::to_owned).to_vec(),
        },
    };
    for variable in [SINGLE, CLUSTER] {
        let link = link(variable).await;
        let calls = calls(&link).await;
        let (id, token) = (SessionId(Uuid::from_u128(1)), [1; 16]);
        link.query::<()>(&calls.lease(id, &token)).await.unwrap();
        let opened: i64 = link
            .query(&calls.open(id, &token, &entry, at(1)))
            .await
            .unwrap();
        assert_eq!(opened, 1);
        let mut usage = redis::cmd("MEMORY");
        usage.arg("USAGE").arg(calls.names.session(id));
        let bytes: i64 = link.query(&usage).await.unwrap();
        assert!(bytes <= MOST, "{bytes} bytes");
        let mut ttl = redis::cmd("PTTL");
        ttl.arg(calls.names.session(id));
        let left: i64 = link.query(&ttl).await.unwrap();
        assert!((900_000..=1_600_000).contains(&left), "{left} ms");
    }
}

//! How long other instances go on accepting a session after its sign-out was answered, while they have other work.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::doors::Doors;
use super::line::Line;
use super::user::User;
use super::world::{Profile, World};
use crate::{Api, Random};

/// Users at work beside it, each without a pause.
const USERS: usize = 8;
/// Each is measured on both other instances.
const SIGN_OUTS: usize = 200;
/// Each takes about half a second.
const SIGN_OUTS_WITHOUT_REDIS: usize = 100;
const PASSWORD: &str = "correct horse battery";

/// Measures and prints it.
pub async fn sign_outs(profile: Profile, mut random: Random) {
    assert!(profile.instances() > 1, "there is no other instance");
    let mut world = World::start(profile, &mut random, None).await;
    let doors = Arc::new(world.doors());
    let (stop, stopped) = watch::channel(false);
    let mut working = JoinSet::new();
    for _ in 0..USERS {
        let line = Line::new(doors.clone(), random.fork(), Duration::from_secs(12));
        let (mut user, stopped) = (User::new(line, random.fork()), stopped.clone());
        working.spawn(async move { user.work(stopped).await });
    }
    println!(
        "\n| {} | requests a second beside it | median | p99 | longest |",
        profile.name()
    );
    println!("|---|--:|--:|--:|--:|");
    measure("nothing is wrong", SIGN_OUTS, &world, &doors).await;
    if let Some(redis) = &mut world.redis {
        for server in &mut redis.servers {
            server.kill();
        }
        sleep(Duration::from_secs(3)).await;
        measure("Redis is gone", SIGN_OUTS_WITHOUT_REDIS, &world, &doors).await;
    }
    stop.send_replace(true);
    working.join_all().await;
    let broken = doors.ledger.take().broken;
    assert_eq!(broken, 0, "broken promises");
}

async fn measure(what: &str, sign_outs: usize, world: &World, doors: &Doors) {
    let apis: Vec<Api> = world.servers.iter().map(crate::Server::api).collect();
    doors.ledger.take();
    let mut times = Vec::new();
    let began = Instant::now();
    let email = format!("{}@example.com", crate::random::unique());
    apis[0].new_session(&email, PASSWORD).await;
    for number in 0..sign_outs {
        times.extend(one(&apis, number % apis.len(), &email).await);
    }
    let seconds = began.elapsed().as_secs_f64();
    let load = doors.ledger.take().requests as f64 / seconds;
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    println!(
        "| {what} | {load:.0} | {} | {} | {} |",
        ms(at(0.5)),
        ms(at(0.99)),
        ms(at(1.0))
    );
}

/// Signs in and out at one instance. How long after the answer each of the others refused for the first time.
async fn one(apis: &[Api], here: usize, email: &str) -> Vec<Duration> {
    let session = apis[here].login(email, PASSWORD).await.tokens();
    // All have seen the token, and would know it again.
    for api in apis {
        api.me(&session.access).await.expect(200);
    }
    let body = json!({"scope": "local"});
    let out = apis[here].with_token(Method::POST, "/auth/logout", &session.access, body);
    out.await.expect(204);
    let answered = Instant::now();
    let mut asking = JoinSet::new();
    for (number, api) in apis.iter().enumerate() {
        let (api, access) = (api.clone(), session.access.clone());
        if number != here {
            asking.spawn(async move {
                while api.me(&access).await.status != 401 {}
                answered.elapsed()
            });
        }
    }
    asking.join_all().await
}

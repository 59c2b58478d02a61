//! The rotation decision in a model of the whole: a client whose answers get lost and who sends one
//! token twice, a thief, sign-out, expiry, a clock that is set, and a backend that loses its newest state.
//!
//! The invariants, which `checks.rs` checks at each step:
//!
//! - **I1** A token that was exchanged yields tokens again only as the one that was exchanged last, and
//!   only within the grace period. A clock that is set back lengthens the period by as much.
//! - **I2** One live branch: a generation has one successor, whoever asks and however often, and at any moment
//!   at most the newest token and, within the grace period, the one before it are accepted.
//! - **I3** An honest client is refused only after a theft, a sign-out or an expiry, if it repeats
//!   requests within the grace period. One that repeats later is taken for a thief: they look the same.
//! - **I4** A theft is found at the latest when both parties have refreshed, the second one out of the grace
//!   period of the first, and then the session is over for both.
//! - **I5** A session that has ended yields nothing again. One that has expired yields nothing while
//!   the clock says so; expiry is no event that is stored, so a clock that is set back before it undoes it.
//!   The idle expiry never passes the absolute one. The last generation of all has no successor.
//!
//! What the loss of the newest state weakens, and what it does not:
//!
//! - I1: exchanges that the database had not learned of are forgotten, so their tokens count as unused
//!   once more, even long after the grace period. They yield the successors that they yielded the first
//!   time. **I6**: a token that the database knew to be exchanged stays so.
//! - I2: until the newest token is seen, all tokens since the one that the database knows are accepted. They
//!   lie on one branch, and whichever is used ends those before it.
//! - I3 holds unchanged: the newest token is ahead of the stored state, which is adopted from it.
//! - I4: a theft may take one refresh more to be found, see `a_loss_delays_the_discovery_by_one_refresh`.
//! - I5: sign-out and discovered reuse are durable before they are acknowledged, so no loss undoes them. The
//!   idle expiry falls back to what the database knew: the session ends sooner by that. It ends later only
//!   where the clock was set back between the two, by as much, and never after the absolute expiry.

#[path = "rotation/checks.rs"]
mod checks;
#[path = "rotation/schedule.rs"]
mod schedule;
#[path = "rotation/store.rs"]
mod store;
#[path = "rotation/witness.rs"]
mod witness;
#[path = "rotation/world.rs"]
mod world;

use countersign_domain::rotation::EndReason;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use schedule::{Edge, HOUR, Hazards, SECOND, Setup, Step, long_setups, schedules, setups};
use witness::Outcome;
use world::{Check, Party, World};

fn config() -> ProptestConfig {
    let persistence = FileFailurePersistence::WithSource("proptest-regressions");
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: 3 * usual.cases,
        failure_persistence: Some(Box::new(persistence)),
        ..usual
    }
}

/// Each party uses its newest token, in this order, every time out of the grace period.
fn take_turns(world: &mut World, parties: &[Party]) -> Check {
    for party in parties {
        world.pass(60 * SECOND)?;
        world.pass_edge(Edge::Grace, 1)?;
        match party {
            Party::Client => world.client_request(world.held, false)?,
            Party::Thief => {
                let newest = world.loot.last().copied();
                world.thief_request(newest.unwrap_or(world.held))?;
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn invariants_hold_whatever_happens(
        setup in setups(),
        schedule in schedules(Hazards::ALL),
    ) {
        World::new(setup).run(&schedule)?;
    }

    #[test]
    fn an_honest_client_stays_signed_in(
        setup in long_setups(),
        schedule in schedules(Hazards { loss: true, ..Hazards::default() }),
    ) {
        // Without a grace period only a client that never repeats a request is safe.
        let careful = setup.grace == 0;
        let schedule = schedule.into_iter().flat_map(|step| match step {
            Step::Send { .. } if careful => vec![],
            Step::Arrive { which, .. } if careful => {
                vec![Step::Send { requests: 1 }, Step::Arrive { which, answer_lost: false }]
            }
            step => vec![step],
        });
        let mut world = World::new(Setup { prompt: true, ..setup });
        world.run(&schedule.collect::<Vec<_>>())?;
        prop_assert_eq!(world.store.fast.ended, None);
        prop_assert!(!world.seen.contains(&Outcome::Reuse));
        prop_assert!(!world.seen.contains(&Outcome::Expired));
    }

    #[test]
    fn a_theft_is_found_when_both_have_refreshed(
        setup in long_setups(),
        schedule in schedules(Hazards { theft: true, loss: true, ..Hazards::default() }),
        thief_first: bool,
    ) {
        let mut world = World::new(Setup { prompt: false, ..setup });
        world.run(&schedule)?;
        world.run(&[Step::Copy])?;
        let (first, second) = match thief_first {
            true => (Party::Thief, Party::Client),
            false => (Party::Client, Party::Thief),
        };
        // After a loss the first may have been behind the second, who is then adopted.
        let turns = if world.losses == 0 { 2 } else { 3 };
        take_turns(&mut world, &[first, second, first][..turns])?;
        prop_assert_eq!(world.store.fast.ended, Some(EndReason::Reuse));
        prop_assert_eq!(world.store.durable.ended, Some(EndReason::Reuse));
        // It is over for both, and no loss brings it back.
        world.seen.clear();
        world.run(&[Step::Lose])?;
        take_turns(&mut world, &[first, second])?;
        prop_assert_eq!(world.seen.iter().collect::<Vec<_>>(), [&Outcome::Ended(EndReason::Reuse)]);
    }
}

const PLAIN: Setup = Setup {
    grace: 30 * SECOND,
    idle: 100 * HOUR,
    absolute: 1_000 * HOUR,
    first: 0,
    prompt: true,
};

/// The weakest point, step by step: an exchange is forgotten, and the thief's copy counts as unused.
#[test]
fn a_loss_delays_the_discovery_by_one_refresh() {
    let mut world = World::new(PLAIN);
    world.run(&[Step::Copy]).unwrap();
    take_turns(&mut world, &[Party::Client]).unwrap();
    world.run(&[Step::Lose]).unwrap();
    take_turns(&mut world, &[Party::Thief]).unwrap();
    assert_eq!(world.store.fast.ended, None);
    // Both have token 1 now: the same one, so that this goes no further than one refresh.
    assert_eq!((world.held, world.loot.last()), (1, Some(&1)));
    take_turns(&mut world, &[Party::Client]).unwrap();
    assert_eq!(world.store.fast.ended, None);
    take_turns(&mut world, &[Party::Thief]).unwrap();
    assert_eq!(world.store.fast.ended, Some(EndReason::Reuse));
}

#[test]
fn what_the_database_knew_before_a_loss_is_found_at_once() {
    let mut world = World::new(PLAIN);
    world.run(&[Step::Copy]).unwrap();
    take_turns(&mut world, &[Party::Client]).unwrap();
    world.run(&[Step::WriteBehind, Step::Lose]).unwrap();
    take_turns(&mut world, &[Party::Thief]).unwrap();
    assert_eq!(world.store.fast.ended, Some(EndReason::Reuse));
}

#[test]
fn the_last_generation_ends_the_session_and_does_not_wrap_around() {
    let mut world = World::new(Setup {
        first: u32::MAX - 1,
        ..PLAIN
    });
    take_turns(&mut world, &[Party::Client]).unwrap();
    assert_eq!(world.held, u32::MAX);
    take_turns(&mut world, &[Party::Client]).unwrap();
    assert_eq!(world.store.fast.generation, u32::MAX);
    assert!(world.seen.contains(&Outcome::Expired));
}

/// Guards the properties above against schedules in which nothing happens.
#[test]
fn schedules_reach_every_outcome() {
    let mut runner = TestRunner::deterministic();
    let (mut seen, mut adoptions) = (std::collections::HashSet::new(), 0);
    for _ in 0..500 {
        let both = (setups(), schedules(Hazards::ALL));
        let (setup, schedule) = both.new_tree(&mut runner).unwrap().current();
        let mut world = World::new(setup);
        world.run(&schedule).unwrap();
        seen.extend(world.seen);
        adoptions += world.adoptions;
    }
    let ended = [EndReason::Reuse, EndReason::Logout].map(Outcome::Ended);
    for outcome in [
        Outcome::Rotated,
        Outcome::Repeated,
        Outcome::Reuse,
        Outcome::Expired,
    ] {
        assert!(seen.contains(&outcome), "{outcome:?}");
    }
    for outcome in ended {
        assert!(seen.contains(&outcome), "{outcome:?}");
    }
    assert!(adoptions > 20, "{adoptions}");
}

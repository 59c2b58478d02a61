//! What may happen to a session, in any order.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::Union;

/// Milliseconds of the model's clocks.
pub(crate) type Millis = i64;

pub(crate) const SECOND: Millis = 1_000;
pub(crate) const HOUR: Millis = 3_600 * SECOND;

/// A session's settings and its client's manners.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) grace: Millis,
    pub(crate) idle: Millis,
    pub(crate) absolute: Millis,
    /// The generation that the session begins with.
    pub(crate) first: u32,
    /// The client repeats a request whose answer was lost before the grace period is over.
    pub(crate) prompt: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The client sends its token, in so many requests at once.
    Send {
        requests: usize,
    },
    /// One of the client's requests arrives; its answer may get lost.
    Arrive {
        which: Index,
        answer_lost: bool,
    },
    /// The thief copies the token that the client holds now.
    Copy,
    /// The thief uses one of the tokens that it has copied or been given.
    Steal {
        which: Index,
    },
    /// Time passes.
    Wait(Millis),
    /// Time passes until just before, at or just after a moment that matters.
    WaitFor {
        edge: Edge,
        offset: Millis,
    },
    /// The clock is set, backward if negative, and no time passes.
    SetClock(Millis),
    /// The database learns of the rotations so far.
    WriteBehind,
    /// The newest state is lost; what the database knows counts.
    Lose,
    Logout,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Edge {
    Grace,
    Idle,
    Absolute,
}

/// What else may happen than refreshing, waiting and clock steps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hazards {
    pub(crate) theft: bool,
    pub(crate) loss: bool,
    pub(crate) logout: bool,
    /// Waits that are long against the expiries of [`setups`], and waits for these expiries.
    pub(crate) expiry: bool,
}

impl Hazards {
    pub(crate) const ALL: Self = Self {
        theft: true,
        loss: true,
        logout: true,
        expiry: true,
    };
}

pub(crate) fn schedules(hazards: Hazards) -> impl Strategy<Value = Vec<Step>> {
    let if_any = |hazard, weight| if hazard { weight } else { 0 };
    let kinds: Vec<(u32, BoxedStrategy<Step>)> = vec![
        (
            6,
            (1..=2usize)
                .prop_map(|requests| Step::Send { requests })
                .boxed(),
        ),
        (12, arrivals().boxed()),
        (5, waits().prop_map(Step::Wait).boxed()),
        (3, edges(Just(Edge::Grace)).boxed()),
        (
            2,
            (-600 * SECOND..=60 * SECOND)
                .prop_map(Step::SetClock)
                .boxed(),
        ),
        (2, Just(Step::WriteBehind).boxed()),
        (if_any(hazards.theft, 3), Just(Step::Copy).boxed()),
        (
            if_any(hazards.theft, 3),
            any::<Index>()
                .prop_map(|which| Step::Steal { which })
                .boxed(),
        ),
        (if_any(hazards.loss, 2), Just(Step::Lose).boxed()),
        (
            if_any(hazards.logout, 1),
            prop::option::weighted(0.2, Just(Step::Logout))
                .prop_map(|logout| logout.unwrap_or(Step::Wait(0)))
                .boxed(),
        ),
        (
            if_any(hazards.expiry, 1),
            (HOUR..3 * HOUR).prop_map(Step::Wait).boxed(),
        ),
        (
            if_any(hazards.expiry, 1),
            edges(prop_oneof![Just(Edge::Idle), Just(Edge::Absolute)]).boxed(),
        ),
    ];
    let kinds = kinds.into_iter().filter(|(weight, _)| *weight > 0);
    vec(Union::new_weighted(kinds.collect()), 1..100)
}

fn arrivals() -> impl Strategy<Value = Step> {
    (any::<Index>(), prop::bool::weighted(0.25))
        .prop_map(|(which, answer_lost)| Step::Arrive { which, answer_lost })
}

fn waits() -> impl Strategy<Value = Millis> {
    prop_oneof![0..2 * SECOND, 0..40 * SECOND, 60 * SECOND..900 * SECOND,]
}

fn edges(edge: impl Strategy<Value = Edge>) -> impl Strategy<Value = Step> {
    (edge, -1..=1i64).prop_map(|(edge, offset)| Step::WaitFor { edge, offset })
}

/// Sessions with and without a grace period, that idle out within hours, some of them at the end of
/// their generations.
pub(crate) fn setups() -> impl Strategy<Value = Setup> {
    let firsts = prop_oneof![4 => Just(0), 1 => u32::MAX - 12..=u32::MAX];
    let lives = prop_oneof![Just((5 * HOUR, 12 * HOUR)), Just((2 * HOUR, HOUR))];
    let graces = prop_oneof![1 => Just(0), 3 => Just(30 * SECOND)];
    (graces, lives, firsts, any::<bool>()).prop_map(|(grace, (idle, absolute), first, prompt)| {
        Setup {
            grace,
            idle,
            absolute,
            first,
            prompt,
        }
    })
}

/// Sessions that outlive every schedule.
pub(crate) fn long_setups() -> impl Strategy<Value = Setup> {
    (setups(), 0..1000u32).prop_map(|(setup, first)| Setup {
        idle: 1_000 * HOUR,
        absolute: 10_000 * HOUR,
        first,
        ..setup
    })
}

//! The contract suite: what the traits promise, as tests that every backend runs.
//!
//! ```text
//! async fn fresh() -> (MyStore, MyStore, Guard) { … }
//! countersign_store::contract_suite!(my_store, fresh);
//! ```
//! `fresh` answers two stores with pools of their own over one fresh, migrated database, and
//! anything that has to live as long as the test. Each case becomes a test of its own.
#![allow(missing_docs, reason = "a case is documented by its name")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "cases are tests"
)]

pub mod actors;
pub mod announcements;
pub mod audit;
pub mod housekeeping;
pub mod keys;
pub mod kit;
pub mod limits;
pub mod races;
pub mod refresh;
pub mod service_keys;
pub mod sessions;
pub mod sign_in_races;
pub mod users;

/// Runs every case of the contract against one backend: see [`crate::contract`].
#[macro_export]
macro_rules! contract_suite {
    ($name:ident, $fresh:path) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::contract_cases!([$crate::contract_tests] $fresh);
            $crate::limits_cases!([$crate::contract_tests] $fresh);
        }
    };
}

/// Calls a macro with the list of all cases.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_cases {
    ([$($then:tt)+] $($argument:tt)*) => {
        $($then)+! { ($($argument)*)
            users: created_user_is_found_again;
            users: user_without_password_has_none;
            users: taken_address_creates_nothing;
            users: unknown_users_are_not_found;
            users: list_is_in_order_of_age;
            users: change_touches_what_it_names;
            users: change_to_taken_address_changes_nothing;
            users: change_of_unknown_user_is_not_found;
            users: disabling_ends_sessions;
            users: set_password_ends_other_sessions;
            users: set_password_by_operator_ends_all_sessions;
            users: set_password_conflict_changes_nothing;
            users: set_password_of_unknown_user_is_not_found;
            users: deletion_leaves_announcements_only;
            users: deletion_conflict_changes_nothing;
            users: deletion_of_unknown_user_is_not_found;
            sessions: opened_session_is_found_again;
            sessions: session_without_details;
            sessions: rehash_replaces_the_proof;
            sessions: stale_proof_opens_nothing;
            sessions: too_many_sessions_end_the_oldest;
            sessions: live_sessions_are_newest_first;
            sessions: live_sessions_leave_out_the_dead;
            sessions: ending_one_session;
            sessions: ending_twice_keeps_the_first_reason;
            sessions: ending_a_foreign_or_unknown_session_is_not_found;
            sessions: ending_all_or_all_others;
            sessions: ending_sessions_of_unknown_user_is_not_found;
            sessions: idled_out_sessions_are_ended_too;
            refresh: rotation_moves_the_session_on;
            refresh: retry_within_grace_gets_the_same_successor;
            refresh: retry_after_grace_closes_the_session;
            refresh: older_token_within_grace_closes_the_session;
            refresh: without_grace_every_second_use_is_reuse;
            refresh: token_ahead_is_adopted;
            refresh: generations_reach_their_end;
            refresh: idle_expiry_slides_up_to_the_absolute_one;
            refresh: expired_session_is_dead;
            refresh: ended_session_is_dead_for_its_reason;
            refresh: unknown_session;
            refresh: answers_carry_the_user_as_stored;
            actors: live_session_may_act;
            actors: dead_session_changes_no_user;
            actors: dead_session_sets_no_password;
            actors: dead_session_deletes_nobody;
            actors: dead_session_ends_no_session;
            actors: dead_session_ends_no_sessions;
            keys: first_key_signs_at_once;
            keys: key_in_use_is_not_doubled;
            keys: new_algorithm_retires_the_old_one;
            keys: retiring_key_does_not_count_as_in_use;
            keys: rotation_keeps_earlier_ends;
            keys: emergency_deletes_all_others;
            keys: emergency_ends_every_session_from_before;
            keys: without_a_key_only_the_others_are_affected;
            keys: one_of_ten_installs;
            keys: root_secret_is_bound_once;
            service_keys: made_key_is_found_again;
            service_keys: name_is_taken_until_its_key_is_revoked;
            service_keys: revoked_key_stays_revoked;
            service_keys: one_of_ten_gets_the_name;
            announcements: list_is_in_order_and_live;
            announcements: stretches_overlap;
            announcements: none_is_left_out_under_concurrent_writers;
            announcements: news_tell_what_is_on_the_list;
            audit: registration_leaves_one_event;
            audit: sign_in_leaves_one_event;
            audit: sign_in_names_the_session_that_it_ends;
            audit: change_of_a_user_leaves_one_event;
            audit: change_of_roles_says_from_what_to_what;
            audit: disabling_names_the_sessions_that_it_ends;
            audit: setting_a_password_leaves_one_event;
            audit: ending_sessions_leaves_one_event;
            audit: refreshing_leaves_none_and_reuse_one;
            audit: keys_leave_one_event;
            audit: what_fails_leaves_none;
            audit: appending_twice_changes_nothing;
            audit: appended_events_are_read_back;
            audit: events_of_an_erased_user_lose_their_personal_part;
            audit: every_address_of_an_erased_user_is_forgotten;
            audit: erasure_against_appending;
            audit: events_are_found_by_what_they_are_about;
            audit: pages_leave_out_none_and_repeat_none;
            audit: events_wait_for_their_place_oldest_first;
            audit: chain_says_how_far_it_goes;
            audit: chain_goes_on_only_from_its_end;
            audit: sealers_never_fork_the_chain;
            audit: checkpoints_are_kept_in_order;
            audit: cut_removes_what_it_says;
            audit: salts_are_the_users_own;
            audit: sealed_events_come_with_their_salts;
            audit: times_are_whole_microseconds;
            housekeeping: one_holds_the_lease;
            housekeeping: one_of_eight_gets_a_free_lease;
            housekeeping: purging_removes_what_is_over_and_nothing_else;
            housekeeping: purging_goes_in_batches;
            housekeeping: purging_keeps_keys_that_verify;
            races: one_successor_for_64_refreshes;
            races: one_announcement_for_64_reuses;
            races: refresh_against_logout;
            races: refresh_against_logout_of_all;
            races: refresh_against_password_change;
            races: refresh_against_disabling;
            races: refresh_against_deletion;
            races: two_sessions_end_each_other;
            races: every_end_is_announced_once;
            sign_in_races: sign_in_against_password_change;
            sign_in_races: sign_in_against_disabling;
            sign_in_races: sign_in_against_deletion;
            sign_in_races: one_of_32_registrations_wins;
            sign_in_races: one_of_two_users_gets_the_address;
            sign_in_races: one_of_16_password_changes_wins;
            sign_in_races: abandoned_calls_leave_nothing_behind;
        }
    };
}

/// Runs the cases about limits alone, against a backend that keeps nothing else. `fresh` answers two
/// handles on the same tallies, and anything that has to live as long as the test.
#[macro_export]
macro_rules! limits_suite {
    ($name:ident, $fresh:path) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::limits_cases!([$crate::contract_tests] $fresh);
        }
    };
}

/// Calls a macro with the list of the cases about limits.
#[doc(hidden)]
#[macro_export]
macro_rules! limits_cases {
    ([$($then:tt)+] $($argument:tt)*) => {
        $($then)+! { ($($argument)*)
            limits: as_many_places_as_the_limit;
            limits: keys_do_not_share_places;
            limits: places_are_given_back;
            limits: delays_grow_and_are_forgotten;
            limits: a_clock_stepped_back_freezes_nobody;
            limits: exactly_five_of_64_at_once;
            limits: taking_and_giving_back_at_once_loses_nothing;
            limits: lapsed_ones_can_be_removed;
        }
    };
}

/// Makes a test of each case.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    (($fresh:path) $($group:ident: $case:ident;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (a, b, _guard) = $fresh().await;
                let (a, b) = (std::sync::Arc::new(a), std::sync::Arc::new(b));
                $crate::contract::$group::$case(a, b).await;
            }
        )+
    };
}

#[cfg(test)]
mod tests {
    macro_rules! names {
        (() $($group:ident: $case:ident;)+) => {
            &[$((stringify!($group), stringify!($case))),+]
        };
    }

    /// A case that nobody runs would be a promise that nobody checks.
    #[test]
    fn every_case_is_listed() {
        let listed: &[(&str, &str)] = crate::contract_cases!([names]);
        let limits: &[(&str, &str)] = crate::limits_cases!([names]);
        let listed = [listed, limits].concat();
        let written = [
            ("actors", include_str!("actors.rs")),
            ("announcements", include_str!("announcements.rs")),
            ("audit", include_str!("audit.rs")),
            ("housekeeping", include_str!("housekeeping.rs")),
            ("keys", include_str!("keys.rs")),
            ("limits", include_str!("limits.rs")),
            ("races", include_str!("races.rs")),
            ("refresh", include_str!("refresh.rs")),
            ("service_keys", include_str!("service_keys.rs")),
            ("sessions", include_str!("sessions.rs")),
            ("sign_in_races", include_str!("sign_in_races.rs")),
            ("users", include_str!("users.rs")),
        ];
        for (group, source) in written {
            for line in source.lines() {
                let Some(rest) = line.strip_prefix("pub async fn ") else {
                    continue;
                };
                let case = rest.split('<').next().unwrap();
                assert!(listed.contains(&(group, case)), "{group}::{case}");
            }
        }
    }
}

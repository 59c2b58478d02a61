//! Tests through the front door: the real router over a database in memory, with a clock that
//! tests move and randomness that repeats itself.

mod answer;
mod app;
mod request;
mod rules;

mod admin_audit;
mod audit_kinds;
mod bearer_headers;
mod bodies;
mod common_rules;
mod cors;
mod devices;
mod document;
mod failed_sign_ins;
mod feed;
mod forms;
mod hashing_room;
mod housekeeping;
mod instances;
mod life_of_a_session;
mod life_of_an_account;
mod limits;
mod limits_for_others;
mod logout_scopes;
mod mass_assignment;
mod media_types;
mod metrics;
mod refused_tokens;
mod rehash;
mod request_log;
mod reuse;
mod routes;
mod security_events;
mod signing_keys;
mod spans;
mod trouble;

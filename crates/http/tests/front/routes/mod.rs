//! What each route answers, word for word: every success, and every refusal that is its own.

mod change_password;
mod login;
mod logout;
mod me;
mod public;
mod refresh;
mod register;
mod sessions;

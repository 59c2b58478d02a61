//! Connections, over real sockets: what slow and greedy clients may take, and how the server
//! stops. Nothing here asks how long something took, only that it happens at all.

mod protocols;
mod server;
mod slow_clients;
mod stopping;

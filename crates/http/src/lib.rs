//! The HTTP edge of Countersign: reads requests, calls one use case each, and puts the outcome
//! into words. What the routes promise is in the OpenAPI document that [`openapi`] makes.

mod admin;
mod answers;
mod bearer;
mod body;
mod client_address;
mod context;
mod device;
mod docs_page;
mod drain;
mod edge;
mod feed;
mod fields;
mod form;
mod moving;
mod openapi;
mod paging;
mod problem;
mod routes;
mod serve;
mod service;
mod sight;
mod standings;

pub use client_address::{ForwardingHeader, TrustedProxies};
pub use drain::Drain;
pub use edge::{CorsOrigins, Edge, EdgeSettings};
pub use openapi::openapi;
pub use routes::{operator_router, public_router};
pub use serve::{Limits, PeerAddress, serve};
pub use sight::{Outlets, RequestSpan, Spans, TraceParent};

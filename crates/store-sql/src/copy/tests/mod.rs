mod copying;
mod data;
mod refused;
mod schema;

//! Moving an installation from SQLite to PostgreSQL.

mod cell;
mod sum;
mod tables;

#[cfg(test)]
mod tests;

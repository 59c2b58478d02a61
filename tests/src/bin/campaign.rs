//! A random campaign of faults, for as long as you like: `scripts/campaign --help`.

use std::time::Duration;

use clap::Parser;
use countersign_tests::Random;
use countersign_tests::faults::{Campaign, Profile, sign_outs};

/// Makes random faults, one or two at a time, and checks after each that every promise was kept.
#[derive(Debug, Parser)]
struct Arguments {
    /// What the instances run on.
    #[arg(long, default_value = "postgres", value_parser = profile)]
    profile: Profile,
    /// How long to go on.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Instead, once each fault whose name has this text; the empty text means all.
    #[arg(long)]
    each: Option<String>,
    /// Random faults, but only those whose name has one of these texts.
    #[arg(long, conflicts_with = "each")]
    only: Vec<String>,
    /// Instead, measures how long other instances go on accepting a session that was signed out, under load: as it is,
    /// and, on Redis, without Redis.
    #[arg(long)]
    sign_outs: bool,
    /// Makes the same choice of faults again.
    #[arg(long)]
    seed: Option<u64>,
}

fn profile(name: &str) -> Result<Profile, String> {
    Profile::from_name(name).ok_or_else(|| format!("one of: {}", Profile::names()))
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let random = arguments
        .seed
        .map_or_else(Random::from_environment, Random::from_seed);
    if arguments.sign_outs {
        return sign_outs(arguments.profile, random).await;
    }
    match arguments.each {
        Some(text) => Campaign::each(arguments.profile, random, &[&text]).await,
        None => {
            let lasts = Duration::from_secs(60 * arguments.minutes);
            Campaign::random(arguments.profile, random, lasts, &arguments.only).await;
        }
    }
}

//! What the figures were measured on.

use anyhow::Result;

/// Processor, cores and memory, in a line.
pub(crate) fn describe() -> Result<String> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or(": unknown processor");
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let kilobytes: u64 = memory.split_whitespace().nth(1).unwrap_or("0").parse()?;
    let cores = std::thread::available_parallelism()?;
    let model = model.trim_start_matches(|c: char| c.is_whitespace() || c == ':');
    Ok(format!(
        "machine: {model}, {cores} cores, {} GiB",
        kilobytes / (1 << 20)
    ))
}

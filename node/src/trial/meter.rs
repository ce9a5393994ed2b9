//! What the kernel says of a process and of loopback.

use std::fs;

use rustix::process::Pid;

use crate::cli::Failure;

/// Ticks in a second, in everything the kernel shows under `/proc`; the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::file(path.as_ref(), &error))
}

/// Processor time that a process used, of all its threads, in seconds.
pub(super) fn cpu_seconds(pid: Pid) -> Result<f64, Failure> {
    let text = read(&format!("/proc/{}/stat", pid.as_raw_nonzero()))?;
    // The name stands in parentheses and may hold anything; after it, user and system time are the 12th and 13th.
    let rest = text.rsplit_once(')').map_or("", |(_name, rest)| rest);
    let ticks: u32 = rest.split_whitespace().skip(11).take(2).filter_map(|number| number.parse::<u32>().ok()).sum();
    Ok(f64::from(ticks) / TICKS_PER_SECOND)
}

fn status_kib(pid: Pid, field: &str) -> Result<u64, Failure> {
    let text = read(&format!("/proc/{}/status", pid.as_raw_nonzero()))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| Failure::unexpected(format!("/proc does not tell {field} of {pid:?}")))
}

/// Resident memory now, in KiB.
pub(super) fn resident_kib(pid: Pid) -> Result<u64, Failure> {
    status_kib(pid, "VmRSS:")
}

/// The most resident memory since the process began, in KiB.
pub(super) fn peak_kib(pid: Pid) -> Result<u64, Failure> {
    status_kib(pid, "VmHWM:")
}

/// Bytes that went over loopback since it is up, headers included, of all processes in this network namespace.
pub(super) fn loopback_bytes() -> Result<u64, Failure> {
    let text = read("/proc/net/dev")?;
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("lo:"));
    let bytes = line.and_then(|line| line.split_whitespace().next()).and_then(|bytes| bytes.parse().ok());
    bytes.ok_or_else(|| Failure::unexpected("/proc/net/dev does not tell of loopback"))
}

#[cfg(test)]
mod tests {
    use rustix::process::getpid;

    use super::{cpu_seconds, loopback_bytes, peak_kib, resident_kib};
    use crate::clock::Monotonic;

    #[test]
    fn the_kernel_is_understood() {
        let me = getpid();
        let (before, spinning) = (cpu_seconds(me).unwrap(), Monotonic::start());
        while spinning.elapsed_ms() < 300 {
            std::hint::spin_loop();
        }
        let used = cpu_seconds(me).unwrap() - before;
        assert!((0.05..3.0).contains(&used), "{used}");
        assert!(resident_kib(me).unwrap() > 500 && peak_kib(me).unwrap() >= resident_kib(me).unwrap() / 2);
        loopback_bytes().unwrap();
    }
}

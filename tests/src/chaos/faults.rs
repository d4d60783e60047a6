//! Files that fail; see the library `fault-injection`.

use std::{fs, process::Command};

use rand::Rng;

use super::tally::Tally;
use crate::{Sandbox, library};

/// Faults that files can have.
pub const FAULTS: [&str; 8] = [
    "short-write",
    "disk-full",
    "write-error",
    "sync-error",
    "rename-error",
    "truncate-error",
    "clock",
    "kill",
];
/// Exit status of a program that the machine does not let go on.
pub(super) const ENVIRONMENT: i32 = 3;
/// Faults per million calls.
const RATES: [u32; 3] = [20_000, 100_000, 300_000];
/// Where each fault is told.
const LOG: &str = "faults";

/// Makes the files of `command`, and of the processes it starts, fail in `folder` of the sandbox.
pub(super) fn endanger(command: &mut Command, place: &Sandbox, folder: &str, random: &mut impl Rng) {
    fs::create_dir_all(place.path(folder)).expect("the sandbox is writable");
    let folder = place.path(folder).canonicalize().expect("it was just made");
    let one = random.random_range(0..FAULTS.len());
    let kinds = if random.random_bool(0.5) { FAULTS.join(",") } else { FAULTS[one].to_owned() };
    let rate = RATES[random.random_range(0..RATES.len())];
    command
        .env("LD_PRELOAD", library("fault_injection"))
        .env("FAULTS_IN", folder)
        .env("FAULTS_KINDS", kinds)
        .env("FAULTS_RATE", rate.to_string())
        .env("FAULTS_SEED", random.random::<u32>().to_string())
        .env("FAULTS_LOG", place.path(LOG));
}

/// Counts the faults of the last launch; says whether one of them killed the process `driver`.
pub(super) fn count(place: &Sandbox, driver: u32, tally: &mut Tally) -> bool {
    let log = place.path(LOG);
    let mut driver_killed = false;
    for line in fs::read_to_string(&log).unwrap_or_default().lines() {
        let (kind, process) = line.split_once(' ').unwrap_or((line, ""));
        *tally.faults.entry(kind.to_owned()).or_default() += 1;
        if kind == "kill" {
            let is_driver = process == driver.to_string();
            driver_killed |= is_driver;
            let victims = if is_driver { &mut tally.drivers } else { &mut tally.workers };
            *victims += 1;
        }
    }
    // There is none if nothing failed.
    let _ = fs::remove_file(log);
    driver_killed
}

/// The code of the last error in `messages`. Ends of workers' logs, which may be shown as well, are
/// indented.
pub(super) fn code(messages: &str) -> Option<String> {
    let errors = messages.lines().filter_map(|line| line.strip_prefix("error["));
    errors.filter_map(|rest| rest.split_once(']')).map(|(code, _)| code.to_owned()).next_back()
}

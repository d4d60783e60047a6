//! `nashost doctor`: what this machine offers, and what to repair.

use std::path::Path;

use serde::Serialize;
use serde_json::json;
use sysinfo::{Disks, System};

use super::{
    Context,
    args::{DoctorArgs, Format},
    output::{Output, Style, Table},
};
use crate::{
    device::{self, CudaLibrary, Facts},
    error::{Exit, Result},
};

/// The libtorch that nashost and its plugins are built for.
const LIBTORCH: &str = "2.11.0";

/// Less free space than this is worth a look: checkpoints and decoded images take some.
const LITTLE_SPACE: u64 = 2 << 30;

/// How a fact is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Good,
    /// Not there, which is fine unless it is wanted.
    Absent,
    /// To be repaired.
    Bad,
}

/// One fact, and its remedy if it needs one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// The fact.
    pub detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Check {
    /// A fact as it should be.
    pub fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, state: State::Good, detail: detail.into(), fix: None }
    }

    /// Something that is not there, and need not be.
    pub fn absent(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, state: State::Absent, detail: detail.into(), fix: None }
    }

    /// A fault with its remedy.
    pub fn bad(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: State::Bad, detail: detail.into(), fix: Some(fix.into()) }
    }
}

/// Checks the machine, adds the facts of others (`more`), and prints all.
///
/// # Errors
///
/// Fails if standard output cannot be written to.
pub fn command(args: &DoctorArgs, context: &Context, more: Vec<Check>) -> Result<Exit> {
    let facts = device::facts();
    let mut checks = vec![libtorch(), copies(), driver(&facts), cuda(&facts), devices(&facts)];
    checks.extend([chosen(&args.device), threads(), memory(), space(&args.out), writable(&args.out)]);
    checks.extend(more);
    print(&checks, &context.out)?;
    let is_bad = checks.iter().any(|check| check.state == State::Bad);
    Ok(if is_bad { Exit::Environment } else { Exit::Ok })
}

fn print(checks: &[Check], out: &Output) -> Result<()> {
    match out.format() {
        Format::Json => out.json(checks),
        Format::Table => out.text(&checks.iter().map(|check| line(check, out)).collect::<String>()),
        _ => {
            let mut table = Table::new(&["check", "state", "detail", "fix"]);
            for check in checks {
                table.row([json!(check.name), json!(check.state), json!(check.detail), json!(check.fix)]);
            }
            out.table(&table)
        }
    }
}

fn line(check: &Check, out: &Output) -> String {
    let mark = match check.state {
        State::Good => out.paint(Style::Good, "✓"),
        State::Absent => out.paint(Style::Faint, "–"),
        State::Bad => out.paint(Style::Bad, "✗"),
    };
    let fix = check.fix.as_ref().map(|fix| format!("\n  {:<16}→ {fix}", "")).unwrap_or_default();
    format!("{mark} {:<16}{}{fix}\n", check.name, check.detail)
}

fn libtorch() -> Check {
    let folder = device::libtorch_folder().map_or_else(String::new, |path| format!(" in {}", path.display()));
    match device::libtorch_abi().map(device::version_text) {
        Some(version) if version == LIBTORCH => Check::good("libtorch", format!("{version}{folder}")),
        found => Check::bad(
            "libtorch",
            format!(
                "found {}{folder}, expected {LIBTORCH}",
                found.as_deref().unwrap_or("an unknown version")
            ),
            "run `cargo xtask setup`, and unset LD_LIBRARY_PATH if it names another libtorch",
        ),
    }
}

fn copies() -> Check {
    match device::libtorch_copies().as_slice() {
        [_] => Check::good("libtorch copies", "1 mapped"),
        copies => {
            let paths: Vec<String> = copies.iter().map(|path| path.display().to_string()).collect();
            Check::bad(
                "libtorch copies",
                format!("{} mapped: {}", copies.len(), paths.join(", ")),
                "a plugin brings its own libtorch: build it without one",
            )
        }
    }
}

fn driver(facts: &Facts) -> Check {
    match &facts.driver {
        Some(driver) => Check::good("NVIDIA driver", driver),
        None => Check::absent("NVIDIA driver", "none"),
    }
}

fn cuda(facts: &Facts) -> Check {
    const NAME: &str = "libtorch_cuda";
    match (&facts.cuda, &facts.driver) {
        (CudaLibrary::Mapped(_), _) => Check::good(NAME, "loaded"),
        (CudaLibrary::Absent, None) => Check::absent(NAME, "not there: a build for the CPU"),
        (CudaLibrary::Failed { why, .. }, None) => Check::absent(NAME, format!("not loaded: {why}")),
        (_, Some(_)) => {
            let (why, fix) = facts.cuda_problem().unwrap_or_default();
            Check::bad(NAME, why, fix)
        }
    }
}

fn devices(facts: &Facts) -> Check {
    match (facts.devices, &facts.driver, &facts.cuda) {
        (0, Some(_), CudaLibrary::Mapped(_)) => {
            let (why, fix) = facts.cuda_problem().unwrap_or_default();
            Check::bad("GPUs", why, fix)
        }
        (0, ..) => Check::absent("GPUs", "none"),
        (count, ..) => Check::good("GPUs", format!("{count}: {}", facts.models.join(", "))),
    }
}

fn chosen(device: &str) -> Check {
    match device::resolve(device) {
        Ok(resolved) => Check::good("device", resolved.note),
        Err(error) => Check::bad("device", error.message, error.help.unwrap_or_default()),
    }
}

fn threads() -> Check {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let omp = std::env::var("OMP_NUM_THREADS").unwrap_or_else(|_| "not set".to_owned());
    let torch = tch::get_num_threads();
    Check::good("CPU threads", format!("{available}; libtorch uses {torch}; OMP_NUM_THREADS {omp}"))
}

fn memory() -> Check {
    match System::new() {
        Ok(mut system) => {
            system.refresh_memory();
            let (free, all) = (gib(system.available_memory()), gib(system.total_memory()));
            Check::good("memory", format!("{free} of {all} available"))
        }
        Err(cause) => Check::absent("memory", format!("unknown: {cause}")),
    }
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1_u64 << 30) as f64)
}

/// The nearest folder that exists: runs make the rest.
fn existing(folder: &Path) -> std::path::PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute.ancestors().find(|path| path.exists()).unwrap_or(&absolute).to_owned()
}

fn space(out: &Path) -> Check {
    let folder = existing(out);
    let folder = folder.canonicalize().unwrap_or(folder);
    let disks = Disks::new_with_refreshed_list();
    let disks = disks.iter().flat_map(|disks| disks.iter());
    let holding = disks.filter(|disk| folder.starts_with(disk.mount_point()));
    let disk = holding.max_by_key(|disk| disk.mount_point().components().count());
    let place = out.display();
    match disk.map(|disk| disk.available_space()) {
        None => Check::absent("disk space", format!("unknown for {place}")),
        Some(free) if free < LITTLE_SPACE => {
            let fix = "free some space, or choose another folder with `--out`";
            Check::bad("disk space", format!("{} free for {place}", gib(free)), fix)
        }
        Some(free) => Check::good("disk space", format!("{} free for {place}", gib(free))),
    }
}

fn writable(out: &Path) -> Check {
    let folder = existing(out);
    match tempfile::tempfile_in(&folder) {
        Ok(_) => Check::good("run folder", format!("{} can be written", out.display())),
        Err(cause) => Check::bad(
            "run folder",
            format!("{}: {cause}", folder.display()),
            "change its permissions, or choose another folder with `--out`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(driver: bool, cuda: CudaLibrary, devices: usize) -> Facts {
        Facts {
            driver: driver.then(|| "560.35".to_owned()),
            models: vec!["H200".to_owned(); devices],
            cuda,
            devices,
        }
    }

    #[test]
    fn a_machine_without_a_gpu_is_healthy() {
        let failed = CudaLibrary::Failed { path: "/x".into(), why: "no libcusparse".into() };
        for cuda_library in [CudaLibrary::Absent, failed] {
            let facts = facts(false, cuda_library, 0);
            for check in [driver(&facts), cuda(&facts), devices(&facts)] {
                assert_eq!(check.state, State::Absent, "{check:?}");
            }
        }
    }

    #[test]
    fn a_driver_without_a_usable_gpu_is_a_fault_with_a_remedy() {
        let no_library = facts(true, CudaLibrary::Absent, 0);
        assert_eq!(cuda(&no_library).state, State::Bad);
        assert!(cuda(&no_library).fix.is_some_and(|fix| fix.contains("setup --cuda")));
        let no_device = facts(true, CudaLibrary::Mapped("/x".into()), 0);
        assert_eq!((cuda(&no_device).state, devices(&no_device).state), (State::Good, State::Bad));
        let fine = facts(true, CudaLibrary::Mapped("/x".into()), 1);
        assert_eq!(devices(&fine).detail, "1: H200");
    }

    #[test]
    fn a_device_that_is_asked_for_must_be_there() {
        assert_eq!(chosen("cpu").state, State::Good);
        assert_eq!(chosen("cuda:99").state, State::Bad);
    }

    #[test]
    fn the_run_folder_need_not_exist_but_must_be_creatable() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(writable(&folder.path().join("a/b")).state, State::Good);
        assert!(space(&folder.path().join("a/b")).detail.contains(" free for "));
        assert_eq!(writable(Path::new("/proc/nashost")).state, State::Bad);
    }

    #[test]
    fn a_line_has_mark_name_fact_and_remedy() {
        let out = Output::new(&Default::default());
        let bad = line(&Check::bad("GPUs", "none seen", "look at nvidia-smi"), &out);
        assert!(
            bad.starts_with("✗ GPUs")
                && bad.contains("none seen\n")
                && bad.ends_with("→ look at nvidia-smi\n"),
            "{bad}"
        );
        assert!(line(&Check::good("memory", "8 GiB"), &out).starts_with("✓ memory"));
    }
}

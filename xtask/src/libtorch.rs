//! libtorch: which one to use, and how it gets into the checkout.
//!
//! The `torch` wheel of PyPI holds the C++ library, built with CUDA. Its `libtorch_cpu.so` itself needs
//! two small CUDA libraries; with those it works on a machine without a GPU, and the other 4 GB of
//! CUDA can stay away. pip unpacks the wheels side by side, so that the libraries find each other by
//! the relative paths they were linked with.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::cli::LibtorchChoice;
use crate::machine::{self, Machine, Missing};
use crate::process;
use crate::workspace::Workspace;

/// The libtorch that `tch` 0.24 binds to.
pub(crate) const VERSION: &str = "2.11.0";

/// What `libtorch_cpu.so` of the wheel is linked with, in the versions that the wheel asks for.
const CPU_LIBRARIES: [&str; 2] = ["nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"];

/// Names the installed variant. Written last: where it is, the installation is whole.
const STAMP: &str = "installed";

/// The two installations of libtorch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Variant {
    Cpu,
    Cuda,
}

impl Variant {
    fn name(self) -> &'static str {
        match self {
            Variant::Cpu => "cpu",
            Variant::Cuda => "cuda",
        }
    }

    /// Bytes for the wheels, for what is unpacked from them, and for the build.
    fn needed_space(self) -> u64 {
        match self {
            Variant::Cpu => 5_000_000_000,
            Variant::Cuda => 12_000_000_000,
        }
    }

    fn stamp(self) -> String {
        format!("{VERSION} {}\n", self.name())
    }

    fn pip_arguments(self) -> Vec<String> {
        let torch = format!("torch=={VERSION}");
        match self {
            Variant::Cpu => {
                let libraries = CPU_LIBRARIES.map(str::to_owned);
                ["--no-deps".to_owned(), torch].into_iter().chain(libraries).collect()
            }
            Variant::Cuda => vec![torch],
        }
    }
}

/// Returns the folder of libtorch (with `include` and `lib` in it), installing it if need be.
///
/// A libtorch that the user names in `LIBTORCH` is used as it is.
///
/// # Errors
///
/// Fails with [`Missing`] if the machine lacks what it takes, if pip fails, or if the user's libtorch is
/// another version.
pub(crate) fn ensure(workspace: &Workspace, choice: LibtorchChoice) -> anyhow::Result<PathBuf> {
    let home = workspace.root().join(".libtorch");
    let torch = home.join("torch");
    // Cargo sets LIBTORCH to the checkout's own for its children, unless the user has set it.
    let named = env::var_os("LIBTORCH").map(PathBuf::from).filter(|named| *named != torch);
    if let Some(named) = named {
        check_version(&named)?;
        return std::path::absolute(&named).with_context(|| format!("LIBTORCH={}", named.display()));
    }
    if is_installed(&home, choice) {
        return Ok(torch);
    }
    let lock = File::create(workspace.root().join(".libtorch.lock")).context("create .libtorch.lock")?;
    if let Err(TryLockError::WouldBlock) = lock.try_lock() {
        process::say("another process installs libtorch: waiting for it");
        lock.lock().context("lock .libtorch.lock")?;
    }
    if !is_installed(&home, choice) {
        let machine = Machine::this();
        let variant = variant(choice, machine.has_nvidia_driver());
        install(workspace.root(), &prerequisites(workspace.root(), &machine, variant)?, variant)?;
    }
    Ok(torch)
}

/// Returns whether `home` holds a whole installation that answers `choice`.
fn is_installed(home: &Path, choice: LibtorchChoice) -> bool {
    let Ok(stamp) = fs::read_to_string(home.join(STAMP)) else { return false };
    let is = |variant: Variant| stamp == variant.stamp();
    (is(Variant::Cpu) && !choice.cuda) || (is(Variant::Cuda) && !choice.cpu)
}

/// Returns the variant to install.
fn variant(choice: LibtorchChoice, has_nvidia_driver: bool) -> Variant {
    if choice.cuda || (has_nvidia_driver && !choice.cpu) { Variant::Cuda } else { Variant::Cpu }
}

/// Installs `variant` in place of whatever is installed. Interrupted, it leaves the old installation
/// as it was, and the next call starts anew.
fn install(root: &Path, python: &Path, variant: Variant) -> anyhow::Result<()> {
    let home = root.join(".libtorch");
    let partial = root.join(".libtorch.partial");
    remove(&partial)?;
    process::say(&format!("installing libtorch {VERSION} ({}) into {}", variant.name(), home.display()));
    let scratch = partial.join("tmp");
    fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--target"]);
    pip.arg(&partial).args(variant.pip_arguments());
    // pip unpacks into the temporary folder first, and /tmp may be small or in memory.
    pip.env("TMPDIR", &scratch);
    // The user's settings that do not go with --target, and advice that does not apply to it.
    pip.env("PIP_USER", "0").env("PIP_REQUIRE_VIRTUALENV", "0").env("PIP_ROOT_USER_ACTION", "ignore");
    process::run(&mut pip).map_err(|error| {
        Missing::one(format!(
            "libtorch {VERSION} cannot be installed: {error:#}; see pip's message above: it takes a network or \
             a mirror that pip knows, and a Python that torch {VERSION} has a package for (3.10 to 3.14)"
        ))
    })?;
    remove(&scratch)?;
    check_version(&partial.join("torch"))?;
    fs::write(partial.join(STAMP), variant.stamp()).context("write the stamp of libtorch")?;
    remove(&home)?;
    fs::rename(&partial, &home).with_context(|| format!("rename {}", partial.display()))
}

/// Checks for everything that the installation and the build after it take; returns Python.
fn prerequisites(root: &Path, machine: &Machine, variant: Variant) -> Result<PathBuf, Missing> {
    let python = machine.python_with_pip();
    let cxx = machine.cxx();
    let space = match machine::free_space(root) {
        Some(free) => machine::enough_space(root, free, variant.needed_space()),
        None => Ok(()),
    };
    match (python, cxx, space) {
        (Ok(python), Ok(_), Ok(())) => Ok(python),
        (python, cxx, space) => {
            let errors = [python.err(), cxx.err(), space.err()];
            Err(Missing(errors.into_iter().flatten().flat_map(|missing| missing.0).collect()))
        }
    }
}

fn remove(dir: &Path) -> anyhow::Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    Ok(())
}

/// Checks that `torch` is a libtorch of the right version.
fn check_version(torch: &Path) -> anyhow::Result<()> {
    if !torch.join("lib/libtorch_cpu.so").is_file() {
        bail!(Missing::one(format!(
            "no libtorch in {}: LIBTORCH must name a folder with lib/libtorch_cpu.so; unset it to have \
             libtorch {VERSION} installed",
            torch.display()
        )));
    }
    match version(torch) {
        Some(found) if found == VERSION => Ok(()),
        found => bail!(Missing::one(format!(
            "libtorch in {} is {}, nashost needs {VERSION}: unset LIBTORCH to have it installed",
            torch.display(),
            found.as_deref().unwrap_or("of an unknown version")
        ))),
    }
}

/// Returns the version of the libtorch in `torch`, without its build suffix (`+cu130`).
fn version(torch: &Path) -> Option<String> {
    // The zip archives have `build-version`, the wheels `version.py`.
    let text = fs::read_to_string(torch.join("build-version")).or_else(|_| {
        let module = fs::read_to_string(torch.join("version.py"))?;
        let value = module.lines().find_map(|line| line.strip_prefix("__version__ = "));
        Ok::<String, std::io::Error>(value.unwrap_or_default().replace(['\'', '"'], ""))
    });
    let text = text.ok()?;
    let version = text.trim().split('+').next()?;
    (!version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
#[path = "libtorch_tests.rs"]
mod tests;

//! What a fresh machine must bring, and the one line that says what to install where it does not.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Everything that the machine lacks, one line each.
#[derive(Debug, PartialEq)]
pub(crate) struct Missing(pub(crate) Vec<String>);

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("\nerror: "))
    }
}

impl std::error::Error for Missing {}

impl Missing {
    /// Returns the error of one missing thing.
    pub(crate) fn one(line: impl Into<String>) -> Missing {
        Missing(vec![line.into()])
    }
}

/// The programs that the machine offers.
#[derive(Debug)]
pub(crate) struct Machine {
    path: OsString,
    cxx: Option<OsString>,
}

impl Machine {
    /// Returns this machine, as `PATH` and `CXX` describe it.
    pub(crate) fn this() -> Machine {
        Machine { path: env::var_os("PATH").unwrap_or_default(), cxx: env::var_os("CXX") }
    }

    /// Returns the first of the programs that is on the search path.
    pub(crate) fn find(&self, names: &[&str]) -> Option<PathBuf> {
        names.iter().find_map(|name| {
            env::split_paths(&self.path).map(|dir| dir.join(name)).find(|program| program.is_file())
        })
    }

    /// Returns a Python that has pip.
    ///
    /// # Errors
    ///
    /// Fails if there is no Python, or none with pip.
    pub(crate) fn python_with_pip(&self) -> Result<PathBuf, Missing> {
        let python = self.find(&["python3", "python"]).ok_or_else(|| {
            Missing::one(
                "python3 not found: libtorch comes as a Python package; install Python 3.10 or newer with pip \
                 (Debian, Ubuntu: `apt install python3 python3-pip`; Fedora: `dnf install python3 python3-pip`)",
            )
        })?;
        let pip = Command::new(&python)
            .args(["-m", "pip", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if pip.is_ok_and(|status| status.success()) {
            return Ok(python);
        }
        Err(Missing::one(format!(
            "{} has no pip: install it (Debian, Ubuntu: `apt install python3-pip`; Fedora: `dnf install python3-pip`)",
            python.display()
        )))
    }

    /// Returns the C++ compiler to name to cargo, or nothing where its own choice works: naming the
    /// same one would compile libtorch's bindings again.
    ///
    /// # Errors
    ///
    /// Fails if there is no C++ compiler.
    pub(crate) fn cxx(&self) -> Result<Option<PathBuf>, Missing> {
        if self.cxx.as_ref().is_some_and(|cxx| !cxx.is_empty()) || self.find(&["c++"]).is_some() {
            return Ok(None);
        }
        self.find(&["g++", "clang++"]).map(Some).ok_or_else(|| {
            Missing::one(
                "no C++ compiler found: libtorch's bindings are compiled here; install one \
                 (Debian, Ubuntu: `apt install g++`; Fedora: `dnf install gcc-c++`) or set CXX",
            )
        })
    }

    /// Returns whether an NVIDIA driver is installed.
    pub(crate) fn has_nvidia_driver(&self) -> bool {
        Path::new("/proc/driver/nvidia/version").exists() || self.find(&["nvidia-smi"]).is_some()
    }
}

/// Returns the free bytes of the file system that holds `dir`, if `df` can tell.
pub(crate) fn free_space(dir: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(dir).stderr(Stdio::null()).output().ok()?;
    let table = String::from_utf8(output.stdout).ok()?;
    // POSIX fixes the columns: file system, blocks, used, available, …
    let kibibytes: u64 = table.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Checks that `free` bytes are enough for `needed` bytes in `dir`.
///
/// # Errors
///
/// Fails if they are not.
pub(crate) fn enough_space(dir: &Path, free: u64, needed: u64) -> Result<(), Missing> {
    if free >= needed {
        return Ok(());
    }
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    Err(Missing::one(format!(
        "too little disk space: libtorch and the build need {:.0} GB in {}, {:.1} GB are free; \
         free some, or set LIBTORCH to a libtorch elsewhere",
        gigabytes(needed),
        dir.display(),
        gigabytes(free)
    )))
}

#[cfg(test)]
impl Machine {
    /// Returns a machine that offers these shell scripts, written to `dir`, and nothing else.
    pub(crate) fn with_programs(dir: &Path, programs: &[(&str, &str)]) -> Machine {
        for (name, script) in programs {
            crate::process::write_script(&dir.join(name), script);
        }
        Machine { path: dir.into(), cxx: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_python_says_what_to_install() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::with_programs(dir.path(), &[]);
        let line = machine.python_with_pip().unwrap_err().to_string();
        assert!(line.starts_with("python3 not found"), "{line}");
        assert!(line.contains("apt install python3 python3-pip") && line.contains("dnf install"), "{line}");
    }

    #[test]
    fn a_python_without_pip_is_told_from_one_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let python = dir.path().join("python3");
        let without = Machine::with_programs(dir.path(), &[("python3", "exit 1")]);
        let line = without.python_with_pip().unwrap_err().to_string();
        assert!(line.starts_with(&format!("{} has no pip: ", python.display())), "{line}");
        let with = Machine::with_programs(dir.path(), &[("python3", r#"[ "$*" = "-m pip --version" ]"#)]);
        assert_eq!(with.python_with_pip(), Ok(python));
    }

    #[test]
    fn a_compiler_is_named_only_where_cargo_would_not_find_it() {
        let dir = tempfile::tempdir().unwrap();
        let machine = |programs: &[(&str, &str)]| Machine::with_programs(dir.path(), programs);
        let line = machine(&[("gcc", "")]).cxx().unwrap_err().to_string();
        assert!(line.contains("apt install g++") && line.contains("dnf install gcc-c++"), "{line}");
        let mut clang = machine(&[("clang++", "")]);
        assert_eq!(clang.cxx(), Ok(Some(dir.path().join("clang++"))));
        clang.cxx = Some("ccache g++-12".into());
        assert_eq!(clang.cxx(), Ok(None), "cargo reads CXX itself");
        assert_eq!(machine(&[("c++", "")]).cxx(), Ok(None), "cargo's own choice");
    }

    #[test]
    fn too_little_space_states_both_amounts() {
        let dir = Path::new("/data");
        assert_eq!(enough_space(dir, 3_000_000_000, 3_000_000_000), Ok(()));
        let line = enough_space(dir, 1_250_000_000, 3_000_000_000).unwrap_err().to_string();
        assert!(line.contains("need 3 GB in /data, 1.2 GB are free"), "{line}");
    }

    #[test]
    fn the_file_system_of_a_folder_is_found() {
        assert!(free_space(&env::temp_dir()).is_some_and(|bytes| bytes > 0));
        assert_eq!(free_space(Path::new("/no/such/folder")), None);
    }

    #[test]
    fn every_missing_thing_has_its_own_line() {
        let missing = Missing(vec!["no a".into(), "no b".into()]);
        assert_eq!(format!("error: {missing}"), "error: no a\nerror: no b");
    }
}

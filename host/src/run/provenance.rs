//! Where a run comes from: `provenance.json` for people, `run.lock.toml` for comparing.

use std::{env, path::Path, process::Command, thread};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    atomic,
    claim::Ending,
    dir::RunDir,
    events::{Failure, PluginIdentity},
    fault::io_error,
    time::Timestamp,
};
use crate::{
    error::{Error, Exit, Result},
    sandbox::{Facts, inside},
};

/// Name of the file with a [`Provenance`].
pub const PROVENANCE: &str = "provenance.json";
/// Name of the file with a [`RunLock`].
pub const RUN_LOCK: &str = "run.lock.toml";

const REDACTED: &str = "***";

/// Who ran what, where and when. It holds no environment variables, and words of the command line
/// that look like secrets are masked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Provenance {
    /// Version of this format; 1.
    pub schema_version: u32,
    /// Identity of the run.
    pub run_id: String,
    /// What the user called it.
    pub name: String,
    /// Version of the host.
    pub nashost: String,
    /// The command line.
    pub command: Vec<String>,
    /// State of the checkout that the command was given in.
    pub git: Option<Git>,
    /// The computer.
    pub machine: Machine,
    /// What computed.
    pub device: Device,
    /// The sandbox that plugins worked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Facts>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// Why it ended without a result.
    pub failure: Option<Failure>,
    /// Later processes that took the run up, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<Resumed>,
}

/// A process that took a run up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resumed {
    /// Version of the host.
    pub nashost: String,
    /// The command line.
    pub command: Vec<String>,
    /// The computer.
    pub machine: Machine,
    /// What computed.
    pub device: Device,
    /// The sandbox that plugins worked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Facts>,
    /// When it began.
    pub started_at: Timestamp,
}

/// State of a git checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Git {
    /// Hash of the commit.
    pub commit: String,
    /// Whether tracked files differ from it.
    pub dirty: bool,
}

/// A computer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Its name.
    pub host: Option<String>,
    /// Operating system with its version.
    pub os: Option<String>,
    /// Version of the kernel.
    pub kernel: Option<String>,
    /// Architecture of the processor.
    pub arch: String,
    /// Model of the processor.
    pub cpu: Option<String>,
    /// Threads that this process may run at once.
    pub threads: usize,
    /// Memory, in bytes.
    pub memory: u64,
}

/// What computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// `cpu` or `cuda:N`.
    pub name: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// Model of the GPU.
    pub gpu: Option<String>,
    /// Version of its driver.
    pub driver: Option<String>,
    /// Version of CUDA.
    pub cuda: Option<String>,
}

/// The command line of this process. What is not UTF-8 is replaced by a sign for it.
pub(crate) fn command_line() -> Vec<String> {
    env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}

impl Provenance {
    /// Gathers what is known when `run` starts, for the command line `command`.
    pub fn gather(run: &RunDir, command: impl IntoIterator<Item = String>, device: Device) -> Self {
        Self {
            schema_version: 1,
            run_id: run.id().to_owned(),
            name: run.name().to_owned(),
            nashost: env!("CARGO_PKG_VERSION").to_owned(),
            command: redact(command),
            // In the sandbox, the checkout cannot be read.
            git: match inside() {
                Some(inside) => inside.git.clone(),
                None => env::current_dir().ok().and_then(|folder| Git::of(&folder)),
            },
            machine: Machine::this(),
            device,
            sandbox: inside().map(|inside| inside.facts.clone()),
            started_at: Timestamp::now(),
            ended_at: None,
            ending: None,
            failure: None,
            resumed: Vec::new(),
        }
    }

    /// Reads `provenance.json`.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or is damaged (E0712).
    pub fn read(run: &RunDir) -> Result<Self> {
        let path = run.file(PROVENANCE);
        let bytes = std::fs::read(&path).map_err(|e| io_error("read", &path, &e))?;
        serde_json::from_slice(&bytes).map_err(|cause| damaged(&path, &cause.to_string()))
    }

    /// Adds that the process of `now` took the run up.
    #[must_use]
    pub fn resumed_by(mut self, now: Self) -> Self {
        let Self { nashost, command, machine, device, sandbox, started_at, .. } = now;
        self.resumed.push(Resumed { nashost, command, machine, device, sandbox, started_at });
        (self.ended_at, self.ending, self.failure) = (None, None, None);
        self
    }

    /// Notes that the run ends now.
    pub fn end(&mut self, ending: Ending, failure: Option<Failure>) {
        self.ended_at = Some(Timestamp::now());
        self.ending = Some(ending);
        self.failure = failure;
    }

    /// Writes `provenance.json`.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub fn write(&self, run: &RunDir) -> Result<()> {
        atomic::write_json(&run.file(PROVENANCE), self)
    }
}

impl Git {
    /// Looks at the checkout around `folder`; `None` without git or outside a checkout.
    pub fn of(folder: &Path) -> Option<Self> {
        let git = |arguments: &[&str]| {
            let output = Command::new("git")
                .args(["--no-optional-locks", "-c", "core.fsmonitor=false"])
                .args(arguments)
                .current_dir(folder)
                .output()
                .ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        Some(Self {
            commit: git(&["rev-parse", "--verify", "HEAD"])?,
            dirty: !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty(),
        })
    }
}

impl Machine {
    /// Describes this computer.
    pub fn this() -> Self {
        use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};
        let kind = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(kind).ok();
        let cpu = system.as_ref().and_then(|system| Some(system.cpus().first()?.brand().trim().to_owned()));
        Self {
            host: System::host_name().ok(),
            os: System::long_os_version().ok(),
            kernel: System::kernel_version().ok(),
            arch: System::cpu_arch(),
            cpu: cpu.filter(|brand| !brand.is_empty()),
            threads: thread::available_parallelism().map_or(1, usize::from),
            memory: system.map_or(0, |system| system.total_memory()),
        }
    }
}

/// Masks passwords in URLs and the values of options whose names speak of secrets.
fn redact(command: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut after_secret = false;
    let mask = |word: String| {
        if std::mem::take(&mut after_secret) {
            return REDACTED.to_owned();
        }
        match word.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={REDACTED}"),
            None if word.starts_with("--") && is_secret(&word) => {
                after_secret = true;
                word
            }
            _ => mask_url(word),
        }
    };
    command.into_iter().map(mask).collect()
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "passwd", "secret", "token", "credential", "api_key", "api-key"]
        .iter()
        .any(|word| name.contains(word))
}

fn mask_url(word: String) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word };
    let host_end = rest.find('/').unwrap_or(rest.len());
    match rest[..host_end].rfind('@') {
        Some(at) => format!("{scheme}://{REDACTED}{}", &rest[at..]),
        None => word,
    }
}

/// Everything that must be the same for a run to be the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunLock {
    /// Version of the host.
    pub nashost: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// SHA-256 of `run.toml`.
    pub config_sha256: String,
    /// SHA-256 of labels, records and decoded pixels.
    pub data_fingerprint: String,
    /// SHA-256 of the split.
    pub split_hash: String,
    /// Plugins that take part.
    pub plugin: Vec<PluginIdentity>,
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::new(Exit::Environment, "E0712", format!("{} is damaged: {why}", path.display()))
        .help("restore the file from a copy")
}

impl RunLock {
    /// Reads `run.lock.toml`.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or is damaged (E0712).
    pub fn read(run: &RunDir) -> Result<Self> {
        let path = run.file(RUN_LOCK);
        let text = std::fs::read_to_string(&path).map_err(|e| io_error("read", &path, &e))?;
        toml::from_str(&text).map_err(|cause| damaged(&path, cause.message()))
    }

    /// Writes `run.lock.toml`.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub fn write(&self, run: &RunDir) -> Result<()> {
        let text = toml::to_string(self).map_err(|error| {
            Error::new(Exit::Bug, "E0709", format!("{RUN_LOCK} cannot be written: {error}"))
                .help("this is a bug of nashost; please report it")
        })?;
        atomic::write(&run.file(RUN_LOCK), text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn device() -> Device {
        Device { name: "cpu".to_owned(), libtorch: "2.11.0".to_owned(), gpu: None, driver: None, cuda: None }
    }

    #[test]
    fn provenance_is_complete_and_reads_back() {
        let out = tempfile::tempdir().unwrap();
        let claim = RunDir::create(out.path(), "neck").unwrap();
        let command = ["nashost", "run"].map(str::to_owned);
        let mut provenance = Provenance::gather(claim.dir(), command, device());
        let machine = &provenance.machine;
        assert!(machine.memory > 0 && machine.os.is_some(), "{machine:?}");
        provenance.write(claim.dir()).unwrap();
        provenance.end(Ending::Done, None);
        provenance.write(claim.dir()).unwrap();
        let text = fs::read_to_string(claim.dir().file(PROVENANCE)).unwrap();
        assert_eq!(serde_json::from_str::<Provenance>(&text).unwrap(), provenance);
    }

    #[test]
    fn secrets_are_masked() {
        let command = [
            "nashost",
            "--api-token",
            "abc",
            "--password=abc",
            "--set",
            "data.secret=abc",
            "https://me:abc@host/x@y",
            "--set",
            "train.lr=0.1",
        ];
        let masked = redact(command.map(str::to_owned));
        assert_eq!(
            masked,
            [
                "nashost",
                "--api-token",
                "***",
                "--password=***",
                "--set",
                "data.secret=***",
                "https://***@host/x@y",
                "--set",
                "train.lr=0.1"
            ]
        );
    }

    #[test]
    fn git_says_commit_and_changes() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Git::of(folder.path()), None);
        let git = |arguments: &[&str]| {
            let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
            let status =
                Command::new("git").args(identity).args(arguments).current_dir(folder.path()).output();
            assert!(status.unwrap().status.success(), "{arguments:?}");
        };
        fs::write(folder.path().join("a"), "1").unwrap();
        git(&["init", "-q"]);
        assert_eq!(Git::of(folder.path()), None, "no commit yet");
        git(&["add", "a"]);
        git(&["commit", "-qm", "a"]);
        let clean = Git::of(folder.path()).unwrap();
        assert_eq!((clean.commit.len(), clean.dirty), (40, false));
        fs::write(folder.path().join("new"), "untracked files do not count").unwrap();
        assert!(!Git::of(folder.path()).unwrap().dirty);
        fs::write(folder.path().join("a"), "2").unwrap();
        assert!(Git::of(folder.path()).unwrap().dirty);
    }

    #[test]
    fn the_lock_reads_back() {
        let out = tempfile::tempdir().unwrap();
        let claim = RunDir::create(out.path(), "neck").unwrap();
        let plugin = PluginIdentity {
            id: "zennas".to_owned(),
            version: "0.1.0".to_owned(),
            sha256: "9c".to_owned(),
            abi: "1.0".to_owned(),
            components: vec!["zennas".to_owned()],
        };
        let lock = RunLock {
            nashost: "0.1.0".to_owned(),
            libtorch: "2.11.0".to_owned(),
            config_sha256: "c0".to_owned(),
            data_fingerprint: "fee1".to_owned(),
            split_hash: "c0ffee".to_owned(),
            plugin: vec![plugin.clone(), plugin],
        };
        lock.write(claim.dir()).unwrap();
        let text = fs::read_to_string(claim.dir().file(RUN_LOCK)).unwrap();
        assert_eq!(toml::from_str::<RunLock>(&text).unwrap(), lock);
        assert_eq!(text.matches("[[plugin]]").count(), 2);
    }
}

//! The sandbox: Landlock for files, TCP and signals, seccomp for what Landlock does not judge.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules,
};

use crate::calls;

/// The first version of Landlock that protects files from being cut to nothing. Newer ones add: TCP (4), device
/// commands (5), signals and abstract sockets (6).
pub const LEAST_ABI: u32 = 3;

/// What a process in the sandbox may touch. Places that do not exist are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Files and folders that may be read and executed.
    pub execute: Vec<PathBuf>,
    /// Files and folders that may be read.
    pub read: Vec<PathBuf>,
    /// Folders in which files may be read, made, changed and removed.
    pub write: Vec<PathBuf>,
    /// Devices that may be used.
    pub devices: Vec<PathBuf>,
}

/// Why a process could not be put into the sandbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The kernel has no Landlock, or too old a one.
    #[error(
        "this kernel cannot protect files: it needs Landlock {LEAST_ABI}, which Linux has since 6.2 ({0})"
    )]
    Landlock(String),
    /// The kernel takes no filter.
    #[error("this kernel cannot refuse system calls: it needs seccomp filters ({0})")]
    Seccomp(String),
}

impl Policy {
    /// Puts the calling thread, and all threads and processes that it will start, into the sandbox for ever.
    /// Returns the version of Landlock that is at work.
    ///
    /// No network, no sockets; no file but those of the policy; no change of modes, owners and times of files;
    /// no signal to processes outside, where the kernel has Landlock 6. Threads that run already stay outside.
    ///
    /// # Errors
    ///
    /// Fails if the kernel cannot do all of this. The thread may be restricted in part then.
    pub fn enter(&self) -> Result<u32, SandboxError> {
        let abi = self.restrict().map_err(|cause| SandboxError::Landlock(cause.to_string()))?;
        let Some(abi) = abi else {
            return Err(SandboxError::Landlock("it is not enabled".to_owned()));
        };
        let filter = calls::filter().map_err(|cause| SandboxError::Seccomp(cause.to_string()))?;
        seccompiler::apply_filter(&filter).map_err(|cause| SandboxError::Seccomp(cause.to_string()))?;
        Ok(abi)
    }

    fn restrict(&self) -> Result<Option<u32>, landlock::RulesetError> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let write = read | AccessFs::from_write(ABI::V3) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
        let device: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
        let status = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V3))?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V5))?
            .handle_access(AccessNet::from_all(ABI::V4))?
            .scope(Scope::from_all(ABI::V6))?
            .create()?
            .add_rules(path_beneath_rules(&self.execute, read | AccessFs::Execute))?
            .add_rules(path_beneath_rules(&self.read, read))?
            .add_rules(path_beneath_rules(&self.write, write))?
            .add_rules(path_beneath_rules(&self.devices, device))?
            .restrict_self()?;
        Ok(match (status.ruleset, status.landlock) {
            (RulesetStatus::NotEnforced, _) => None,
            (_, LandlockStatus::Available { effective_abi, .. }) => Some(effective_abi as u32),
            _ => None,
        })
    }
}

/// What every program needs: libraries of the system, descriptions of machine and processes, sources of nothing
/// and of chance.
impl Policy {
    /// Returns the policy that holds nothing but these.
    pub fn of_any_program() -> Self {
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
        Self {
            execute: paths(&["/usr", "/bin", "/lib", "/lib32", "/lib64"]),
            read: paths(&[
                "/proc",
                "/sys",
                "/etc/alternatives",
                "/etc/host.conf",
                "/etc/hostname",
                "/etc/hosts",
                "/etc/ld.so.cache",
                "/etc/ld.so.conf",
                "/etc/ld.so.conf.d",
                "/etc/localtime",
                "/etc/nsswitch.conf",
                "/etc/os-release",
                "/etc/passwd",
                "/etc/timezone",
            ]),
            write: Vec::new(),
            devices: paths(&[
                "/dev/null",
                "/dev/zero",
                "/dev/full",
                "/dev/random",
                "/dev/urandom",
                "/dev/tty",
            ]),
        }
    }
}

#[cfg(test)]
mod tests;

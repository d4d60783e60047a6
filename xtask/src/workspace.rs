//! Where things are in the checkout, and cargo as it must be called there.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// Variables that would make torch-sys look for libtorch elsewhere than in `LIBTORCH`, link it into
/// every plugin, or take one of another version.
const TORCH_SYS_OVERRIDES: [&str; 5] = [
    "LIBTORCH_USE_PYTORCH",
    "LIBTORCH_LIB",
    "LIBTORCH_INCLUDE",
    "LIBTORCH_STATIC",
    "LIBTORCH_BYPASS_VERSION_CHECK",
];

/// Beginnings of the variables in which `cargo run` describes the package that it runs.
const OF_THIS_PROGRAM: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// The checkout that this program was built from.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the checkout.
    ///
    /// # Errors
    ///
    /// Fails if the program was not started by cargo.
    pub(crate) fn of_this_checkout() -> anyhow::Result<Workspace> {
        let package = env::var_os("CARGO_MANIFEST_DIR").context("start this program as `cargo xtask`")?;
        let root = Path::new(&package).parent().context("xtask lies in the root of the checkout")?;
        Ok(Workspace { root: root.to_path_buf() })
    }

    /// Returns the root of the checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder of cargo's and our build results.
    pub(crate) fn target(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), |dir| self.root.join(dir))
    }

    /// Returns the folder from which the built host runs: `bin/nashost` and its plugins under `lib`.
    pub(crate) fn layout(&self) -> PathBuf {
        self.target().join("nashost")
    }

    /// Returns a cargo command for the checkout that builds against the libtorch in `libtorch`.
    pub(crate) fn cargo(&self, libtorch: &Path, subcommand: &str) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root).arg(subcommand);
        cargo.env("LIBTORCH", libtorch).env("LD_LIBRARY_PATH", library_path(libtorch));
        for name in TORCH_SYS_OVERRIDES {
            cargo.env_remove(name);
        }
        // What cargo says of this program is not meant for the build: some build scripts of dependencies
        // run again when it changes, as it would from here to a plain `cargo build`.
        for (name, _) in env::vars_os() {
            if OF_THIS_PROGRAM.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes())) {
                cargo.env_remove(name);
            }
        }
        cargo
    }

    /// Returns the manifests of the workspaces kept apart from the main one, in `folder`.
    ///
    /// # Errors
    ///
    /// Fails if a folder cannot be read.
    pub(crate) fn manifests_in(&self, folder: &str) -> anyhow::Result<Vec<PathBuf>> {
        let folder = self.root.join(folder);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
        let mut manifests = Vec::new();
        for entry in entries {
            manifests.push(entry?.path().join("Cargo.toml"));
        }
        manifests.retain(|manifest| manifest.is_file());
        manifests.sort();
        Ok(manifests)
    }
}

/// Returns a library search path that puts this libtorch before any other the user's path may name.
pub(crate) fn library_path(libtorch: &Path) -> OsString {
    let mut path = libtorch.join("lib").into_os_string();
    if let Some(rest) = env::var_os("LD_LIBRARY_PATH").filter(|rest| !rest.is_empty()) {
        path.push(":");
        path.push(rest);
    }
    path
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn cargo_is_told_one_libtorch_and_nothing_else() {
        let workspace = Workspace { root: "/checkout".into() };
        let cargo = workspace.cargo(Path::new("/torch"), "build");
        let value = |name: &str| cargo.get_envs().find(|(key, _)| *key == OsStr::new(name)).map(|(_, v)| v);
        assert_eq!(value("LIBTORCH"), Some(Some(OsStr::new("/torch"))));
        assert_eq!(value("LIBTORCH_STATIC"), Some(None));
        assert_eq!(value("CARGO_PKG_NAME"), Some(None), "cargo has set it for this test");
        let library_path = value("LD_LIBRARY_PATH").flatten().unwrap().to_str().unwrap();
        assert_eq!(library_path.split(':').next(), Some("/torch/lib"));
    }

    #[test]
    fn manifests_are_found_one_folder_down() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["examples/b", "examples/a", "examples/configs"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for manifest in ["examples/b/Cargo.toml", "examples/a/Cargo.toml"] {
            fs::write(dir.path().join(manifest), "").unwrap();
        }
        let workspace = Workspace { root: dir.path().to_path_buf() };
        let expected = ["examples/a/Cargo.toml", "examples/b/Cargo.toml"].map(|m| dir.path().join(m));
        assert_eq!(workspace.manifests_in("examples").unwrap(), expected);
        assert!(workspace.manifests_in("nowhere").unwrap().is_empty());
    }
}

//! Building the host and its plugins, and laying them out as an installation.
//!
//! The host looks for plugins in `../lib/nashost/plugins/1/<id>/` beside its own folder. The build
//! copies what cargo made to such a tree in `target/nashost`, so a checkout runs like an installation,
//! and a rebuild cannot change files under a run that has them mapped.

use std::ffi::OsString;
use std::fs::{self, File, FileTimes};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self as std_process, Command};
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::cli::LibtorchChoice;
use crate::machine::Machine;
use crate::workspace::{Workspace, library_path};
use crate::{fresh, libtorch, process};

/// Where the plugins of ABI 1 lie in an installation.
pub(crate) const PLUGINS: &str = "lib/nashost/plugins/1";

/// What cargo says about one target that it has built or found fresh.
#[derive(Debug, Deserialize)]
struct Artifact {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

/// Sets up and builds what is missing, then becomes the host.
///
/// # Errors
///
/// Returns only if that fails.
pub(crate) fn exec(workspace: &Workspace, choice: LibtorchChoice, args: &[OsString]) -> anyhow::Result<()> {
    let libtorch = libtorch::ensure(workspace, choice)?;
    if !fresh::is_fresh(workspace, &libtorch) {
        build(workspace, &libtorch)?;
    }
    let host = workspace.layout().join("bin/nashost");
    let mut command = Command::new(&host);
    command.args(args).env("LD_LIBRARY_PATH", library_path(&libtorch));
    Err(command.exec()).with_context(|| format!("start {}", host.display()))
}

/// Builds the host and every plugin, lays them out and returns the host's path.
///
/// # Errors
///
/// Fails if there is no C++ compiler, if cargo fails, or if a file cannot be copied.
pub(crate) fn build(workspace: &Workspace, libtorch: &Path) -> anyhow::Result<PathBuf> {
    let begun = SystemTime::now();
    let mut cargo = workspace.cargo(libtorch, "build");
    cargo.args(["--workspace", "--exclude", "xtask"]);
    if let Some(cxx) = Machine::this().cxx()? {
        cargo.env("CXX", cxx);
    }
    let host = lay_out(workspace, &artifacts(&mut cargo)?)?;
    fresh::mark(workspace, libtorch, begun)?;
    Ok(host)
}

/// Builds an example program of the host and returns its path.
///
/// # Errors
///
/// Fails if cargo fails.
pub(crate) fn host_example(workspace: &Workspace, libtorch: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let mut cargo = workspace.cargo(libtorch, "build");
    // As the build of everything, so that dependencies keep their features.
    cargo.args(["--workspace", "--exclude", "xtask", "--example", name]);
    let program = artifacts(&mut cargo)?.into_iter().find_map(|artifact| artifact.executable);
    program.with_context(|| format!("cargo built no program for the example `{name}`"))
}

/// Runs a cargo build and returns what it has built, fresh artifacts included.
fn artifacts(cargo: &mut Command) -> anyhow::Result<Vec<Artifact>> {
    let messages = process::output(cargo.arg("--message-format=json-render-diagnostics"))?;
    let artifacts = messages.lines().map(|line| serde_json::from_str(line).context("read cargo's messages"));
    let artifacts: Vec<Artifact> = artifacts.collect::<anyhow::Result<_>>()?;
    Ok(artifacts.into_iter().filter(|artifact| artifact.reason == "compiler-artifact").collect())
}

/// Copies the host and the plugins among `artifacts` to the layout; returns the host there.
fn lay_out(workspace: &Workspace, artifacts: &[Artifact]) -> anyhow::Result<PathBuf> {
    let plugins = workspace.layout().join(PLUGINS);
    let mut ids = Vec::new();
    let mut host = None;
    for artifact in artifacts {
        let package = artifact.manifest_path.parent().unwrap_or(Path::new(""));
        if package == workspace.root().join("host") {
            host = host.or(artifact.executable.as_ref());
        } else if package.parent() == Some(&workspace.root().join("plugins")) {
            for library in artifact.filenames.iter().filter(|file| file.extension() == Some("so".as_ref())) {
                let id = package.file_name().context("a package has a folder")?.to_owned();
                let name = library.file_name().context("a library has a name")?;
                copy_if_changed(library, &plugins.join(&id).join(name))?;
                ids.push(id);
            }
        }
    }
    let Some(host) = host else { bail!("cargo built no `nashost`") };
    remove_others(&plugins, &ids)?;
    let laid_out = workspace.layout().join("bin/nashost");
    copy_if_changed(host, &laid_out)?;
    Ok(laid_out)
}

/// Copies `from` to `to` in one step, unless that copy is there already. Programs that run from the old
/// file keep it.
fn copy_if_changed(from: &Path, to: &Path) -> anyhow::Result<()> {
    let metadata = |path: &Path| -> std::io::Result<(u64, SystemTime)> {
        let metadata = fs::metadata(path)?;
        Ok((metadata.len(), metadata.modified()?))
    };
    let source = metadata(from).with_context(|| format!("look at {}", from.display()))?;
    if metadata(to).is_ok_and(|copy| copy == source) {
        return Ok(());
    }
    let dir = to.parent().context("a copy lies in a folder")?;
    let partial = dir.join(format!(".partial-{}", std_process::id()));
    let copy = || {
        fs::create_dir_all(dir)?;
        fs::copy(from, &partial)?;
        File::options().write(true).open(&partial)?.set_times(FileTimes::new().set_modified(source.1))?;
        fs::rename(&partial, to)
    };
    copy().with_context(|| format!("copy {} to {}", from.display(), to.display()))
}

/// Removes what lies in `plugins` under another name than `ids`: plugins that the checkout had once.
fn remove_others(plugins: &Path, ids: &[OsString]) -> anyhow::Result<()> {
    if !plugins.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(plugins).with_context(|| format!("list {}", plugins.display()))? {
        let entry = entry?;
        if !ids.contains(&entry.file_name()) {
            fs::remove_dir_all(entry.path()).with_context(|| format!("remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_made_once_and_follows_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("a/b/to"));
        fs::write(&from, "one").unwrap();
        copy_if_changed(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "one");

        // A mapped file must not change: the new copy is another file.
        let mapped = File::open(&to).unwrap();
        fs::write(&from, "two!").unwrap();
        copy_if_changed(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "two!");
        assert_eq!(std::io::read_to_string(mapped).unwrap(), "one");

        fs::remove_file(&from).unwrap();
        assert!(copy_if_changed(&from, &to).is_err());
        assert_eq!(fs::read_dir(to.parent().unwrap()).unwrap().count(), 1, "no partial copy is left");
    }

    #[test]
    fn plugins_that_are_gone_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        for id in ["zennas", "gone"] {
            fs::create_dir(dir.path().join(id)).unwrap();
        }
        remove_others(dir.path(), &["zennas".into()]).unwrap();
        assert!(dir.path().join("zennas").exists() && !dir.path().join("gone").exists());
    }

    #[test]
    fn messages_of_other_kinds_are_passed_over() {
        let messages = concat!(
            r#"{"reason":"build-script-executed","package_id":"x"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/c/host/Cargo.toml","filenames":["/c/t/nashost"],"executable":"/c/t/nashost"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let mut cargo = Command::new("/bin/sh");
        let artifacts = artifacts(cargo.args(["-c", &format!("echo '{messages}'")])).unwrap();
        assert_eq!(artifacts.len(), 1);
        assert_eq!(artifacts[0].executable.as_deref(), Some(Path::new("/c/t/nashost")));
    }
}

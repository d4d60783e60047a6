//! A folder to carry to a machine that has a GPU and a PyTorch of the right version, and no network.
//!
//! The bundle holds the host and its plugins, not libtorch: its `self-check` finds the machine's own.
//! Loaders prefer `LD_LIBRARY_PATH` to the path of the build machine's libtorch, which the host carries
//! as `RUNPATH`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::cli::LibtorchChoice;
use crate::machine::Machine;
use crate::workspace::Workspace;
use crate::{build, libtorch, process};

/// The size that a bundle must stay under.
const LIMIT: u64 = 60 * 1024 * 1024;

/// The files that make a folder a bundle, besides what was built.
const TEXTS: [(&str, &str, u32); 2] = [
    ("self-check", include_str!("../bundle/self-check"), 0o755),
    ("README.md", include_str!("../bundle/README.md"), 0o644),
];

/// Builds everything and makes the bundle in `out`.
///
/// # Errors
///
/// Fails if the build fails, if `out` holds something else, or if the bundle is too large.
pub(crate) fn run(workspace: &Workspace, choice: LibtorchChoice, out: PathBuf) -> anyhow::Result<()> {
    let out = std::path::absolute(&out).with_context(|| format!("--out {}", out.display()))?;
    let libtorch = libtorch::ensure(workspace, choice)?;
    build::build(workspace, &libtorch)?;
    clear(&out)?;
    copy_tree(&workspace.layout().join("bin"), &out.join("bin"))?;
    copy_tree(&workspace.layout().join(build::PLUGINS), &out.join(build::PLUGINS))?;
    strip(&out)?;
    for (name, text, mode) in TEXTS {
        let file = out.join(name);
        let write = || {
            fs::write(&file, text)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(mode))
        };
        write().with_context(|| format!("write {}", file.display()))?;
    }
    let size = files(&out)?.iter().map(|(_, size)| size).sum::<u64>();
    let mebibytes = size as f64 / f64::from(1 << 20);
    if size >= LIMIT {
        bail!(
            "the bundle in {} has {mebibytes:.1} MiB: it must stay under {} MiB",
            out.display(),
            LIMIT >> 20
        );
    }
    process::say(&format!("{} ({mebibytes:.1} MiB): run `./self-check` there", out.display()));
    Ok(())
}

/// Empties `out`, which must be new, empty or an older bundle.
fn clear(out: &Path) -> anyhow::Result<()> {
    if out.exists() {
        let empty = fs::read_dir(out).with_context(|| format!("list {}", out.display()))?.next().is_none();
        if !empty && !out.join(TEXTS[0].0).is_file() {
            bail!("{} is no bundle: name another folder, or empty it", out.display());
        }
        fs::remove_dir_all(out).with_context(|| format!("remove {}", out.display()))?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    for (file, _) in files(from)? {
        let copy = to.join(file.strip_prefix(from).context("a listed file lies in its folder")?);
        let dir = copy.parent().context("a file lies in a folder")?;
        let copied = fs::create_dir_all(dir).and_then(|()| fs::copy(&file, &copy));
        copied.with_context(|| format!("copy {} to {}", file.display(), copy.display()))?;
    }
    Ok(())
}

/// Returns every file below `dir` with its size.
fn files(dir: &Path) -> anyhow::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let (path, metadata) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        if metadata.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push((path, metadata.len()));
        }
    }
    Ok(found)
}

/// Removes the symbols that no loader needs, where the compiler's tools are complete.
fn strip(bundle: &Path) -> anyhow::Result<()> {
    let Some(strip) = Machine::this().find(&["strip", "llvm-strip"]) else { return Ok(()) };
    for (file, _) in files(bundle)? {
        process::run(Command::new(&strip).arg("--strip-unneeded").arg(file))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bundle_or_nothing_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        clear(&out).unwrap();
        fs::create_dir(&out).unwrap();
        clear(&out).unwrap();
        fs::create_dir(&out).unwrap();
        fs::write(out.join("thesis.tex"), "").unwrap();
        assert!(clear(&out).unwrap_err().to_string().contains("is no bundle"));
        assert!(out.join("thesis.tex").exists());
        fs::write(out.join("self-check"), "").unwrap();
        clear(&out).unwrap();
        assert!(!out.exists());
    }

    #[test]
    fn a_tree_is_copied_with_its_sizes() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("from/a/b")).unwrap();
        fs::write(dir.path().join("from/a/b/c"), "123").unwrap();
        copy_tree(&dir.path().join("from"), &dir.path().join("to")).unwrap();
        assert_eq!(files(&dir.path().join("to")).unwrap(), [(dir.path().join("to/a/b/c"), 3)]);
    }

    /// Runs the bundle's script where `python3` answers with this line, against a host that shows what
    /// it was called with.
    fn self_check(python_says: &str) -> std::process::Output {
        let dir = tempfile::tempdir().unwrap();
        let script = |name: &str, script: &str| {
            let file = dir.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            process::write_script(&file, script);
        };
        script("self-check", TEXTS[0].1);
        script("bin/nashost", r#"echo "$LD_LIBRARY_PATH" "$@""#);
        script("path/python3", &format!("echo '{python_says}'"));
        let path = format!("{}:/usr/bin:/bin", dir.path().join("path").display());
        let mut command = Command::new(dir.path().join("self-check"));
        command.env("PATH", path).env_remove("LIBTORCH").env_remove("LD_LIBRARY_PATH").env_remove("PYTHON");
        command.arg("--verbose").output().unwrap()
    }

    #[test]
    fn the_self_check_runs_the_host_on_the_machines_own_libtorch() {
        let output = self_check("2.11.0 /opt/site-packages/torch");
        let line = String::from_utf8(output.stdout).unwrap();
        assert_eq!(line, "/opt/site-packages/torch/lib self-check --device cuda --verbose\n");
    }

    #[test]
    fn the_self_check_refuses_another_libtorch() {
        let output = self_check("2.9.1 /opt/site-packages/torch");
        assert_eq!(output.status.code(), Some(3));
        let line = String::from_utf8(output.stderr).unwrap();
        assert!(line.contains("is 2.9.1, nashost needs 2.11.0"), "{line}");
        let output = self_check("");
        assert_eq!(output.status.code(), Some(3));
    }
}

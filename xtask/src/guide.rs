//! `cargo xtask guide`: the plugin author's guide, followed to the letter.
//!
//! Code blocks of the guide that are marked `guide:JOURNEY` are run in the order in which they stand, each
//! journey in a fresh folder of its own: commands behind `$ `, and files under the name behind the mark.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::workspace::{Workspace, library_path};
use crate::{build, libtorch, process};

/// The guide, below the root of the checkout.
const GUIDE: &str = "docs/plugin-author.md";
/// Ends a file inside a script; no line of the guide is like it.
const END: &str = "END_OF_THE_FILE_OF_THE_GUIDE";

/// Builds the host and follows the guide with it.
///
/// # Errors
///
/// Fails at the first command of the guide that fails.
pub(crate) fn run(workspace: &Workspace, choice: crate::cli::LibtorchChoice) -> anyhow::Result<()> {
    let libtorch = libtorch::ensure(workspace, choice)?;
    let host = build::build(workspace, &libtorch)?;
    follow(workspace, &libtorch, &host)
}

/// Follows the guide with the built `host`.
///
/// # Errors
///
/// Fails at the first command of the guide that fails; the folder stays for a look.
pub(crate) fn follow(workspace: &Workspace, libtorch: &Path, host: &Path) -> anyhow::Result<()> {
    let path = workspace.root().join(GUIDE);
    let guide = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let journeys = journeys(&guide)?;
    if journeys.is_empty() {
        bail!("{GUIDE} marks no code block with `guide:`");
    }
    for Journey { name, script } in journeys {
        let folder = workspace.target().join("guide").join(&name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
        }
        let work = folder.join("work");
        fs::create_dir_all(&work).with_context(|| format!("create {}", work.display()))?;
        let mut shell = Command::new("bash");
        // What a new user lacks must not be taken from whoever runs this.
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("NASHOST_") || name.starts_with("CARGO_") {
                shell.env_remove(&variable);
            }
        }
        for (variable, below) in
            [("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "share"), ("XDG_CACHE_HOME", "cache")]
        {
            shell.env(variable, folder.join(below));
        }
        shell
            .args(["-eux", "-o", "pipefail", "-c", &script])
            .current_dir(&work)
            .env("CHECKOUT", workspace.root())
            .env("PATH", search_path(host)?)
            .env("LD_LIBRARY_PATH", library_path(libtorch));
        process::run(&mut shell)
            .with_context(|| format!("{GUIDE}: the journey `{name}` ends early; see {}", work.display()))?;
    }
    Ok(())
}

/// The user's search path behind the folder of the built host.
fn search_path(host: &Path) -> anyhow::Result<OsString> {
    let folder = host.parent().context("the host lies in a folder")?;
    let user = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(std::iter::once(folder.to_owned()).chain(std::env::split_paths(&user)))?)
}

/// Blocks of the guide that belong together, as a script of the shell.
#[derive(Debug, PartialEq, Eq)]
struct Journey {
    name: String,
    script: String,
}

/// Reads the marked blocks of `guide`.
///
/// # Errors
///
/// Fails if a marked block has no command, or is not closed.
fn journeys(guide: &str) -> anyhow::Result<Vec<Journey>> {
    let mut journeys: Vec<Journey> = Vec::new();
    let mut lines = guide.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> =
            lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        let mut words = info.split_whitespace();
        let Some(name) = words.nth(1).and_then(|word| word.strip_prefix("guide:")) else { continue };
        let part = match words.next() {
            Some(file) => file_script(file, &block),
            None => commands(&block),
        };
        if part.is_empty() {
            bail!(
                "{GUIDE}:{}: the block has neither a command behind `$ ` nor the name of a file",
                number + 1
            );
        }
        match journeys.iter_mut().find(|journey| journey.name == name) {
            Some(journey) => journey.script += &part,
            None => journeys.push(Journey { name: name.to_owned(), script: part }),
        }
    }
    Ok(journeys)
}

/// The commands of a block: lines behind `$ `, with those that a backslash continues. Others are output.
fn commands(block: &[&str]) -> String {
    let mut script = String::new();
    let mut continued = false;
    for line in block {
        let command = line.strip_prefix("$ ").or(continued.then_some(*line));
        if let Some(command) = command {
            script += command;
            script.push('\n');
        }
        continued = command.is_some_and(|command| command.ends_with('\\'));
    }
    script
}

/// Writes `block` into `file`.
fn file_script(file: &str, block: &[&str]) -> String {
    let folder = Path::new(file).parent().map_or(".", |folder| folder.to_str().unwrap_or("."));
    let folder = if folder.is_empty() { "." } else { folder };
    format!("mkdir -p {folder}\ncat > {file} <<'{END}'\n{}\n{END}\n", block.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_scripts_in_their_order() {
        let guide = "text\n```console guide:a\n$ one \\\n    two\noutput\n$ three\n```\n```rust\nno block\n```\n\
                     ```toml guide:b x/y.toml\nk = \"$v\"\n```\n```console guide:a\n$ four\n```\n";
        let journeys = journeys(guide).unwrap();
        assert_eq!(journeys[0].script, "one \\\n    two\nthree\nfour\n");
        assert_eq!(journeys[1].script, format!("mkdir -p x\ncat > x/y.toml <<'{END}'\nk = \"$v\"\n{END}\n"));
        assert_eq!(journeys.len(), 2);
    }

    #[test]
    fn a_marked_block_without_a_command_is_told() {
        let error = super::journeys("\n```console guide:a\nnothing\n```\n").unwrap_err().to_string();
        assert!(error.contains("plugin-author.md:2"), "{error}");
    }

    #[test]
    fn the_guide_has_both_journeys_and_files_are_written_as_they_stand() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let journeys = journeys(&fs::read_to_string(root.join(GUIDE)).unwrap()).unwrap();
        assert_eq!(journeys.iter().map(|j| &*j.name).collect::<Vec<_>>(), ["strategy", "dataset"]);
        let folder = tempfile::tempdir().unwrap();
        let file = file_script("a/b.txt", &["$HOME `x`", "", "\\n"]);
        process::run(Command::new("bash").args(["-eu", "-c", &file]).current_dir(folder.path())).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("a/b.txt")).unwrap(), "$HOME `x`\n\n\\n\n");
    }
}

//! Looks into a plugin file in a child process, so that a file that crashes on load costs nothing.

use std::{
    collections::BTreeMap,
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nashost_plugin_api::component::{ComponentInfo, Kind};
use nashost_trust::PluginFile;
use serde::{Deserialize, Serialize};

use super::{load, manifest, services::Services};
use crate::error::{Error, Exit, Result};

/// Longest time a plugin may take to load, initialise and list its components.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probed {
    /// Components with their configuration schemas.
    pub components: Vec<ComponentInfo>,
}

impl Probed {
    /// Tells what a manifest says of components and the plugin does not, and the reverse.
    pub fn differences<'a>(
        &'a self,
        listed: &'a BTreeMap<Kind, Vec<String>>,
    ) -> impl Iterator<Item = String> + 'a {
        let registered = |kind: Kind, id: &str| self.components.iter().any(|c| c.kind == kind && c.id == id);
        let listed_has =
            |kind: Kind, id: &str| listed.get(&kind).is_some_and(|ids| ids.iter().any(|listed| listed == id));
        let missing = listed.iter().flat_map(move |(&kind, ids)| {
            let ids = ids.iter().filter(move |id| !registered(kind, id));
            ids.map(|id| format!("its manifest lists `{id}`, which it does not register"))
        });
        let extra = self.components.iter().filter(move |c| !listed_has(c.kind, &c.id));
        missing.chain(extra.map(|c| format!("it registers `{}`, which its manifest does not list", c.id)))
    }
}

/// Loads the plugin in *this* process and lists its components: the child's side.
///
/// # Errors
///
/// Fails if the plugin is refused.
pub fn probe_here(path: &Path, libtorch_abi: Option<u64>) -> Result<Probed> {
    let file = PluginFile::open(path).map_err(|e| refused(path, "E0411", e))?;
    let manifest = manifest::parse(file.bytes()).map_err(|e| refused(path, "E0411", e))?;
    manifest::fits(&manifest).map_err(|e| refused(path, "E0412", e))?;
    let name = &manifest.plugin.id;
    let (plugin, _) = load::map(file, libtorch_abi)?;
    plugin.init(name, Services::new(name))?;
    Ok(Probed { components: plugin.components(name)? })
}

fn refused(path: &Path, code: &'static str, why: impl std::fmt::Display) -> Error {
    Error::new(Exit::Plugin, code, format!("plugin {}: {why}", path.display()))
}

/// Runs `command`, which must print the JSON of [`Probed`], and waits for it.
///
/// # Errors
///
/// Fails if the child is killed by a signal, takes longer than `timeout`, or refuses the plugin.
pub fn probe_child(mut command: Command, path: &Path, timeout: Duration) -> Result<Probed> {
    let crashed = |why: String| {
        refused(path, "E0419", why)
            .help("the file crashes on load: rebuild it, or ask its author; nothing else was harmed")
    };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| crashed(format!("the probe could not be started: {e}")))?;
    // Both pipes are drained beside the wait, or a chatty plugin would fill them and hang.
    let drain = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_string(&mut text);
            }
            text
        })
    };
    let out = drain(child.stdout.take().map(|p| Box::new(p) as _));
    let err = drain(child.stderr.take().map(|p| Box::new(p) as _));
    let deadline = Instant::now() + timeout;
    let status = loop {
        match child.try_wait().map_err(|e| crashed(e.to_string()))? {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(crashed(format!("it did not answer within {} s", timeout.as_secs())));
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let text = |handle: std::thread::JoinHandle<String>| handle.join().unwrap_or_default();
    let (out, err) = (text(out), text(err));
    if let Some(signal) = status.signal() {
        return Err(crashed(format!("it ended the probe with signal {signal}")));
    }
    if !status.success() {
        let line = err.lines().find(|line| line.starts_with("error")).unwrap_or(err.trim());
        let message = line.split_once("]: ").map_or(line, |(_, message)| message);
        return Err(Error::new(Exit::Plugin, "E0411", message));
    }
    serde_json::from_str(&out).map_err(|e| crashed(format!("the probe answered nonsense: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Result<Probed> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        probe_child(command, Path::new("x.so"), Duration::from_millis(500))
    }

    #[test]
    fn a_crash_a_hang_and_nonsense_are_told_apart() {
        assert!(sh("kill -SEGV $$").unwrap_err().message.contains("signal 11"));
        assert!(sh("exec sleep 30").unwrap_err().message.contains("did not answer"));
        assert!(sh("echo hello").unwrap_err().message.contains("nonsense"));
        assert!(sh("echo 'error[E0412]: old ABI' >&2; exit 4").unwrap_err().message.contains("old ABI"));
        assert_eq!(sh("echo '{\"components\":[]}'").unwrap().components, []);
    }
}

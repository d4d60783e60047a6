//! Maps a plugin file that is open already: the bytes that were judged are the bytes that run.

use nashost_plugin_api::abi::foreign::{OpenError, Plugin, open};
use nashost_trust::PluginFile;

/// Maps `file` for ever and performs the handshake. Also says whether the file is still what was read.
///
/// # Errors
///
/// Fails with the first thing that does not fit. The file stays mapped even then.
pub(super) fn map(file: PluginFile, libtorch_abi: Option<u64>) -> Result<(Plugin, bool), OpenError> {
    let opened = open(&file.fixed_path(), libtorch_abi);
    let is_unchanged = file.is_unchanged().unwrap_or(false);
    let path = file.path().to_owned();
    // It stays open for ever: the dynamic linker knows libraries by path, so the number of the file must not be
    // given to another plugin while this one is mapped; and backtraces read symbols from there.
    std::mem::forget(file.into_file());
    match opened {
        Ok(plugin) => Ok((plugin, is_unchanged)),
        Err(error) => Err(OpenError { path, ..error }),
    }
}

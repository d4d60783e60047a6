//! Which plugin files may be loaded: permissions, pins, signatures.

use std::ffi::OsString;

use nashost_plugin_api::manifest::Manifest;
use nashost_trust::{Keys, PluginFile, Signed, signature_file};

use super::lock::{Lock, Pin};
use crate::{
    config::PluginsConfig,
    error::{Error, Exit, Result},
};

/// What a plugin file must fulfil to be loaded.
#[derive(Debug, Default)]
pub struct Trust {
    lock: Option<Lock>,
    keys: Keys,
    config: PluginsConfig,
}

/// What was found of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Name of the key that signed it.
    pub signed_by: Option<String>,
    /// Why it must not be loaded.
    pub objection: Option<String>,
}

impl Trust {
    /// Trusts what `lock` pins, if it is given, and what `config` asks for.
    ///
    /// # Errors
    ///
    /// Fails if a key is none, or signatures are required and no key is listed (E0426).
    pub fn new(lock: Option<Lock>, config: &PluginsConfig) -> Result<Self> {
        let unusable = |why: &str| Error::new(Exit::Usage, "E0426", why);
        let keys = Keys::new(&config.keys).map_err(|cause| unusable(&cause.to_string()))?;
        if config.require_signed && keys.is_empty() {
            return Err(unusable("signatures of plugins are required, but `plugins.keys` lists no key").help(
                "list a public key, `lab = \"RW…\"` under `[plugins.keys]`, or give it with `--plugin-key lab=RW…`",
            ));
        }
        Ok(Self { lock, keys, config: config.clone() })
    }

    /// Arguments that make another process of this program require the same signatures.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let required = self.config.require_signed.then(|| "--require-signed".into());
        let keys = self.config.keys.iter();
        let keys = keys.flat_map(|(name, key)| ["--plugin-key".into(), format!("{name}={key}").into()]);
        required.into_iter().chain(keys).collect()
    }

    /// Judges an open file with the manifest `manifest`.
    pub fn judge(&self, file: &PluginFile, manifest: &Manifest) -> Verdict {
        let signed = self.keys.judge(file.path(), file.bytes());
        let objection = permission(file).or_else(|| self.signature(file, &signed)).or_else(|| {
            self.lock.as_ref()?.objection(&Pin::of(&manifest.plugin.id, &manifest.version, file))
        });
        let signed_by = if let Signed::By(name) = signed { Some(name) } else { None };
        Verdict { signed_by, objection }
    }

    fn signature(&self, file: &PluginFile, signed: &Signed) -> Option<String> {
        let name = signature_file(file.path()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        match signed {
            Signed::By(_) => None,
            // A signature that is wrong is never a good sign, required or not.
            Signed::Mismatch(key) => Some(format!(
                "its signature {name} bears the number of the key `{key}` but is not of this file: one of the two was changed"
            )),
            _ if !self.config.require_signed => None,
            Signed::Not => Some(format!(
                "it has no signature {name}, and signatures are required (`plugins.require_signed`); `minisign -Sm` makes one"
            )),
            Signed::ByUnknown => {
                Some(format!("its signature {name} is by a key that `plugins.keys` does not list"))
            }
            Signed::Unreadable(why) => Some(format!("its signature {name} cannot be used: {why}")),
        }
    }
}

fn permission(file: &PluginFile) -> Option<String> {
    match file.open_to_all() {
        Ok(place) => place.map(|place| format!("anybody may write {}: `chmod o-w` it", place.display())),
        Err(cause) => Some(format!("it cannot be told who may write it: {cause}")),
    }
}

//! Reads a plugin's manifest from its file, without loading it.

use std::path::Path;

use nashost_plugin_api::{
    abi::boot::{ABI_MAJOR, SDK_VERSION},
    manifest::{Manifest, SCHEMA, SECTION},
};
use object::{Object as _, ObjectSection as _};

/// Version of libtorch that this host is built for.
pub const LIBTORCH_VERSION: &str = "2.11.0";

/// Why a file has no usable manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// It is no object file.
    #[error("it is not a shared library: {0}")]
    NotElf(#[from] object::Error),
    /// It is one, but no plugin.
    #[error("it is not a nashost plugin: it has no `{SECTION}` section")]
    NoManifest,
    /// The section does not hold a manifest.
    #[error("its manifest is damaged: {0}")]
    Malformed(String),
}

/// Why a plugin does not fit this host, judged by its manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// Newer manifest format.
    #[error("its manifest has schema {0}, this host reads schema {SCHEMA}: update nashost")]
    Schema(u32),
    /// Other ABI major.
    #[error(
        "it has ABI {0}, this host has ABI {ABI_MAJOR}: rebuild it with nashost-plugin-api {SDK_VERSION}"
    )]
    Abi(u32),
    /// Other machine.
    #[error("it was built for {target}, this host runs on {host}: build it for this machine", target = .0, host = machine())]
    Target(String),
    /// Other libtorch.
    #[error(
        "it was built for libtorch {0}, this host has libtorch {LIBTORCH_VERSION}: rebuild it for that version"
    )]
    Libtorch(String),
}

fn machine() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// Reads the manifest of the plugin file at `path`.
///
/// The file is never loaded: a manifest must be readable from a plugin that would crash.
///
/// # Errors
///
/// Fails if `path` is not a shared library, has no manifest, or the manifest is damaged.
pub fn read(path: &Path) -> Result<Manifest, ManifestError> {
    parse(&std::fs::read(path)?)
}

/// Reads the manifest in the content of a plugin file.
///
/// # Errors
///
/// As [`read`].
pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let file = object::File::parse(bytes)?;
    let section = file.section_by_name(SECTION).ok_or(ManifestError::NoManifest)?;
    serde_json::from_slice(section.data()?).map_err(|e| ManifestError::Malformed(e.to_string()))
}

/// Checks whether a plugin with this manifest can run in this host.
///
/// # Errors
///
/// Fails with the first thing that does not fit.
pub fn fits(manifest: &Manifest) -> Result<(), Misfit> {
    if manifest.schema > SCHEMA {
        return Err(Misfit::Schema(manifest.schema));
    }
    if manifest.abi_major != ABI_MAJOR {
        return Err(Misfit::Abi(manifest.abi_major));
    }
    if manifest.arch != std::env::consts::ARCH || manifest.os != std::env::consts::OS {
        return Err(Misfit::Target(format!("{}-{}", manifest.arch, manifest.os)));
    }
    match &manifest.libtorch {
        Some(version) if version != LIBTORCH_VERSION => Err(Misfit::Libtorch(version.clone())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nashost_plugin_api::manifest::About;

    fn manifest() -> Manifest {
        Manifest {
            schema: SCHEMA,
            abi_major: ABI_MAJOR,
            sdk: SDK_VERSION.to_owned(),
            version: "0.1.0".to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            os: std::env::consts::OS.to_owned(),
            libtorch: Some(LIBTORCH_VERSION.to_owned()),
            plugin: About {
                id: "demo".to_owned(),
                description: String::new(),
                components: Default::default(),
                uses_data: None,
                licence: None,
                recipe: None,
            },
        }
    }

    #[test]
    fn each_misfit_says_what_to_do() {
        assert_eq!(fits(&manifest()), Ok(()));
        let refused = |change: fn(&mut Manifest)| {
            let mut m = manifest();
            change(&mut m);
            fits(&m).unwrap_err().to_string()
        };
        assert!(refused(|m| m.schema = 2).contains("update nashost"));
        assert!(refused(|m| m.abi_major = 2).contains("has ABI 2, this host has ABI 1: rebuild"));
        assert!(refused(|m| m.arch = "riscv64".to_owned()).contains("riscv64-linux"));
        assert!(refused(|m| m.libtorch = Some("2.9.0".to_owned())).contains("libtorch 2.9.0"));
    }

    #[test]
    fn what_is_no_plugin_is_told_apart() {
        let text = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(text.path(), "not a library").unwrap();
        assert!(matches!(read(text.path()), Err(ManifestError::NotElf(_))));
        let exe = std::env::current_exe().unwrap();
        assert!(matches!(read(&exe), Err(ManifestError::NoManifest)));
        assert!(matches!(read(Path::new("/nowhere")), Err(ManifestError::Read(_))));
    }
}

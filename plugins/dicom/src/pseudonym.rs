//! Pseudonyms: salted hashes in place of ids.
//!
//! Who has the salt can try ids until one fits, so it is kept like a password. Without it a pseudonym tells
//! nothing; with the same salt, the same patient has the same pseudonym in every run.

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// Bytes of a salt.
const LENGTH: usize = 32;
/// Block of SHA-256, to which HMAC pads its key.
const BLOCK: usize = 64;

/// A salt that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaltError {
    #[error("salt_file: no folder for the salt: neither XDG_CONFIG_HOME nor HOME is set; name a file")]
    Nowhere,
    #[error("salt_file: \"{0}\" cannot be read or made: {1}")]
    File(PathBuf, io::Error),
    #[error("salt_file: \"{0}\" can be read by others; `chmod 600` it, or make a new salt in another file")]
    Open(PathBuf),
    #[error("salt_file: \"{0}\" is not a salt: 64 hexadecimal digits are expected")]
    Content(PathBuf),
}

/// The key of the hashes. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Salt([u8; LENGTH]);

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt(…)")
    }
}

impl Salt {
    /// Reads the salt of `file`, or of the user's own file, and makes it on first use.
    pub(crate) fn of(file: Option<&Path>) -> Result<Self, SaltError> {
        let path = match file {
            Some(file) => file.to_owned(),
            None => default_file().ok_or(SaltError::Nowhere)?,
        };
        if !path.exists() {
            make(&path).map_err(|error| SaltError::File(path.clone(), error))?;
        }
        let read = || Ok((fs::metadata(&path)?, fs::read_to_string(&path)?));
        let (facts, text) = read().map_err(|error| SaltError::File(path.clone(), error))?;
        if facts.mode() & 0o077 != 0 {
            return Err(SaltError::Open(path));
        }
        parse(text.trim()).map(Self).ok_or(SaltError::Content(path))
    }

    /// Name of `id` among things of one kind, such as `patient-0f3a…`: 64 bits of HMAC-SHA-256 (RFC 2104).
    pub(crate) fn name(&self, kind: &str, id: &str) -> String {
        let hash = hmac(&self.0, format!("{kind}\0{id}").as_bytes());
        format!("{kind}-{}", hex(&hash[..8]))
    }
}

fn hmac(key: &[u8; LENGTH], message: &[u8]) -> [u8; 32] {
    let pad = |byte: u8| {
        let mut block = [byte; BLOCK];
        block.iter_mut().zip(key).for_each(|(padded, key)| *padded ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5C)).chain_update(inner).finalize().into()
}

fn default_file() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(folder.join("nashost/pseudonym-salt"))
}

/// Makes a file that nobody else can read. If another process was faster, its file stays.
fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut salt = [0; LENGTH];
    fs::File::open("/dev/urandom")?.read_exact(&mut salt)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
    writeln!(file, "{}", hex(&salt))?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse(text: &str) -> Option<[u8; LENGTH]> {
    if text.len() != 2 * LENGTH || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut salt = [0; LENGTH];
    for (byte, digits) in salt.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(salt)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 6 needs a longer key; case 3 is that of 20 bytes 0xAA, padded with zeros.
    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let mut key = [0; LENGTH];
        key[..20].fill(0xAA);
        let expected = "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe";
        assert_eq!(hex(&hmac(&key, &[0xDD; 50])), expected);
    }

    #[test]
    fn a_salt_is_made_once_and_only_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/salt");
        let salt = Salt::of(Some(&path)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(Salt::of(Some(&path)).unwrap(), salt);
        assert_eq!(format!("{salt:?}"), "Salt(…)");
        let other = Salt::of(Some(&folder.path().join("other"))).unwrap();
        assert_eq!(salt.name("patient", "p1"), salt.name("patient", "p1"));
        assert_ne!(salt.name("patient", "p1"), salt.name("patient", "p2"));
        assert_ne!(salt.name("patient", "p1"), other.name("patient", "p1"));
        assert_ne!(salt.name("patient", "p1")[8..], salt.name("image", "p1")[6..]);
    }

    #[test]
    fn open_and_foreign_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("salt");
        fs::write(&path, "secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Salt::of(Some(&path)), Err(SaltError::Open(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = Salt::of(Some(&path)).unwrap_err();
        assert!(matches!(error, SaltError::Content(_)));
        assert!(!error.to_string().contains("secret"));
    }
}

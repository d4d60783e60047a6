//! Decoded images on disk, so that a second run starts at once.
//!
//! A file holds a magic number, the length of a JSON header, the header, the pixels, and SHA-256 over
//! all before. A file that is not exactly that is never used.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use nashost_plugin_api::dataset::PixelType;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{decode::Decoded, digest::sha256};

/// Raised whenever the file format or the decoding changes.
const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"NASHIMGS";
/// Bytes of a SHA-256 digest.
const DIGEST: usize = 32;

/// What a cache file must have been made from.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CacheKey<'a> {
    /// Dataset component.
    pub(super) component: &'a str,
    /// SHA-256 of its plugin's file: other code may decode the same file to other pixels.
    pub(super) plugin_sha256: &'a str,
    /// Its configuration.
    pub(super) config: &'a serde_json::Value,
    /// Its stamp: stands for the images, and so for their depth.
    pub(super) stamp: &'a str,
    /// Rows and columns.
    pub(super) resolution: usize,
    /// Channels stored.
    pub(super) channels: usize,
}

impl CacheKey<'_> {
    /// SHA-256 of the key, the format version and the byte order.
    pub(super) fn hash(&self) -> String {
        let key = serde_json::json!({"version": VERSION, "little_endian": cfg!(target_endian = "little"), "key": self});
        sha256(key.to_string())
    }

    /// Where the images of this key lie in `folder`.
    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.images", self.hash()))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    key: String,
    images: usize,
    channels: usize,
    resolution: usize,
    dtype: PixelType,
    digest: String,
}

/// Reads the images of `key`, if they are there.
///
/// # Errors
///
/// Fails with the reason if the file cannot be read or is not whole.
pub(super) fn read(folder: &Path, key: &CacheKey<'_>, images: usize) -> Result<Option<Decoded>, String> {
    let bytes = match fs::read(key.path(folder)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let content = bytes.len().checked_sub(DIGEST).ok_or("it is truncated")?;
    if Sha256::digest(&bytes[..content]).as_slice() != &bytes[content..] {
        return Err("its checksum is wrong".to_owned());
    }
    parse(bytes, content, &key.hash(), images)
        .ok_or_else(|| "it was made for something else".to_owned())
        .map(Some)
}

/// Takes a file with a right checksum apart.
fn parse(mut bytes: Vec<u8>, content: usize, key: &str, images: usize) -> Option<Decoded> {
    let rest = bytes[..content].strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let Header { key: of, images: count, channels, resolution, dtype, digest } =
        serde_json::from_slice(rest.get(..length)?).ok()?;
    let start = content - (rest.len() - length);
    let size = count * channels * resolution * resolution * dtype.size();
    if of != key || count != images || content - start != size {
        return None;
    }
    bytes.truncate(content);
    bytes.drain(..start);
    Some(Decoded { dtype, channels, resolution, data: bytes, digest })
}

/// Writes the images of `key`. A reader sees the whole file or none.
///
/// # Errors
///
/// Fails if the folder is not writable or full; nothing is left behind then.
pub(super) fn write(folder: &Path, key: &CacheKey<'_>, images: usize, decoded: &Decoded) -> io::Result<()> {
    let header = serde_json::to_vec(&Header {
        key: key.hash(),
        images,
        channels: decoded.channels,
        resolution: decoded.resolution,
        dtype: decoded.dtype,
        digest: decoded.digest.clone(),
    })?;
    let length = u32::try_from(header.len()).map_err(io::Error::other)?.to_le_bytes();
    fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    let mut hash = Sha256::new();
    for bytes in [MAGIC.as_slice(), &length, &header, &decoded.data] {
        hash.update(bytes);
        file.write_all(bytes)?;
    }
    file.write_all(&hash.finalize())?;
    file.as_file().sync_all()?;
    file.persist(key.path(folder))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded() -> Decoded {
        let data = (0..24).collect();
        Decoded { dtype: PixelType::U16, channels: 3, resolution: 2, data, digest: "d".to_owned() }
    }

    fn key<'a>(config: &'a serde_json::Value, stamp: &'a str) -> CacheKey<'a> {
        CacheKey { component: "c", plugin_sha256: "p", config, stamp, resolution: 2, channels: 3 }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let config = serde_json::json!({"a": 1});
        let key = key(&config, "s");
        assert_eq!(read(folder.path(), &key, 1), Ok(None));
        write(folder.path(), &key, 1, &decoded()).unwrap();
        assert_eq!(read(folder.path(), &key, 1), Ok(Some(decoded())));
        assert!(read(folder.path(), &key, 2).is_err(), "another number of images");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let config = serde_json::json!({"a": 1});
        let other = serde_json::json!({"a": 2});
        let base = key(&config, "s");
        let keys = [
            base.clone(),
            key(&other, "s"),
            key(&config, "t"),
            CacheKey { component: "d", ..base.clone() },
            CacheKey { plugin_sha256: "q", ..base.clone() },
            CacheKey { resolution: 3, ..base.clone() },
            CacheKey { channels: 1, ..base },
        ];
        let hashes: std::collections::BTreeSet<_> = keys.iter().map(CacheKey::hash).collect();
        assert_eq!(hashes.len(), keys.len());
    }

    #[test]
    fn no_damaged_file_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let config = serde_json::json!({});
        let key = key(&config, "s");
        write(folder.path(), &key, 1, &decoded()).unwrap();
        let path = key.path(folder.path());
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x20;
            fs::write(&path, bytes).unwrap();
            assert!(read(folder.path(), &key, 1).is_err(), "byte {at} changed");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(read(folder.path(), &key, 1).is_err(), "cut to {at} bytes");
        }
    }
}

//! Downloads of known datasets, checked before they appear under their name.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::Path,
    time::Duration,
};

use md5::Md5;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::digest::hex;
use crate::error::{Error, Exit, Result};

/// Expected digest of a file, in lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum<'a> {
    /// SHA-256.
    Sha256(&'a str),
    /// MD5: guards against damage, not against malice.
    Md5(&'a str),
}

/// A file that nashost knows where to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Download {
    /// Name users type.
    pub name: &'static str,
    /// Where it lies.
    pub url: &'static str,
    /// Its digest.
    pub checksum: Checksum<'static>,
    /// File name.
    pub file: &'static str,
    /// Source and licence.
    pub source: &'static str,
}

/// All files that nashost knows where to get.
pub const KNOWN_DOWNLOADS: [Download; 1] = [Download {
    name: "pneumoniamnist",
    url: "https://zenodo.org/records/10519652/files/pneumoniamnist.npz",
    checksum: Checksum::Md5("28209eda62fecd6e6a2d98b1501bb15f"),
    file: "pneumoniamnist.npz",
    source: "MedMNIST v2 (Yang et al. 2023), after Kermany et al. 2018; CC BY 4.0",
}];

/// Finds a known file by name.
///
/// # Errors
///
/// Fails with E0312, the known names and the nearest of them.
pub fn known_download(name: &str) -> Result<&'static Download> {
    KNOWN_DOWNLOADS.iter().find(|download| download.name == name).ok_or_else(|| {
        let names: Vec<_> = KNOWN_DOWNLOADS.iter().map(|download| download.name).collect();
        let near = names.iter().find(|known| strsim::jaro_winkler(name, known) > 0.8);
        let hint = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
        Error::new(Exit::Usage, "E0312", format!("no known download \"{name}\"{hint}"))
            .help(format!("known: {}", names.join(", ")))
    })
}

/// Bounds on a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest size, in bytes.
    pub bytes: u64,
    /// Longest time from start to end.
    pub time: Duration,
}

impl Default for Limits {
    /// 16 GiB in an hour.
    fn default() -> Self {
        Self { bytes: 16 << 30, time: Duration::from_secs(3600) }
    }
}

/// What a download did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// The file was there, with the right digest; nothing was downloaded.
    AlreadyThere,
    /// So many bytes were downloaded.
    Bytes(u64),
}

/// Downloads `url` to `dest`, which appears only when complete and with the right digest.
///
/// `progress` is called with the bytes received so far, and of all, where the server says.
///
/// # Errors
///
/// Fails with E0310 if the server cannot be reached, refuses, stops early or exceeds a limit, with
/// E0311 if the digest is another, and with E0313 if `dest` cannot be written or is another file.
pub fn fetch(
    url: &str,
    checksum: Checksum<'_>,
    dest: &Path,
    limits: Limits,
    progress: &dyn Fn(u64, Option<u64>),
) -> Result<Fetched> {
    let unwritable = |reason: &dyn std::fmt::Display| {
        let message = format!("{} cannot be written: {reason}", dest.display());
        Error::new(Exit::Environment, "E0313", message)
    };
    if dest.exists() {
        let file = File::open(dest).map_err(|error| unwritable(&error))?;
        let mut hasher = Hasher::new(checksum);
        hasher.read(file).map_err(|error| unwritable(&error))?;
        return match hasher.verify(checksum) {
            Ok(()) => Ok(Fetched::AlreadyThere),
            Err(_) => Err(unwritable(&"another file of this name is there")
                .help("move it away, or choose another folder")),
        };
    }
    let folder = dest.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| unwritable(&error))?;
    let mut file = NamedTempFile::new_in(folder).map_err(|error| unwritable(&error))?;

    let failed = |reason: &dyn std::fmt::Display| {
        Error::new(Exit::Environment, "E0310", format!("download of {url} failed: {reason}"))
            .help("check the network, or get the file elsewhere and give its path; its digest is what counts")
    };
    let agent = ureq::Agent::config_builder().timeout_global(Some(limits.time)).build().new_agent();
    let response = agent.get(url).call().map_err(|error| failed(&error))?;
    let mut body = response.into_body();
    let expected = body.content_length();
    let too_large = |size: u64| failed(&format!("{size} bytes exceed the limit of {}", limits.bytes));
    if let Some(size) = expected.filter(|&size| size > limits.bytes) {
        return Err(too_large(size));
    }
    let mut reader = body.as_reader();
    let mut hasher = Hasher::new(checksum);
    let mut buffer = vec![0; 64 << 10];
    let mut received = 0;
    loop {
        let count = reader.read(&mut buffer).map_err(|error| failed(&error))?;
        if count == 0 {
            break;
        }
        received += count as u64;
        if received > limits.bytes {
            return Err(too_large(received));
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(|error| unwritable(&error))?;
        progress(received, expected);
    }
    if let Some(size) = expected.filter(|&size| size != received) {
        return Err(failed(&format!("{received} of {size} bytes arrived")));
    }
    hasher.verify(checksum).map_err(|found| {
        let message = format!("{url} has {found}, not the digest expected; nothing was kept");
        Error::new(Exit::Environment, "E0311", message)
            .help("the file was damaged on its way or replaced by its owner; try again later")
    })?;
    file.as_file().sync_all().map_err(|error| unwritable(&error))?;
    file.persist_noclobber(dest).map_err(|error| unwritable(&error.error))?;
    Ok(Fetched::Bytes(received))
}

/// A digest in progress.
enum Hasher {
    Sha256(Sha256),
    Md5(Md5),
}

impl Hasher {
    fn new(checksum: Checksum<'_>) -> Self {
        match checksum {
            Checksum::Sha256(_) => Self::Sha256(Sha256::new()),
            Checksum::Md5(_) => Self::Md5(Md5::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Md5(hash) => hash.update(bytes),
        }
    }

    fn read(&mut self, mut file: File) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                count => self.update(&buffer[..count]),
            }
        }
    }

    /// Compares with the expected digest.
    ///
    /// # Errors
    ///
    /// Fails with the digest found.
    fn verify(self, checksum: Checksum<'_>) -> std::result::Result<(), String> {
        let (name, found) = match self {
            Self::Sha256(hash) => ("SHA-256", hex(&hash.finalize())),
            Self::Md5(hash) => ("MD5", hex(&hash.finalize())),
        };
        let (Checksum::Sha256(expected) | Checksum::Md5(expected)) = checksum;
        if found == expected { Ok(()) } else { Err(format!("{name} {found}")) }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::BufRead as _, io::BufReader, net::TcpListener, thread};

    use super::*;

    const HELLO: Checksum<'_> = Checksum::Md5("5d41402abc4b2a76b9719d911017c592");

    /// Answers one request on a loopback port with `response`; returns the URL.
    fn serve(response: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let request = BufReader::new(stream.try_clone().unwrap());
            request
                .lines()
                .map_while(std::result::Result::ok)
                .take_while(|line| !line.is_empty())
                .for_each(drop);
            stream.write_all(response.as_bytes()).unwrap();
        });
        url
    }

    fn get(
        response: &'static str,
        checksum: Checksum<'_>,
        limits: Limits,
    ) -> (Result<Fetched>, Option<String>) {
        let folder = tempfile::tempdir().unwrap();
        let dest = folder.path().join("new/file.npz");
        let fetched = fetch(&serve(response), checksum, &dest, limits, &|_, _| {});
        let left = fs::read_dir(dest.parent().unwrap()).unwrap().count();
        let content = fs::read_to_string(&dest).ok();
        assert_eq!(left, usize::from(content.is_some()), "a temporary file was left behind");
        (fetched, content)
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

    #[test]
    fn a_good_file_arrives() {
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        for checksum in [HELLO, Checksum::Sha256(sha256)] {
            let (fetched, content) = get(OK, checksum, Limits::default());
            assert_eq!(fetched.unwrap(), Fetched::Bytes(5));
            assert_eq!(content.as_deref(), Some("hello"));
        }
    }

    #[test]
    fn a_wrong_digest_leaves_nothing() {
        let (fetched, content) =
            get(OK, Checksum::Md5("00000000000000000000000000000000"), Limits::default());
        let error = fetched.unwrap_err();
        assert_eq!((error.code, error.exit), ("E0311", Exit::Environment));
        assert!(error.message.contains("has MD5 5d41402abc4b2a76b9719d911017c592"), "{error}");
        assert_eq!(content, None);
    }

    #[test]
    fn refusals_and_broken_bodies_are_reported() {
        for (response, reason) in [
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "404"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 50\r\nConnection: close\r\n\r\nhello", "failed"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n",
                "5000 bytes exceed the limit",
            ),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello hello hello hello", "exceed the limit of 20"),
        ] {
            let limits =
                Limits { bytes: if response.contains("50\r") { 100 } else { 20 }, ..Limits::default() };
            let (fetched, content) = get(response, HELLO, limits);
            let error = fetched.unwrap_err();
            assert_eq!((error.code, error.exit), ("E0310", Exit::Environment));
            assert!(error.message.contains(reason), "{error}");
            assert_eq!(content, None);
        }
    }

    #[test]
    fn nobody_at_home() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        drop(listener);
        let folder = tempfile::tempdir().unwrap();
        let error = fetch(&url, HELLO, &folder.path().join("f"), Limits::default(), &|_, _| {}).unwrap_err();
        assert_eq!(error.code, "E0310");
    }

    #[test]
    fn files_that_are_there_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let dest = folder.path().join("file");
        fs::write(&dest, "hello").unwrap();
        let again = |checksum| fetch("http://127.0.0.1:1/", checksum, &dest, Limits::default(), &|_, _| {});
        assert_eq!(again(HELLO).unwrap(), Fetched::AlreadyThere);
        assert_eq!(again(Checksum::Sha256("00")).unwrap_err().code, "E0313");
        assert_eq!(fs::read_to_string(&dest).unwrap(), "hello");
    }

    #[test]
    fn names_are_suggested() {
        assert_eq!(known_download("pneumoniamnist").unwrap().file, "pneumoniamnist.npz");
        let error = known_download("pneumonia-mnist").unwrap_err();
        assert_eq!(error.message, "no known download \"pneumonia-mnist\"; did you mean \"pneumoniamnist\"?");
        assert_eq!(known_download("xyz").unwrap_err().help.as_deref(), Some("known: pneumoniamnist"));
    }
}

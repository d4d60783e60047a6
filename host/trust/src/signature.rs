//! Signatures of plugin files, made with minisign by keys that the lab chose.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use minisign_verify::{PublicKey, Signature};

/// A signature file has four short lines.
const LONGEST: u64 = 4096;

/// A public key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the key `{name}` is no public key of minisign: the second line of its .pub file, of 56 characters, is expected"
)]
pub struct KeyError {
    /// Name of the key.
    pub name: String,
}

/// Public keys by name.
#[derive(Debug, Default)]
pub struct Keys(Vec<(String, PublicKey)>);

impl Keys {
    /// Reads keys, as minisign writes them on the second line of a `.pub` file.
    ///
    /// # Errors
    ///
    /// Fails with the first one that is none.
    pub fn new(keys: &BTreeMap<String, String>) -> Result<Self, KeyError> {
        let keys = keys.iter().map(|(name, text)| {
            let key = PublicKey::from_base64(text.trim()).map_err(|_| KeyError { name: name.clone() })?;
            Ok((name.clone(), key))
        });
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Judges `content`, which was read from the file `path`, by the signature beside that file.
    pub fn judge(&self, path: &Path, content: &[u8]) -> Signed {
        match read(&signature_file(path)) {
            Ok(text) => self.judge_text(&text, content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Signed::Not,
            Err(error) => Signed::Unreadable(error.to_string()),
        }
    }

    fn judge_text(&self, text: &str, content: &[u8]) -> Signed {
        let signature = match Signature::decode(text) {
            Ok(signature) => signature,
            Err(_) => return Signed::Unreadable("it is not a signature of minisign".to_owned()),
        };
        for (name, key) in &self.0 {
            // Signatures of the first format sign the content itself; minisign has not made them since 2021.
            match key.verify(content, &signature, false) {
                Ok(()) => return Signed::By(name.clone()),
                Err(minisign_verify::Error::UnexpectedKeyId) => {}
                Err(minisign_verify::Error::UnexpectedAlgorithm) => {
                    return Signed::Unreadable("it has minisign's old format: sign again".to_owned());
                }
                Err(_) => return Signed::Mismatch(name.clone()),
            }
        }
        Signed::ByUnknown
    }
}

/// What the signature beside a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// The key of this name signed this content.
    By(String),
    /// There is no signature.
    Not,
    /// It is by a key that is not listed, so nothing can be said of it.
    ByUnknown,
    /// It bears the number of the key of this name, but is not of this content.
    Mismatch(String),
    /// It cannot be read, and why.
    Unreadable(String),
}

/// Returns the file that the signature of `path` is expected in: `libx.so.minisig`, beside the file that links lead to.
pub fn signature_file(path: &Path) -> PathBuf {
    let mut name = path.canonicalize().unwrap_or_else(|_| path.to_owned()).into_os_string();
    name.push(".minisig");
    PathBuf::from(name)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Cursor};

    use minisign::KeyPair;

    use super::*;

    const CONTENT: &[u8] = b"a plugin, as far as this test goes";

    fn pair() -> KeyPair {
        KeyPair::generate_unencrypted_keypair().unwrap()
    }

    fn sign(pair: &KeyPair, content: &[u8]) -> String {
        minisign::sign(None, &pair.sk, Cursor::new(content), Some("libx.so"), None).unwrap().into_string()
    }

    fn keys<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a KeyPair)>) -> Keys {
        let texts = pairs.into_iter().map(|(name, pair)| (name.to_owned(), pair.pk.to_base64()));
        Keys::new(&texts.collect()).unwrap()
    }

    #[test]
    fn a_signature_names_its_key() {
        let (lab, friend) = (pair(), pair());
        let keys = keys([("lab", &lab), ("friend", &friend)]);
        assert_eq!(keys.judge_text(&sign(&lab, CONTENT), CONTENT), Signed::By("lab".to_owned()));
        assert_eq!(keys.judge_text(&sign(&friend, CONTENT), CONTENT), Signed::By("friend".to_owned()));
    }

    #[test]
    fn another_key_and_another_content_are_told_apart() {
        let (lab, stranger) = (pair(), pair());
        let keys = keys([("lab", &lab)]);
        assert_eq!(keys.judge_text(&sign(&stranger, CONTENT), CONTENT), Signed::ByUnknown);
        let mut tampered = CONTENT.to_vec();
        tampered[3] ^= 1;
        assert_eq!(keys.judge_text(&sign(&lab, CONTENT), &tampered), Signed::Mismatch("lab".to_owned()));
    }

    #[test]
    fn a_changed_trusted_comment_is_noticed() {
        let lab = pair();
        let text = sign(&lab, CONTENT).replace("trusted comment: libx.so", "trusted comment: liby.so");
        assert_eq!(keys([("lab", &lab)]).judge_text(&text, CONTENT), Signed::Mismatch("lab".to_owned()));
    }

    #[test]
    fn the_signature_lies_beside_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        let lab = pair();
        let keys = keys([("lab", &lab)]);
        fs::write(&path, CONTENT).unwrap();
        assert_eq!(keys.judge(&path, CONTENT), Signed::Not);
        fs::write(folder.path().join("libx.so.minisig"), sign(&lab, CONTENT)).unwrap();
        assert_eq!(keys.judge(&path, CONTENT), Signed::By("lab".to_owned()));
        let link = folder.path().join("link.so");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(keys.judge(&link, CONTENT), Signed::By("lab".to_owned()));
        for nonsense in ["", "x\ny\nz\n", &"x".repeat(100_000)] {
            fs::write(folder.path().join("libx.so.minisig"), nonsense).unwrap();
            assert!(matches!(keys.judge(&path, CONTENT), Signed::Unreadable(_)), "{nonsense:.9}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_by_its_name() {
        let bad = BTreeMap::from([("lab".to_owned(), "RWQ".to_owned())]);
        assert!(Keys::new(&bad).unwrap_err().to_string().contains("`lab`"));
    }
}

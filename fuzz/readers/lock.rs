//! `nashost-plugins.lock`.

use std::fs;

use nashost::plugin::lock::Lock;

/// Reads a lock file; what was read must survive being written. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let memory = std::path::Path::new("/dev/shm");
    let file = if memory.is_dir() {
        tempfile::NamedTempFile::new_in(memory)
    } else {
        tempfile::NamedTempFile::new()
    };
    let file = file.expect("there is room for a file");
    fs::write(file.path(), data).expect("the file can be written");
    let mut lock = match Lock::read(file.path()) {
        Ok(lock) => lock,
        Err(error) => {
            assert!(!error.message.is_empty());
            return false;
        }
    };
    fs::write(file.path(), lock.render().expect("what was read can be written"))
        .expect("the file can be written");
    assert_eq!(Lock::read(file.path()).expect("what was written can be read"), lock);
    for pin in lock.plugins.clone() {
        lock.pin(pin.clone());
        assert_eq!(lock.objection(&pin), None);
    }
    true
}

/// A lock file of two plugins, and an empty one.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let pin = |id: &str| {
        let sha256 = "0123456789abcdef".repeat(4);
        format!(
            "[[plugin]]\nid = \"{id}\"\nversion = \"0.1.0\"\npath = \"/x/{id}.so\"\nsha256 = \"{sha256}\"\nsize = 123\n"
        )
    };
    vec![[pin("zennas"), pin("superres")].join("\n").into_bytes(), Vec::new()]
}

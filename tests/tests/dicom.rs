//! `dicom` through the built program: what `data check` lists, and that no id gets out.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use nashost_tests::Sandbox;

/// Ids of the fixture that the archive is made from.
const SOP: &str = "1.2.826.0.1.3680043.8.498.64535818759374496664267844010757543806";
const PATIENT: &str = "11RG3";
const ACCESSION: &str = "FUJI95706";
const STUDY: &str = "1.3.6.1.4.1.5962.1.2.11.20040826185059.5457";
const DATA: &str = "--dataset dicom -s data.root=archive -s data.csv=labels.csv -s data.split=part \
                    -s data.salt_file=salt";

/// An archive as hospitals have them: folders named after patients, files after images.
struct Archive {
    sandbox: Sandbox,
    /// Everything that tells who a patient is.
    ids: Vec<String>,
    first: std::path::PathBuf,
}

impl Archive {
    /// Writes 40 images of 20 patients, in 24, 8 and 8.
    fn new() -> Self {
        let sandbox = Sandbox::default();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/dicom/RG3_explicit.dcm");
        let original = fs::read(fixture).unwrap();
        let mut ids = vec![ACCESSION.to_owned(), STUDY.to_owned(), "RG3".to_owned()];
        let mut table = "SOPInstanceUID,part,bone,normal\n".to_owned();
        let mut files = Vec::new();
        for number in 0..40 {
            let patient = format!("P{}", 7000 + number / 2);
            let sop = format!("{}{}", &SOP[..SOP.len() - 4], 5000 + number);
            let mut bytes = replaced(&original, PATIENT, &patient);
            bytes = replaced(&bytes, SOP, &sop);
            brighten(&mut bytes, number);
            let path = sandbox.path(&format!("archive/{patient}/{sop}.dcm"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            let part = ["train", "train", "train", "val", "test"][usize::from(number) / 8];
            table += &format!("{sop},{part},{},{}\n", number % 2, 1 - number % 2);
            ids.extend([patient, sop]);
            files.push(path);
        }
        fs::write(sandbox.path("archive/labels.csv"), table).unwrap();
        Self { sandbox, ids, first: files.swap_remove(0) }
    }

    fn run(&self, line: &str) -> Output {
        self.sandbox.nashost(line).output().unwrap()
    }

    /// Fails if an id stands in `bytes`.
    fn assert_no_id(&self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for id in &self.ids {
            assert!(!text.contains(id.as_str()), "{place} tells {id}");
        }
    }
}

/// `bytes` with every `old` replaced by `new`, which is as long.
fn replaced(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut bytes = bytes.to_vec();
    let places: Vec<_> =
        (0..=bytes.len() - old.len()).filter(|&at| bytes[at..].starts_with(old.as_bytes())).collect();
    assert!(!places.is_empty(), "the fixture holds {old}");
    places.into_iter().for_each(|at| bytes[at..at + new.len()].copy_from_slice(new.as_bytes()));
    bytes
}

/// Makes the pixels another image; odd ones are darker (MONOCHROME1).
fn brighten(bytes: &mut [u8], number: u16) {
    // (7FE0,0010) OW, behind whose length they stand.
    let tag = bytes.windows(6).position(|window| window == b"\xE0\x7F\x10\x00OW").unwrap();
    for pixel in bytes[tag + 12..][..2 * 256 * 256].chunks_exact_mut(2) {
        let value = u16::from_le_bytes([pixel[0], pixel[1]]);
        let changed = (value / 2 + 400 * (number % 2) + number).min(1023);
        pixel.copy_from_slice(&changed.to_le_bytes());
    }
}

#[test]
fn a_run_tells_no_id_anywhere() {
    let archive = Archive::new();
    for line in [
        format!("data check {DATA}"),
        format!("data check {DATA} --format json"),
        format!("data stats {DATA}"),
        format!("data stats {DATA} --format json"),
        format!("data preview {DATA}"),
        format!("data split split.json {DATA}"),
        format!(
            "run -vv {DATA} -s run.cache_dir=cache -s arch.plugin=superres -s train.resolution=16 \
             -s train.epochs=1 -s eval.bootstrap=20"
        ),
        "show".to_owned(),
    ] {
        let output = archive.run(&line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        archive.assert_no_id(&line, &output.stdout);
        archive.assert_no_id(&line, &output.stderr);
    }
    let predict = archive.run("predict latest archive --to scores.csv");
    let said = String::from_utf8_lossy(&predict.stderr);
    assert_eq!(predict.status.code(), Some(2), "{said}");
    assert!(said.contains("E0926") && said.contains("the dataset `dicom`"), "{said}");
    assert!(!archive.sandbox.path("scores.csv").exists());
    let salt = fs::read_to_string(archive.sandbox.path("salt")).unwrap();
    let mode = fs::metadata(archive.sandbox.path("salt")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut files = archive.sandbox.contents("runs");
    assert!(files.keys().any(|file| file.ends_with("events.jsonl")));
    files.extend(archive.sandbox.contents("cache"));
    for file in ["split.json", "preview.html"] {
        files.insert(file.into(), fs::read(archive.sandbox.path(file)).unwrap());
    }
    for (file, bytes) in &files {
        archive.assert_no_id(&file.display().to_string(), bytes);
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains(salt.trim()), "{} tells the salt", file.display());
    }
    let predicted: Vec<_> =
        files.keys().filter(|file| file.to_string_lossy().contains("predictions")).collect();
    assert!(!predicted.is_empty());
    assert!(String::from_utf8_lossy(&files["split.json".as_ref() as &Path]).contains("\"image-"));
}

#[test]
fn damaged_files_are_listed_by_pseudonym_and_by_name_if_asked() {
    let archive = Archive::new();
    let whole = fs::read(&archive.first).unwrap();
    fs::write(&archive.first, &whole[..whole.len() - 1000]).unwrap();
    let check = format!("data check {DATA}");
    let output = archive.run(&check);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("(labels.csv:2) is truncated"), "{text}");
    archive.assert_no_id(&check, text.as_bytes());
    archive.assert_no_id(&check, &output.stderr);
    let asked = archive.run(&format!("{check} -s data.pseudonymise=false"));
    let asked = String::from_utf8(asked.stdout).unwrap();
    assert!(asked.contains(archive.first.file_name().unwrap().to_str().unwrap()), "{asked}");
}

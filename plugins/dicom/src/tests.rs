use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use nashost_plugin_api::{
    component::Component as _,
    dataset::{Dataset as _, Part, PixelType, Target},
};
use proptest::prelude::*;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{
    Dicom, DicomConfig, Frames, Group, Intensity, Join, Unmatched,
    codec::{CodecError, Samples},
    file::DataSet,
    picture::{PictureError, picture, stored},
    testing::Sample,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/dicom")
}

fn gunzip(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = fs::File::open(fixtures().join(name)).unwrap();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

/// What pydicom reads from a fixture, by `make.py`.
#[derive(Debug, Deserialize)]
struct Expected {
    rows: usize,
    columns: usize,
    r#type: String,
    sha256: String,
}

/// Bytes as numpy has them: values of the stored bits, little endian.
fn as_numpy(samples: &Samples, stored: u16, signed: bool) -> Vec<u8> {
    match samples {
        Samples::Byte(values) => values.clone(),
        Samples::Word(values) => {
            let free = 16 - stored;
            let value = |bits: u16| {
                if signed {
                    (bits << free).cast_signed().wrapping_shr(free.into()).cast_unsigned()
                } else {
                    bits << free >> free
                }
            };
            values.iter().flat_map(|&bits| value(bits).to_le_bytes()).collect()
        }
    }
}

#[test]
fn stored_values_are_those_of_pydicom() {
    let expected: BTreeMap<String, Expected> =
        serde_json::from_slice(&fs::read(fixtures().join("pydicom.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    let mut equal = 0;
    for (name, expected) in &expected {
        let data = DataSet::read(&fixtures().join(name)).unwrap();
        let answer = stored(&data, Frames::First);
        // Refused, and told why: tests of their own.
        if name.contains("ext12") || name == "made_j2k_signed.dcm" {
            assert!(matches!(answer, Err(PictureError::Codec(CodecError::Unsupported(_)))), "{name}");
            continue;
        }
        let (samples, header) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let shape = header.shape;
        assert_eq!((shape.rows, shape.columns), (expected.rows, expected.columns), "{name}");
        let kind = format!("{}int{}", if shape.signed { "" } else { "u" }, shape.allocated);
        assert_eq!(kind, expected.r#type, "{name}");
        let bytes = as_numpy(&samples, shape.stored, shape.signed);
        if name.contains("jpeg_baseline8") {
            // Inverse cosine transforms round differently: T.81 leaves it open.
            let theirs = gunzip(&name.replace("dcm", "gz"));
            let most = bytes.iter().zip(&theirs).map(|(&a, &b)| a.abs_diff(b)).max().unwrap();
            assert!(bytes.len() == theirs.len() && most <= 2, "{name}: up to {most} shades apart");
        } else if crate::pseudonym::hex(&Sha256::digest(&bytes)) == expected.sha256 {
            equal += 1;
        } else {
            wrong.push(format!("{name}: other pixels"));
        }
    }
    assert!(wrong.is_empty(), "{equal} equal, but\n{}", wrong.join("\n"));
}

#[test]
fn shades_are_those_of_pydicom() {
    for name in ["RG1_explicit", "RG3_explicit", "made_16"] {
        let config = DicomConfig { intensity: Intensity::Window, ..DicomConfig::new(".", "labels.csv") };
        let ours = picture(&fixtures().join(format!("{name}.dcm")), &config).unwrap();
        assert_eq!(ours.dtype, PixelType::U16);
        let theirs = gunzip(&format!("{name}_shades.gz"));
        assert_eq!(ours.data.len(), theirs.len());
        let pairs = ours.data.chunks_exact(2).zip(theirs.chunks_exact(2));
        let most =
            pairs.map(|(a, b)| u16::from_ne_bytes([a[0], a[1]]).abs_diff(u16::from_le_bytes([b[0], b[1]])));
        // Of 65,535: the last step rounds halves differently.
        assert!(most.max().unwrap() <= 1, "{name}");
    }
}

#[test]
fn what_cannot_be_shown_rightly_is_refused() {
    let config = DicomConfig::new(".", "labels.csv");
    let error = |sample: Sample| {
        let data = DataSet::parse(sample.bytes()).map_err(PictureError::from);
        data.and_then(|data| stored(&data, config.frames)).unwrap_err().to_string()
    };
    let sample = || Sample::new("1.2.3", "p1");
    assert!(stored(&DataSet::parse(sample().bytes()).unwrap(), Frames::Refuse).is_ok());
    for (sample, reason) in [
        (sample().with_text(0x0028_0004, "RGB"), "has the photometric interpretation RGB"),
        (sample().with_text(0x0028_0004, "PALETTE COLOR"), "photometric interpretation PALETTECOLOR"),
        (sample().with_number(0x0028_0002, 3), "has 3 samples per pixel"),
        (sample().with_number(0x0028_0100, 32), "has 32 bits allocated"),
        (sample().with_number(0x0028_0101, 17), "17 stored of 16 allocated bits"),
        (sample().with_number(0x0028_0102, 15), "12 stored bits below bit 15"),
        (sample().with_number(0x0028_0010, 0), "0 × 3 pixels"),
        (sample().with_number(0x0028_0010, 3), "is truncated: 12 of 18 bytes"),
        (sample().with_text(0x0028_0008, "2"), "has 2 frames; `frames = \"first\"`"),
        (sample().with_text(0x0028_1053, "0"), "rescale slope"),
        (sample().with_text(0x0028_3000, "table"), "a modality lookup table"),
        (sample().without(0x0028_0101), "says nothing of its stored bits"),
        (sample().without(0x0028_0004), "says nothing of its photometric interpretation"),
        (sample().without(0x7FE0_0010), "has no pixel data"),
        (Sample { syntax: "1.2.840.10008.1.2.4.201", ..sample() }, "unsupported transfer syntax 1.2.840"),
        (Sample { syntax: "1.2.840.10008.1.2.5", ..sample() }, "not stored as its transfer syntax says"),
    ] {
        let error = error(sample);
        assert!(error.contains(reason), "{error} / {reason}");
    }
    let ext12 = picture(&fixtures().join("RG1_jpeg_ext12.dcm"), &config).unwrap_err().to_string();
    assert!(ext12.contains("lossy JPEG of 12 bit; convert it"), "{ext12}");
}

#[test]
fn a_bad_window_matters_only_where_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dcm");
    let shown = |sample: Sample, intensity| {
        fs::write(&path, sample.bytes()).unwrap();
        let config = DicomConfig { intensity, ..DicomConfig::new(".", "labels.csv") };
        picture(&path, &config).map_err(|error| error.to_string())
    };
    let window = |center: &str, width: &str| {
        Sample::new("1.2.3", "p1").with_text(0x0028_1050, center).with_text(0x0028_1051, width)
    };
    for (bad, reason) in [
        (
            Sample::new("1.2.3", "p1").with_text(0x0028_1050, "100"),
            "its centre and width are not two numbers",
        ),
        (window("wide", "100"), "its centre and width are not two numbers"),
        (window("100", "0.5"), "its width is too small"),
        (window("100", "50").with_text(0x0028_1056, "CUBIC"), "its form is none of"),
    ] {
        for intensity in [Intensity::Auto, Intensity::Window] {
            let error = shown(bad.clone(), intensity).unwrap_err();
            assert!(error.contains(reason) && error.contains("`intensity = \"percentile\"`"), "{error}");
        }
        for intensity in [Intensity::Percentile, Intensity::Full] {
            assert!(shown(bad.clone(), intensity).is_ok(), "{reason}");
        }
    }
    let several = shown(window("2048\\soft", "4096\\tissue"), Intensity::Window).unwrap();
    assert_eq!(several, shown(window("2048", "4096"), Intensity::Window).unwrap(), "the first one counts");
}

/// A folder with files and a table.
struct Archive(TempDir);

impl Archive {
    fn new(samples: &[(&str, Sample)], csv: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, sample) in samples {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, sample.bytes()).unwrap();
        }
        fs::write(folder.path().join("labels.csv"), csv).unwrap();
        Self(folder)
    }

    /// With names, so that messages can be compared.
    fn config(&self) -> DicomConfig {
        DicomConfig { pseudonymise: false, ..DicomConfig::new(self.0.path(), "labels.csv") }
    }

    fn pseudonymous(&self) -> DicomConfig {
        DicomConfig { pseudonymise: true, salt_file: Some(self.0.path().join("salt")), ..self.config() }
    }
}

fn problems(config: DicomConfig) -> Vec<String> {
    let dataset = Dicom::create(config).unwrap();
    dataset.records().unwrap_err().to_string().lines().map(str::to_owned).collect()
}

fn three() -> [(&'static str, Sample); 3] {
    [
        ("a/1.dcm", Sample::new("1.2.1", "PAT-A").with_text(0x0020_0062, "L").with_text(0x0010_0040, "F")),
        ("a/2", Sample::new("1.2.2", "PAT-A").with_text(0x0008_0050, "ACC8")),
        ("b/3.dcm", Sample::new("1.2.3", "PAT-B").with_text(0x0010_1010, "034Y")),
    ]
}

#[test]
fn images_find_their_rows_by_image_accession_and_patient() {
    let archive = Archive::new(
        &three(),
        "SOPInstanceUID,part,fracture,normal\n1.2.3,test,1,0\n1.2.1,train,0,1\n1.2.2,val,,0\n",
    );
    fs::write(archive.0.path().join("notes.txt"), "no image").unwrap();
    let config = DicomConfig { split: Some("part".to_owned()), ..archive.config() };
    let dataset = Dicom::create(config.clone()).unwrap();
    let info = dataset.describe().unwrap();
    assert_eq!(
        (info.labels, info.normal_label),
        (vec!["fracture".into(), "normal".into()], Some("normal".into()))
    );
    let records = dataset.records().unwrap();
    let brief: Vec<_> = records.iter().map(|r| (r.id.as_str(), r.group.as_str(), r.split.unwrap())).collect();
    assert_eq!(
        brief,
        [("1.2.1", "PAT-A", Part::Train), ("1.2.2", "PAT-A", Part::Val), ("1.2.3", "PAT-B", Part::Test)]
    );
    assert_eq!(records[1].targets, [Target::NotAssessed, Target::Negative]);
    assert_eq!(
        (records[0].attributes["laterality"].as_str(), records[0].attributes["sex"].as_str()),
        ("L", "F")
    );
    assert_eq!(records[2].attributes["age_band"], "30-39");
    let pixels = dataset.pixels(0).unwrap();
    assert_eq!((pixels.height, pixels.width, pixels.dtype), (2, 3, PixelType::U16));
    let stamp = dataset.stamp().unwrap();
    assert_eq!(stamp, Dicom::create(config.clone()).unwrap().stamp().unwrap());
    fs::write(archive.0.path().join("b/3.dcm"), Sample::new("1.2.3", "PAT-B").bytes()).unwrap();
    assert_ne!(stamp, Dicom::create(config).unwrap().stamp().unwrap());

    let by = |join, csv: &str| {
        let archive = Archive::new(&three(), csv);
        let records = Dicom::create(DicomConfig { join, ..archive.config() }).unwrap().records().unwrap();
        records.iter().map(|record| record.targets[0].code()).collect::<Vec<_>>()
    };
    assert_eq!(by(Join::Accession, "accessionnumber,x\nACC8,1\nACC7,0\n"), [0, 1, 0]);
    assert_eq!(by(Join::Patient, "PatientID,x\nPAT-A,1\nPAT-B,0\n"), [1, 1, 0]);
    assert_eq!(by(Join::Study, "StudyInstanceUID,x\n1.2.3.99,1\n"), [1, 1, 1]);
    assert_eq!(by(Join::File, "file,x\nb/3.dcm,1\n./a/2,0\n"), [1, 0]);
}

#[test]
fn every_problem_is_listed_at_once() {
    let mut samples = three().to_vec();
    samples.push(("b/4.dcm", Sample::new("1.2.1", "PAT-C")));
    samples.push(("b/5.dcm", Sample::new("1.2.5", "")));
    samples.push(("b/6.dcm", Sample::new("1.2.6", "PAT-D")));
    let csv = "SOPInstanceUID,x\n1.2.1,1\n1.2.2,yes\n1.2.3,0,0\n1.2.5,1\n1.2.1,0\n,1\n1.2.99,1\n";
    let archive = Archive::new(&samples, csv);
    fs::write(archive.0.path().join("b/7.dcm"), "no image").unwrap();
    fs::write(archive.0.path().join("b/8"), &Sample::new("1.2.8", "PAT-D").bytes()[..195]).unwrap();
    assert_eq!(
        problems(archive.config()),
        [
            "labels.csv:3: column \"x\" is not 0, 1 or blank",
            "labels.csv:4: 3 values for 2 columns",
            "labels.csv:6: has the same SOPInstanceUID as line 2",
            "labels.csv:7: column \"SOPInstanceUID\" is blank",
            "file \"b/7.dcm\" is no DICOM file: the mark DICM is missing",
            "file \"b/8\" is truncated",
            "file \"b/4.dcm\" and file \"a/1.dcm\" have the same SOP instance UID",
            "file \"b/5.dcm\" (labels.csv:5) has no patient id; `group = \"study\"` needs none",
            "2 of the images have no row in labels.csv; the first is file \"b/3.dcm\"; `unmatched = \"skip\"` leaves them out",
            "2 rows of labels.csv have no image; the first is line 2; `unmatched = \"skip\"` leaves them out",
        ]
    );
    let columns = Archive::new(&three(), "SOPInstanceUIDs;x\n1;1\n");
    assert_eq!(
        problems(columns.config()),
        ["labels.csv:1: no column \"SOPInstanceUID\" for the key; columns must be separated by commas"]
    );
    let paths = Archive::new(&three(), "File,x\n../a,1\ngone.dcm,1\n/etc/passwd,0\n");
    let paths = problems(DicomConfig { join: Join::File, ..paths.config() });
    assert_eq!(paths[0], "labels.csv:2: the file lies outside the root folder");
    assert_eq!(paths[1], "labels.csv:3: the file does not exist");
    assert_eq!(paths[2], "labels.csv:4: the file lies outside the root folder");
}

#[test]
fn a_misspelt_normal_label_and_nameless_columns_are_told() {
    let archive =
        Archive::new(&three(), "SOPInstanceUID,fracture,healthy\n1.2.1,1,0\n1.2.2,0,1\n1.2.3,1,0\n");
    let config = |normal: &str| DicomConfig { normal: normal.to_owned(), ..archive.config() };
    assert_eq!(
        problems(config("helthy"))[0],
        "labels.csv:1: no label \"helthy\" for `normal` (did you mean \"healthy\"?)"
    );
    for (normal, label) in [("Healthy", Some("healthy")), ("normal", None), ("", None)] {
        let info = Dicom::create(config(normal)).unwrap().describe().unwrap();
        assert_eq!(info.normal_label.as_deref(), label, "{normal}");
    }
    let nameless = Archive::new(&three(), "SOPInstanceUID,fracture,\n1.2.1,1,0\n");
    assert_eq!(problems(nameless.config())[0], "labels.csv:1: column 3 has no name");
}

#[test]
fn links_lead_nowhere() {
    let archive = Archive::new(&three(), "SOPInstanceUID,x\n1.2.1,1\n1.2.2,0\n1.2.3,1\n");
    let outside = Archive::new(&[("secret.dcm", Sample::new("1.2.9", "PAT-X"))], "");
    let root = archive.0.path();
    std::os::unix::fs::symlink(root, root.join("a/loop")).unwrap();
    std::os::unix::fs::symlink(outside.0.path(), root.join("a/out")).unwrap();
    assert_eq!(Dicom::create(archive.config()).unwrap().records().unwrap().len(), 3);
    fs::write(root.join("labels.csv"), "File,x\na/out/secret.dcm,1\n").unwrap();
    let problems = problems(DicomConfig { join: Join::File, ..archive.config() });
    assert_eq!(problems, ["labels.csv:2: the file lies outside the root folder"]);
}

#[test]
fn unmatched_images_and_rows_can_be_left_out() {
    let archive = Archive::new(&three(), "SOPInstanceUID,x\n1.2.1,1\n1.2.77,0\n");
    let config = DicomConfig { unmatched: Unmatched::Skip, group: Group::Study, ..archive.config() };
    let records = Dicom::create(config).unwrap().records().unwrap();
    assert_eq!((records.len(), records[0].group.as_str()), (1, "1.2.3.99"));
}

#[test]
fn a_file_that_no_row_claims_blocks_no_archive() {
    // HTJ2K, which is not decoded, and MPEG-4, as of a recording beside the radiographs.
    let compressed = |sop: &str, syntax| Sample { syntax, ..Sample::new(sop, "PAT-C") };
    let mut samples = three().to_vec();
    samples.push(("c/4.dcm", compressed("1.2.4", "1.2.840.10008.1.2.4.201")));
    samples.push(("c/5.dcm", compressed("1.2.5", "1.2.840.10008.1.2.4.102")));
    let archive = Archive::new(&samples, "SOPInstanceUID,x\n1.2.1,1\n1.2.2,0\n1.2.4,1\n");
    fs::write(archive.0.path().join("c/6.dcm"), "no image").unwrap();
    let refused = problems(archive.config());
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused[0].starts_with("file \"c/6.dcm\" is no DICOM file"), "{refused:?}");
    assert!(refused[1].starts_with("2 of the images have no row"), "{refused:?}");

    let config = DicomConfig { unmatched: Unmatched::Skip, ..archive.config() };
    let dataset = Dicom::create(config).unwrap();
    let records = dataset.records().unwrap();
    assert_eq!(
        records.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(),
        ["1.2.1", "1.2.2", "1.2.4"]
    );
    assert!(dataset.pixels(1).is_ok());
    let error = dataset.pixels(2).unwrap_err().to_string();
    assert!(
        error.contains("(labels.csv:4) has the unsupported transfer syntax 1.2.840.10008.1.2.4.201"),
        "{error}"
    );

    // A table that names the file itself claims it.
    fs::write(archive.0.path().join("labels.csv"), "File,x\nc/6.dcm,1\n").unwrap();
    let named = DicomConfig { join: Join::File, unmatched: Unmatched::Skip, ..archive.config() };
    assert!(problems(named)[0].starts_with("file \"c/6.dcm\" is no DICOM file"));
}

#[test]
fn pseudonyms_stand_for_every_id_in_records_and_messages() {
    let mut samples = three().to_vec();
    let csv = "SOPInstanceUID,x\n1.2.1,1\n1.2.2,0\n1.2.3,1\n";
    let archive = Archive::new(&samples, csv);
    let create = || Dicom::create(archive.pseudonymous()).unwrap();
    let records = create().records().unwrap();
    assert_eq!(records, create().records().unwrap());
    assert_eq!(records[0].group, records[1].group);
    assert_ne!(records[0].group, records[2].group);
    assert!(records.iter().all(|r| r.id.starts_with("image-") && r.group.starts_with("patient-")));
    let ids = ["PAT-", "1.2.", "ACC", "3.dcm"];
    let text = format!("{records:?}");
    assert!(ids.iter().all(|id| !text.contains(id)), "{text}");

    samples[2].1 = Sample::new("1.2.3", "PAT-B").with_number(0x0028_0010, 40);
    samples.push(("PAT-C/4.dcm", Sample::new("1.2.1", "PAT-C")));
    let archive = Archive::new(&samples, csv);
    fs::write(archive.0.path().join("PAT-D.dcm"), "no image").unwrap();
    let mut text = problems(archive.pseudonymous()).join("\n");
    fs::remove_file(archive.0.path().join("PAT-D.dcm")).unwrap();
    fs::remove_file(archive.0.path().join("PAT-C/4.dcm")).unwrap();
    text += &Dicom::create(archive.pseudonymous()).unwrap().pixels(2).unwrap_err().to_string();
    assert!(text.contains("(labels.csv:4) is truncated"), "{text}");
    assert!(ids.iter().all(|id| !text.contains(id)), "{text}");
}

#[test]
fn a_dicomdir_says_which_images_are_meant() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &Path| {
        let to = folder.path().join(from.strip_prefix(fixtures().join("set")).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    };
    let image = "ST000000/SE000000/IM000000";
    let set = fixtures().join("set");
    copy(&set.join("DICOMDIR"));
    for folder in ["PT000000", "PT000001"] {
        copy(&set.join(folder).join(image));
    }
    fs::write(folder.path().join("labels.csv"), "PatientID,x\nmade-40,1\nmade-41,0\n").unwrap();
    let config = DicomConfig {
        dicomdir: Some("DICOMDIR".into()),
        join: Join::Patient,
        pseudonymise: false,
        ..DicomConfig::new(folder.path(), "labels.csv")
    };
    // A file that the directory does not list, and one that it lists in vain.
    fs::write(folder.path().join("other.dcm"), Sample::new("1.2.3", "p").bytes()).unwrap();
    let groups = |config: DicomConfig| -> Vec<_> {
        Dicom::create(config).unwrap().records().unwrap().into_iter().map(|r| r.group).collect()
    };
    assert_eq!(groups(config.clone()), ["made-40", "made-41"]);
    fs::remove_file(folder.path().join("PT000001").join(image)).unwrap();
    let problems = problems(config);
    assert_eq!(problems[0], format!("dicomdir: file \"PT000001/{image}\" does not exist"));
}

#[test]
fn settings_that_make_no_sense_are_told_together() {
    let config = DicomConfig {
        depth: 12,
        percentiles: [99.0, 1.0],
        join: Join::File,
        dicomdir: Some("DICOMDIR".into()),
        ..DicomConfig::new("no/such/folder", "labels.csv")
    };
    let error = Dicom::create(config).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 4, "{error}");
}

/// Small files of every codec.
fn seeds() -> Vec<Vec<u8>> {
    let small = [
        "made_signed",
        "made_odd8_bigendian",
        "made_16",
        "made_rle8",
        "made_jpegls12",
        "made_jpegls8_near",
        "made_j2k8",
        "made_frames_jpegls",
        "RG3_jpeg_baseline8",
        "RG3_jpegll_p14",
        "RG3_j2k_lossy",
        "RG3_deflated",
    ];
    small.map(|name| fs::read(fixtures().join(format!("{name}.dcm"))).unwrap()).into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever bytes are changed or missing: pixels of the size that the header says, or an error.
    #[test]
    fn damaged_files_are_errors(
        seed in 0usize..12,
        cut in prop::option::of(0.0f64..1.0),
        changes in prop::collection::vec((0.0f64..1.0, any::<u8>()), 0..6),
        early in any::<bool>(),
    ) {
        let mut bytes = seeds().swap_remove(seed);
        // Half of the time in the header, which is small.
        let reach = if early { bytes.len().min(1500) } else { bytes.len() };
        for (place, value) in changes {
            bytes[(place * reach as f64) as usize] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate((cut * bytes.len() as f64) as usize);
        }
        let answer = DataSet::parse(bytes).map_err(PictureError::from).and_then(|data| stored(&data, Frames::First));
        if let Ok((samples, header)) = answer {
            let length = match samples {
                Samples::Byte(values) => values.len(),
                Samples::Word(values) => values.len(),
            };
            prop_assert_eq!(length, header.shape.pixels());
        }
    }

    #[test]
    fn garbage_is_an_error(garbage in prop::collection::vec(any::<u8>(), 0..600)) {
        let meta = &Sample::new("1.2", "p").bytes()[..160];
        prop_assert!(DataSet::parse(garbage.clone()).is_err());
        let data = DataSet::parse([meta, &garbage].concat());
        prop_assert!(data.and_then(|data| data.image().map(|_| ())).is_err() || garbage.is_empty());
    }
}

#[test]
fn every_truncation_is_noticed() {
    for bytes in seeds() {
        let whole = stored(&DataSet::parse(bytes.clone()).unwrap(), Frames::First).unwrap().0;
        for part in [0.999, 0.9, 0.7, 0.5, 0.2, 0.05] {
            let mut cut = bytes.clone();
            cut.truncate((part * bytes.len() as f64) as usize);
            // Trailing padding and later frames may go.
            if let Ok(data) = DataSet::parse(cut)
                && let Ok((samples, _)) = stored(&data, Frames::First)
            {
                assert!(samples == whole, "cut to {part}");
            }
        }
    }
}

/// 65 MiB of nothing fit into 65 KiB, and each file of a folder would unfold so.
#[test]
fn a_deflated_bomb_is_refused() {
    let sample = Sample { syntax: "1.2.840.10008.1.2.1.99", ..Sample::new("1.2.3", "p1") };
    // Preamble, mark, and the element of the transfer syntax.
    let mut file = sample.bytes();
    file.truncate(128 + 4 + 8 + sample.syntax.len());
    let mut deflater = flate2::write::DeflateEncoder::new(file, flate2::Compression::best());
    std::io::Write::write_all(&mut deflater, &vec![0; (64 << 20) + 1]).unwrap();
    let error = DataSet::parse(deflater.finish().unwrap()).map(drop).unwrap_err().to_string();
    assert!(error.contains("deflated bytes unfold to more than 67108864"), "{error}");
}

//! DICOM files, images and directories.

use std::fs;

use nashost_dicom::{Dicom, DicomConfig, Frames, Group, Intensity, Join, Unmatched};
use nashost_plugin_api::{component::Component as _, dataset::Dataset as _};

/// Takes the bytes for an image that a table lists, and for the directory of a folder. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.expect("there is room for a folder");
    fs::write(folder.path().join("image"), data).expect("the folder can be written");
    fs::write(folder.path().join("labels.csv"), "File,x\nimage,1\n").expect("the folder can be written");
    let config = DicomConfig {
        join: Join::File,
        unmatched: Unmatched::Skip,
        frames: Frames::First,
        pseudonymise: false,
        ..DicomConfig::new(folder.path(), "labels.csv")
    };
    let directory =
        DicomConfig { join: Join::Sop, key: "File".into(), dicomdir: Some("image".into()), ..config.clone() };
    let settings = [
        DicomConfig { intensity: Intensity::Percentile, depth: 8, group: Group::Study, ..config.clone() },
        DicomConfig { intensity: Intensity::Full, ..config.clone() },
        config,
    ];
    let mut accepted = false;
    for config in settings {
        let dataset = Dicom::create(config).expect("the folder is there");
        match dataset.pixels(0) {
            Ok(pixels) => {
                assert_eq!(pixels.data.len(), pixels.height * pixels.width * pixels.dtype.size());
                accepted = true;
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let dataset = Dicom::create(directory).expect("the folder is there");
    match dataset.records() {
        Ok(_) => true,
        // A directory that was read, of files that are not here.
        Err(error) => accepted || error.to_string().contains("does not exist"),
    }
}

/// Small files of each transfer syntax, and a directory.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../tests/fixtures/dicom/made_16.dcm").to_vec(),
        include_bytes!("../../tests/fixtures/dicom/made_odd8_bigendian.dcm").to_vec(),
        include_bytes!("../../tests/fixtures/dicom/made_signed8.dcm").to_vec(),
        include_bytes!("../../tests/fixtures/dicom/made_rle8.dcm").to_vec(),
        include_bytes!("../../tests/fixtures/dicom/made_frames_rle.dcm").to_vec(),
        include_bytes!("../../tests/fixtures/dicom/made_jpegls8.dcm").to_vec(),
        include_bytes!("../../tests/fixtures/dicom/made_jpegls12_near.dcm").to_vec(),
        include_bytes!("../../tests/fixtures/dicom/made_frames_jpegls.dcm").to_vec(),
        include_bytes!("../../tests/fixtures/dicom/made_j2k8.dcm").to_vec(),
        include_bytes!("../../tests/fixtures/dicom/made_j2k16.dcm").to_vec(),
        include_bytes!("../../tests/fixtures/dicom/RG3_jpeg_baseline8.dcm").to_vec(),
        include_bytes!("../../tests/fixtures/dicom/set/DICOMDIR").to_vec(),
    ]
}

//! The index files of `csv-images`.

use std::fs;

use nashost_datasets::csv_images::{CsvImages, CsvImagesConfig};
use nashost_plugin_api::{component::Component as _, dataset::Dataset as _};

const IMAGE: &[u8] = include_bytes!("../../tests/fixtures/datasets/images/grey8.png");

/// Takes the bytes for the only index file, and for all three of the study's layout. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let folder = folder();
    fs::write(folder.path().join("a.png"), IMAGE).expect("the folder can be written");
    for name in ["train.csv", "val.csv", "test.csv"] {
        fs::write(folder.path().join(name), data).expect("the folder can be written");
    }
    let study = CsvImagesConfig::study(folder.path());
    let general = CsvImagesConfig {
        csv: Some("train.csv".into()),
        path: Some("file".into()),
        group: Some("patient".into()),
        split: Some("part".into()),
        attributes: vec!["view".into()],
        ..study.clone()
    };
    let plain = CsvImagesConfig { csv: Some("train.csv".into()), ..study.clone() };
    let mut accepted = false;
    for config in [study, general, plain] {
        let dataset = CsvImages::create(config).expect("the folder is there");
        match dataset.records() {
            Ok(records) => {
                let labels = dataset.describe().expect("what has records is described").labels;
                assert!(records.iter().all(|record| record.targets.len() == labels.len()));
                if !records.is_empty() {
                    dataset.pixels(0).expect("the only image is a good one");
                    accepted = true;
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    accepted
}

/// A folder in memory where there is one.
fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("there is room for a folder")
}

/// Tables of each layout.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "Num,ID,Fracture,normal\n1,a.png,1,0\n2,./a.png,0,1\n",
        "\u{feff}Num,ID,Fracture,normal\r\n1,a.png,,\r\n",
        "ID,file,PATIENT,part,view,y,x\n7,a.png,p1,Train,AP,1,0\n8,./a.png,p1,valid,L,0,\n",
        "ID,\"a \"\"b\"\"\",normal\n\"a.png\",1,0\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

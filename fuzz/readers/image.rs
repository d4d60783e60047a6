//! The image files of `csv-images`.

use std::fs;

use nashost_datasets::csv_images::{CsvImages, CsvImagesConfig};
use nashost_plugin_api::{component::Component as _, dataset::Dataset as _};

/// Decodes the bytes as PNG, JPEG or TIFF, whichever they begin as. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.expect("there is room for a folder");
    fs::write(folder.path().join("all.csv"), "ID,x\nimage,1\n").expect("the folder can be written");
    fs::write(folder.path().join("image"), data).expect("the folder can be written");
    let config = CsvImagesConfig { csv: Some("all.csv".into()), ..CsvImagesConfig::study(folder.path()) };
    let dataset = CsvImages::create(config).expect("the folder is there");
    match dataset.pixels(0) {
        Ok(pixels) => {
            let values = pixels.height * pixels.width * pixels.channels;
            assert_eq!(pixels.data.len(), values * pixels.dtype.size());
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

/// One file of each kind.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../tests/fixtures/datasets/images/grey8.png").to_vec(),
        include_bytes!("../../tests/fixtures/datasets/images/grey16.png").to_vec(),
        include_bytes!("../../tests/fixtures/datasets/images/rgba8.png").to_vec(),
        include_bytes!("../../tests/fixtures/datasets/images/grey8.tif").to_vec(),
        include_bytes!("../../tests/fixtures/datasets/images/grey16.tif").to_vec(),
        include_bytes!("../../tests/fixtures/datasets/images/grey.jpeg").to_vec(),
        include_bytes!("../../tests/fixtures/datasets/images/progressive.jpeg").to_vec(),
    ]
}

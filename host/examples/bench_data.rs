//! Times the preparation of radiographs: decode a grey image of 2000 px, resize it to 224 px.
//!
//! Decoding goes through the dataset plugin and its boundary. A second case is the whole path of a run
//! without a cache, with what the reference does not do: checks, the digest over the pixels, the
//! statistics.

mod bench;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use bench::Bench;
use clap::Parser;
use nashost::{
    data::{Catalogue, ImageSource, LoadRequest, Split, load, to_square},
    error::Result,
    plugin::Registry,
};
use nashost_plugin_api::{
    abi::foreign::ForeignDataset,
    dataset::{DatasetInfo, Pixels, Record},
};
use serde_json::json;

const FULL: usize = 2000;
const SMALL: usize = 224;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    bench: Bench,
    /// Folder of the images.
    #[arg(long)]
    images: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let Options { bench, images } = Options::parse();
    let registry = bench.start()?;
    let images = images.canonicalize().with_context(|| format!("find {}", images.display()))?;
    for (name, extension) in [("png", "png"), ("jpeg", "jpg")] {
        let index = tempfile::NamedTempFile::new()?;
        let count = write_index(&images, extension, index.path())?;
        let config = json!({ "root": images, "csv": index.path(), "split": "split" });
        let source = Source::new(&registry, &config)?;
        let request = LoadRequest {
            component: "csv-images",
            plugin_sha256: "",
            config: &config,
            resolution: SMALL,
            cache: None,
        };
        bench.measure(&format!("{name} {FULL} px to {SMALL} px, one image"), count, || {
            for index in 0..count {
                let square = to_square(&source.pixels(index)?, 1, SMALL).map_err(anyhow::Error::msg)?;
                ensure!(square.len() == SMALL * SMALL, "image {index} has another size");
            }
            Ok(())
        })?;
        bench.measure(&format!("whole path of a {name}, one image"), count, || {
            let catalogue = Catalogue::read(&source)?;
            let split = Split::as_given(&catalogue.records)?;
            let loaded = load(&source, catalogue, split, request, &|_, _| {})?;
            ensure!(loaded.store.data.len() == count * SMALL * SMALL, "not all images were loaded");
            Ok(())
        })?;
    }
    Ok(())
}

/// Lists the images of a kind in a CSV file, such that every part has some; returns their number.
fn write_index(images: &Path, extension: &str, index: &Path) -> anyhow::Result<usize> {
    let mut names = Vec::new();
    for entry in fs::read_dir(images)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == extension) {
            names.push(path.file_name().context("a file has a name")?.to_string_lossy().into_owned());
        }
    }
    ensure!(names.len() >= 4, "{} has {} .{extension} files, not 4", images.display(), names.len());
    names.sort();
    let mut text = "ID,split,finding\n".to_owned();
    for (i, name) in names.iter().enumerate() {
        let part = ["val", "test"].get(i).unwrap_or(&"train");
        text += &format!("{name},{part},{}\n", i % 2);
    }
    fs::write(index, text)?;
    Ok(names.len())
}

/// The dataset behind the plugin boundary.
struct Source(ForeignDataset);

impl Source {
    fn new(registry: &Registry, config: &serde_json::Value) -> Result<Self> {
        Ok(Self(registry.dataset("csv-images", config)?))
    }
}

impl ImageSource for Source {
    fn info(&self) -> Result<DatasetInfo> {
        Ok(self.0.describe()?)
    }

    fn records(&self) -> Result<Vec<Record>> {
        Ok(self.0.records()?)
    }

    fn stamp(&self) -> Result<String> {
        Ok(self.0.stamp()?)
    }

    fn pixels(&self, index: usize) -> Result<Pixels> {
        Ok(self.0.pixels(index)?)
    }

    fn mask(&self, index: usize, label: usize) -> Result<Option<Pixels>> {
        Ok(self.0.mask(index, label)?)
    }
}

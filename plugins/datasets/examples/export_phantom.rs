//! Writes a phantom set as PNG files with the study's three index files, as `csv-images` reads
//! them: `cargo run -p nashost-datasets --example export_phantom -- neck FOLDER`.

use std::{env, fs, path::Path};

use nashost_datasets::phantom::{Phantom, PhantomConfig};
use nashost_plugin_api::{
    component::{Component as _, PluginResult},
    dataset::{Dataset as _, Part},
};

fn main() -> PluginResult<()> {
    let mut arguments = env::args().skip(1);
    let (Some(region), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: export_phantom neck|elbow FOLDER".into());
    };
    let region = serde_json::from_value(region.into())?;
    let phantom = Phantom::create(PhantomConfig { region, ..PhantomConfig::default() })?;
    export(&phantom, Path::new(&folder))
}

fn export(phantom: &Phantom, folder: &Path) -> PluginResult<()> {
    fs::create_dir_all(folder)?;
    let mut header = vec!["Num".to_owned(), "ID".to_owned()];
    header.extend(phantom.describe()?.labels);
    let records = phantom.records()?;
    for (part, name) in [(Part::Train, "train"), (Part::Val, "val"), (Part::Test, "test")] {
        let mut index = csv::Writer::from_path(folder.join(format!("{name}.csv")))?;
        index.write_record(&header)?;
        let rows = records.iter().enumerate().filter(|(_, record)| record.split == Some(part));
        for (number, (i, record)) in rows.enumerate() {
            let mut row = vec![(number + 1).to_string(), record.id.clone()];
            row.extend(record.targets.iter().map(|target| target.code().to_string()));
            index.write_record(&row)?;
            let pixels = phantom.pixels(i)?;
            let (width, height) = (u32::try_from(pixels.width)?, u32::try_from(pixels.height)?);
            let path = folder.join(format!("{}.png", record.id));
            image::save_buffer(path, &pixels.data, width, height, image::ColorType::L8)?;
        }
        index.flush()?;
    }
    Ok(())
}

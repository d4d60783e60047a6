//! Times DICOM files from the disk to shades of 224 × 224 pixels, in one thread, as
//! `xtask/bench/dicom_prep.py` does with pydicom and Pillow:
//! `cargo run -p nashost-dicom --example bench_dicom -- FOLDER REPEATS`.
//!
//! `FOLDER` is what the script writes. One line per file: name, and the mean milliseconds on the processor
//! for the shades alone and with resizing.

use std::{env, fs, io::Write as _, path::Path};

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use nashost_dicom::{Dicom, DicomConfig, Join};
use nashost_plugin_api::{
    component::{Component as _, PluginResult},
    dataset::{Dataset as _, Pixels},
};

const SMALL: u32 = 224;

fn main() -> PluginResult<()> {
    let mut arguments = env::args().skip(1);
    let (Some(folder), Some(repeats)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bench_dicom FOLDER REPEATS".into());
    };
    let repeats: usize = repeats.parse()?;
    let config = DicomConfig {
        join: Join::File,
        unmatched: nashost_dicom::Unmatched::Skip,
        pseudonymise: false,
        ..DicomConfig::new(&folder, "labels.csv")
    };
    let dataset = Dicom::create(config)?;
    let table = fs::read_to_string(Path::new(&folder).join("labels.csv"))?;
    let mut out = std::io::stdout();
    for (i, row) in table.lines().skip(1).enumerate() {
        let mut sums = [0.0; 2];
        for _ in 0..repeats {
            let start = milliseconds()?;
            let pixels = dataset.pixels(i)?;
            let decoded = milliseconds()?;
            resize(&pixels)?;
            let resized = milliseconds()?;
            sums = [sums[0] + decoded - start, sums[1] + resized - start];
        }
        let name = row.split(',').next().unwrap_or(row);
        let [decoded, resized] = sums.map(|sum| sum / repeats as f64);
        writeln!(out, "{name} {decoded:.2} {resized:.2}")?;
    }
    Ok(())
}

fn resize(pixels: &Pixels) -> PluginResult<Image<'static>> {
    let (width, height) = (u32::try_from(pixels.width)?, u32::try_from(pixels.height)?);
    let source = ImageRef::new(width, height, &pixels.data, PixelType::U16)?;
    let mut small = Image::new(SMALL, SMALL, PixelType::U16);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut small, &options)?;
    Ok(small)
}

/// Time of this thread on the processor. It moves in ticks, so that only sums over many images mean
/// something.
fn milliseconds() -> PluginResult<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e6)
}

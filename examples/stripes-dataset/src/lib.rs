//! A whole dataset plugin. A real one would read files; this one draws its images.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    dataset::{Dataset, DatasetInfo, PixelType, Pixels, Record, Target},
    seed::derive_seed,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What users may set.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Number of images.
    images: usize,
    /// Rows and columns.
    side: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { images: 120, side: 32 }
    }
}

/// Stripes: label `horizontal`, label `vertical`, or both, one patient for every two images.
pub struct Stripes(Config);

impl Stripes {
    fn findings(index: usize) -> [bool; 2] {
        [!index.is_multiple_of(3), index % 3 != 1]
    }
}

impl Component for Stripes {
    const ID: &'static str = "stripes";
    const DESCRIPTION: &'static str = "Images with horizontal or vertical stripes, or both.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        if config.images < 30 || config.side < 8 {
            return Err("stripes need at least 30 images of 8×8".into());
        }
        Ok(Self(config))
    }
}

impl Dataset for Stripes {
    fn describe(&self) -> PluginResult<DatasetInfo> {
        Ok(DatasetInfo {
            labels: vec!["horizontal".to_owned(), "vertical".to_owned()],
            normal_label: None,
            channels: 1,
            source: "drawn by examples/stripes-dataset".to_owned(),
        })
    }

    fn records(&self) -> PluginResult<Vec<Record>> {
        let record = |index: usize| Record {
            id: format!("stripes-{index:04}"),
            group: format!("patient-{:04}", index / 2),
            split: None,
            targets: Self::findings(index)
                .map(|found| if found { Target::Positive } else { Target::Negative })
                .to_vec(),
            attributes: Default::default(),
        };
        Ok((0..self.0.images).map(record).collect())
    }

    fn stamp(&self) -> PluginResult<String> {
        Ok(format!("1/{}/{}", self.0.images, self.0.side))
    }

    fn pixels(&self, index: usize) -> PluginResult<Pixels> {
        let [horizontal, vertical] = Self::findings(index);
        let noise = derive_seed(index as u64, "noise").to_le_bytes();
        let side = self.0.side;
        let value = |at: usize| {
            let (row, column) = (at / side, at % side);
            let stripe = |on: bool, line: usize| if on && (line / 2).is_multiple_of(2) { 80 } else { 0 };
            stripe(horizontal, row) + stripe(vertical, column) + noise[at % 8] / 4
        };
        let data = (0..side * side).map(value).collect();
        Ok(Pixels { height: side, width: side, channels: 1, dtype: PixelType::U8, data })
    }
}

nashost_plugin_api::register!(dataset: Stripes);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));

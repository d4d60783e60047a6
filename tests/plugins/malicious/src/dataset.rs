//! Twenty small images, with deeds.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    dataset::{Dataset, DatasetInfo, PixelType, Pixels, Record, Target},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::deeds::Deed;

/// What is done with the first image.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// In this order. The log tells what came of each.
    deeds: Vec<Deed>,
    /// Port of this machine that somebody listens at.
    port: u16,
}

/// The dataset.
pub struct Malicious(Config);

impl Component for Malicious {
    const ID: &'static str = "malicious";
    const DESCRIPTION: &'static str = "Small images, and deeds on request.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        Ok(Self(config))
    }
}

impl Dataset for Malicious {
    fn describe(&self) -> PluginResult<DatasetInfo> {
        Ok(DatasetInfo {
            labels: vec!["bright".to_owned()],
            normal_label: None,
            channels: 1,
            source: String::new(),
        })
    }

    fn records(&self) -> PluginResult<Vec<Record>> {
        let record = |n: usize| Record {
            id: format!("image-{n}"),
            group: format!("patient-{n}"),
            split: None,
            targets: vec![if n.is_multiple_of(2) { Target::Positive } else { Target::Negative }],
            attributes: Default::default(),
        };
        Ok((0..40).map(record).collect())
    }

    fn stamp(&self) -> PluginResult<String> {
        Ok("malicious".to_owned())
    }

    fn pixels(&self, index: usize) -> PluginResult<Pixels> {
        if index == 0 {
            for deed in &self.0.deeds {
                match deed.perform(self.0.port) {
                    Ok(()) => tracing::warn!("deed {deed:?}: done"),
                    Err(cause) => tracing::warn!("deed {deed:?}: stopped: {cause}"),
                }
            }
        }
        let value = |at: usize| (100 * (index % 2) + 5 * index % 90 + at) as u8;
        Ok(Pixels {
            height: 8,
            width: 8,
            channels: 1,
            dtype: PixelType::U8,
            data: (0..64).map(value).collect(),
        })
    }

    fn mask(&self, _: usize, _: usize) -> PluginResult<Option<Pixels>> {
        Ok(None)
    }
}

nashost_plugin_api::register!(dataset: Malicious);

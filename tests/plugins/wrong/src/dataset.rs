//! A dataset that can go wrong.

use nashost_plugin_api::{
    component::{Component, PluginResult},
    dataset::{Dataset, DatasetInfo, PixelType, Pixels, Record, Target},
};

use crate::{Config, never_the_same, of_this_thread};

const IMAGES: usize = 40;

/// Forty plain images.
#[derive(Debug)]
pub struct WrongDataset(Config);

impl Component for WrongDataset {
    const ID: &'static str = "wrong-dataset";
    const DESCRIPTION: &'static str = "A dataset that can go wrong.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        Ok(Self(config))
    }
}

impl Dataset for WrongDataset {
    fn describe(&self) -> PluginResult<DatasetInfo> {
        Ok(DatasetInfo {
            labels: vec!["a".to_owned(), "b".to_owned()],
            normal_label: None,
            channels: 1,
            source: String::new(),
        })
    }

    fn records(&self) -> PluginResult<Vec<Record>> {
        self.0.enter();
        let record = |index: usize| Record {
            id: format!("image-{}", if self.0.is("records") { index / 2 } else { index }),
            group: format!("patient-{}", index / 2),
            split: None,
            targets: vec![Target::Positive, Target::Negative],
            attributes: Default::default(),
        };
        Ok((0..IMAGES).map(record).collect())
    }

    fn stamp(&self) -> PluginResult<String> {
        Ok(if self.0.is("stable") { never_the_same().to_string() } else { "1".to_owned() })
    }

    fn pixels(&self, index: usize) -> PluginResult<Pixels> {
        if index >= IMAGES && !self.0.is("nonsense") {
            return Err(format!("there is no image {index}").into());
        }
        let channels = if self.0.is("pixels") { 3 } else { 1 };
        let value = if self.0.is("threads") { of_this_thread() as u8 } else { index as u8 };
        Ok(Pixels { height: 4, width: 5, channels, dtype: PixelType::U8, data: vec![value; 20 * channels] })
    }
}

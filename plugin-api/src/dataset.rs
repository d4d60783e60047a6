//! Datasets: images and labels, without torch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::component::{Component, PluginResult};

/// What is known of one label on one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The finding is absent.
    Negative,
    /// The finding is present.
    Positive,
    /// Nobody looked: the label is masked in loss and metrics.
    NotAssessed,
}

/// JSON code of [`Target::NotAssessed`].
const NOT_ASSESSED: i8 = -1;

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i8(self.code())
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = i8::deserialize(deserializer)?;
        Self::from_code(code)
            .ok_or_else(|| serde::de::Error::custom(format!("target {code} is not 0, 1 or -1")))
    }
}

impl Target {
    /// 0, 1, or −1 for not assessed.
    pub fn code(self) -> i8 {
        match self {
            Self::Negative => 0,
            Self::Positive => 1,
            Self::NotAssessed => NOT_ASSESSED,
        }
    }

    /// Reads [`Target::code`] back.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Negative),
            1 => Some(Self::Positive),
            NOT_ASSESSED => Some(Self::NotAssessed),
            _ => None,
        }
    }
}

/// The part of a split that a dataset may prescribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Weights are fitted here.
    Train,
    /// Everything is chosen here.
    Val,
    /// Touched once.
    Test,
}

/// What a dataset says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DatasetInfo {
    /// Label names, in the order of the targets.
    pub labels: Vec<String>,
    /// The label that means "no other finding", if there is one.
    pub normal_label: Option<String>,
    /// 1 or 3.
    pub channels: usize,
    /// Where the images come from and under which licence.
    pub source: String,
}

/// Everything about one image but its pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Unique in the dataset.
    pub id: String,
    /// Patient: images of one group never lie in two parts of a split.
    pub group: String,
    /// Prescribed part, if the dataset brings a split.
    pub split: Option<Part>,
    /// One per label.
    pub targets: Vec<Target>,
    /// Further facts for subgroup reports (scanner, view, sex, age band, …).
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub attributes: std::collections::BTreeMap<String, String>,
}

/// Pixel type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PixelType {
    /// 0…255.
    U8,
    /// 0…65535, native byte order.
    U16,
}

impl PixelType {
    /// Bytes of one value.
    pub fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
        }
    }

    /// The value that stands for 1.0.
    pub fn max(self) -> f64 {
        match self {
            Self::U8 => 255.0,
            Self::U16 => 65535.0,
        }
    }
}

/// A decoded image, rows × columns × channels, at its own size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 or 3.
    pub channels: usize,
    /// Type of `data`.
    pub dtype: PixelType,
    /// `height · width · channels · dtype.size()` bytes.
    pub data: Vec<u8>,
}

/// Images with labels. Every method may be called from any thread at any time.
///
/// ```
/// use nashost_plugin_api::{
///     component::{Component, PluginResult},
///     dataset::{Dataset, DatasetInfo, PixelType, Pixels, Record, Target},
///     testing,
/// };
///
/// #[derive(Default, serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields, default)]
/// struct Config {}
///
/// /// Forty squares of one shade, bright or dark.
/// struct Shades;
///
/// impl Component for Shades {
///     const ID: &'static str = "shades";
///     const DESCRIPTION: &'static str = "Bright and dark squares.";
///     type Config = Config;
///
///     fn create(_: Config) -> PluginResult<Self> {
///         Ok(Self)
///     }
/// }
///
/// impl Dataset for Shades {
///     fn describe(&self) -> PluginResult<DatasetInfo> {
///         let (labels, source) = (vec!["bright".to_owned()], "drawn".to_owned());
///         Ok(DatasetInfo { labels, normal_label: None, channels: 1, source })
///     }
///
///     fn records(&self) -> PluginResult<Vec<Record>> {
///         let record = |index: usize| Record {
///             id: format!("image-{index}"),
///             group: format!("patient-{}", index / 2),
///             split: None,
///             targets: vec![if index % 3 == 0 { Target::Positive } else { Target::Negative }],
///             attributes: Default::default(),
///         };
///         Ok((0..40).map(record).collect())
///     }
///
///     fn stamp(&self) -> PluginResult<String> {
///         Ok("1".to_owned())
///     }
///
///     fn pixels(&self, index: usize) -> PluginResult<Pixels> {
///         if index >= 40 {
///             return Err(format!("there is no image {index}").into());
///         }
///         let shade = index as u8 + if index % 3 == 0 { 200 } else { 50 };
///         Ok(Pixels { height: 8, width: 8, channels: 1, dtype: PixelType::U8, data: vec![shade; 64] })
///     }
/// }
///
/// testing::dataset::<Shades>(serde_json::json!({})).assert_passed();
/// ```
pub trait Dataset: Component + Send + Sync {
    /// Describes the dataset.
    ///
    /// # Errors
    ///
    /// Fails if the description cannot be read.
    fn describe(&self) -> PluginResult<DatasetInfo>;

    /// Lists all images, in a fixed order, without decoding them.
    ///
    /// # Errors
    ///
    /// Fails with every problem of the index at once, one per line.
    fn records(&self) -> PluginResult<Vec<Record>>;

    /// Returns a text that changes whenever an image may have changed (names, sizes and times of
    /// the files, or the parameters of a generator), so that the host may reuse what it decoded
    /// before. Cheap: nothing is decoded. It need not cover the plugin's code: the host decodes anew
    /// with each other file of the plugin.
    ///
    /// # Errors
    ///
    /// Fails if the source cannot be looked at.
    fn stamp(&self) -> PluginResult<String>;

    /// Decodes image `index` of [`Dataset::records`].
    ///
    /// # Errors
    ///
    /// Fails if the image is missing, damaged or of an unsupported kind.
    fn pixels(&self, index: usize) -> PluginResult<Pixels>;

    /// Returns where finding `label` is on image `index` (same height and width as the pixels, one
    /// channel, non-zero = lesion), if the dataset knows.
    ///
    /// # Errors
    ///
    /// Fails if the mask exists but cannot be read.
    fn mask(&self, index: usize, label: usize) -> PluginResult<Option<Pixels>> {
        let _ = (index, label);
        Ok(None)
    }
}

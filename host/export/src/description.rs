//! What a reader of an exported network must know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ExportError;

/// Values that an exported model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// Pixels from 0 to 1, as decoded: the model normalises them, and repeats grey over the channels of
    /// the network.
    Pixels,
    /// Values that the caller has normalised, for every channel of the network.
    Normalised,
}

/// Mean and standard deviation of the training images, on pixels from 0 to 1, one per stored channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Normalisation {
    /// Means.
    pub mean: Vec<f64>,
    /// Standard deviations.
    pub std: Vec<f64>,
}

/// A trained network in words and numbers. ONNX files carry it as metadata (`nashost.<key>`; what is no text is
/// JSON), the other formats as `model.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Version of this format; 1.
    pub schema_version: u32,
    /// Version of nashost that exported.
    pub nashost: String,
    /// The run.
    pub run_id: String,
    /// The trial in the run, `T0001`.
    pub trial: String,
    /// Name of the method in result tables.
    pub method: String,
    /// Hash of the graph.
    pub architecture: String,
    /// Epoch of the weights, from 1.
    pub epoch: u32,
    /// SHA-256 of the checkpoint.
    pub checkpoint_sha256: String,
    /// Labels, in the order of the scores.
    pub labels: Vec<String>,
    /// Threshold of each label, from the validation part or 0.5: a score above it is a finding.
    pub thresholds: Vec<f64>,
    /// What the model takes.
    pub input: Input,
    /// Channels, rows, columns of what it takes.
    pub input_shape: [usize; 3],
    /// How images are normalised: by the model if `input` is `pixels`, by the caller otherwise.
    pub normalisation: Normalisation,
}

impl Normalisation {
    /// What to divide by: the deviations, and 1 where images have none.
    pub fn divisors(&self) -> Vec<f64> {
        self.std.iter().map(|&std| if std > 0.0 { std } else { 1.0 }).collect()
    }
}

impl Description {
    /// Version of the format that this crate writes.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Channels, rows, columns that a model takes whose network takes `network`: of pixels, only the
    /// channels that the images have.
    ///
    /// # Errors
    ///
    /// Fails if the normalisation fits neither grey nor the channels of the network.
    pub fn input_shape_of(&self, network: [usize; 3]) -> Result<[usize; 3], ExportError> {
        let [channels, height, width] = network;
        let (mean, std) = (self.normalisation.mean.len(), self.normalisation.std.len());
        if mean != std || !(mean == 1 || mean == channels) {
            return Err(ExportError::Normalisation { mean, std, channels });
        }
        Ok(match self.input {
            Input::Pixels => [mean, height, width],
            Input::Normalised => network,
        })
    }

    /// Keys and values for formats that hold text alone; values that are no text are JSON.
    pub(crate) fn entries(&self) -> Vec<(String, String)> {
        let Ok(Value::Object(map)) = serde_json::to_value(self) else {
            unreachable!("a description is plain data");
        };
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        map.into_iter().map(|(key, value)| (format!("nashost.{key}"), text(value))).collect()
    }
}

//! What a search remembers, and how it is written down.

use std::collections::HashMap;

use nashost_plugin_torch::to_safetensors;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{
    roles::RolePlan,
    types::{Cost, Record, SearchError},
};
use crate::{
    config::SearchConfig,
    estimator::{Memory, Residuals, Sampled},
    space::Tables,
};

/// Metadata key of everything that is no tensor.
const KEY: &str = "search";

/// What the search is made for: a checkpoint of another one is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) config: SearchConfig,
    pub(super) images: [usize; 3],
    pub(super) labels: usize,
    pub(super) seed: u64,
}

/// Where a search is, apart from tensors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) epoch: usize,
    /// Steps of sampling made in this epoch; `None` once they are over.
    pub(super) sampling: Option<usize>,
    pub(super) done: usize,
    pub(super) alphas: Tables,
    /// Accumulated z-scores of the official estimator.
    pub(super) accumulated: Tables,
    pub(super) memory: Memory,
    pub(super) residuals: Residuals,
    /// Estimates of this epoch.
    pub(super) sampled: Sampled,
    /// Sum of the walks of a group that is not complete.
    pub(super) partial: Vec<f64>,
    /// Values of the full and of the empty supernet in this epoch.
    pub(super) full: Option<f64>,
    pub(super) empty: Option<f64>,
    pub(super) history: Vec<Record>,
    pub(super) losses: Vec<f64>,
    pub(super) cost: Cost,
    pub(super) plan: Option<RolePlan>,
}

#[derive(Serialize)]
struct Written<'a> {
    setup: &'a Setup,
    state: &'a State,
}

#[derive(Deserialize)]
struct Read {
    setup: Setup,
    state: State,
}

/// Returns a safetensors file of tensors and state.
pub(super) fn write(
    setup: &Setup,
    state: &State,
    tensors: &[(String, Tensor)],
) -> Result<Vec<u8>, SearchError> {
    let refuse = |error: &dyn std::fmt::Display| SearchError::Checkpoint(error.to_string());
    let text = serde_json::to_string(&Written { setup, state }).map_err(|error| refuse(&error))?;
    let named = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    to_safetensors(named, HashMap::from([(KEY.to_owned(), text)])).map_err(|error| refuse(&error))
}

/// Reads what [`write`] wrote for the same setup.
pub(super) fn read(setup: &Setup, bytes: &[u8]) -> Result<(State, HashMap<String, Tensor>), SearchError> {
    let refuse = |why: &str| SearchError::Checkpoint(why.to_owned());
    let failed = |error: safetensors::SafeTensorError| SearchError::Checkpoint(error.to_string());
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(failed)?;
    let text = metadata.metadata().as_ref().and_then(|all| all.get(KEY)).ok_or(refuse("it has no state"))?;
    let read: Read = serde_json::from_str(text).map_err(|error| refuse(&error.to_string()))?;
    if read.setup != *setup {
        return Err(refuse("it was made with other settings, images or another seed"));
    }
    let file = SafeTensors::deserialize(bytes).map_err(failed)?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        if view.dtype() != safetensors::Dtype::F32 {
            return Err(refuse(&format!("`{name}` is not fp32")));
        }
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        let tensor = Tensor::from_data_size(view.data(), &shape, Kind::Float);
        tensors.insert(name, tensor);
    }
    Ok((read.state, tensors))
}

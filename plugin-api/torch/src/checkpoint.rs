//! Weights in safetensors files.

use std::{
    collections::{BTreeMap, HashMap},
    fs::Permissions,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use tch::{Device, Kind, Tensor};

use crate::{CheckpointProblem, Network, Parameter, TorchError, Weights, channels_last};

impl Weights {
    /// Writes [`Weights::to_safetensors`]. The file appears complete or not at all.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written or the weights are not `network`'s.
    pub fn save(&self, network: &Network, path: &Path) -> Result<(), TorchError> {
        let data = self.to_safetensors(network)?;
        write_atomically(path, &data).map_err(|source| TorchError::Io { path: path.to_owned(), source })
    }

    /// Returns a safetensors file of the tensors under their PyTorch names, contiguous and in their
    /// kinds. Equal weights make equal files.
    ///
    /// # Errors
    ///
    /// Fails if the weights are not `network`'s or their device fails.
    pub fn to_safetensors(&self, network: &Network) -> Result<Vec<u8>, TorchError> {
        let (expected, found) = (network.parameters().len(), self.tensors().len());
        if found != expected {
            return Err(TorchError::WeightCount { expected, found });
        }
        let names = network.parameters().iter().map(|parameter| parameter.name.as_str());
        // One key only: a map has no order.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        to_safetensors(names.zip(self.tensors()), metadata)
    }

    /// Reads what [`Weights::save`] wrote, or any file with the same names and shapes, as fp32 on
    /// the CPU.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or if a tensor is wrong, missing or unexpected; the error
    /// lists all of them.
    pub fn load(network: &Network, path: &Path) -> Result<Self, TorchError> {
        let data = read(path)?;
        let file = parse(path, &data)?;
        let found = file.iter().map(|(name, view)| (name.to_owned(), view));
        let mut file = Checkpoint::new(found);
        let take = |parameter| file.take(parameter);
        let tensors: Vec<_> = network.parameters().iter().map(take).collect();
        file.finish(path, tensors)
    }

    /// Reads a published checkpoint, as fp32 on the CPU. The classifier (the last Gemm) is drawn
    /// afresh from `seed`; everything else must match.
    ///
    /// `names` maps tensor names of the file to those of the network where they differ; `None`
    /// drops a tensor. Batch counters may be missing, as they are in old files; they start at 0.
    ///
    /// # Errors
    ///
    /// Fails as [`Weights::load`] does.
    pub fn load_pretrained(
        network: &Network,
        path: &Path,
        names: &BTreeMap<String, Option<String>>,
        seed: u64,
    ) -> Result<Self, TorchError> {
        let data = read(path)?;
        let file = parse(path, &data)?;
        let classifier = network.classifier();
        let drawn =
            |name: &str| network.parameters()[classifier.clone()].iter().any(|fresh| fresh.name == name);
        let found = file.iter().filter_map(|(name, view)| {
            let name = names.get(name).map_or(Some(name), Option::as_deref)?;
            (!drawn(name)).then(|| (name.to_owned(), view))
        });
        let mut file = Checkpoint::new(found);
        let mut tensors = Vec::with_capacity(network.parameters().len());
        for (index, parameter) in network.parameters().iter().enumerate() {
            let counter = parameter.name.ends_with(".num_batches_tracked");
            tensors.push(if classifier.contains(&index) || counter && !file.has(parameter) {
                Some(network.draw(parameter, seed))
            } else {
                file.take(parameter)
            });
        }
        file.finish(path, tensors)
    }
}

/// Returns a safetensors file of named tensors, contiguous and in their kinds (integers as 64 bits),
/// with `metadata` in its header.
///
/// # Errors
///
/// Fails if a name comes twice or the device of a tensor fails.
pub fn to_safetensors<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>, TorchError> {
    let mut buffers = Vec::new();
    for (name, tensor) in tensors {
        let shape = tensor.size().iter().map(|&size| size as usize).collect::<Vec<_>>();
        let (dtype, buffer) = bytes(tensor)?;
        buffers.push((name, dtype, shape, buffer));
    }
    let mut views = Vec::with_capacity(buffers.len());
    for (name, dtype, shape, buffer) in &buffers {
        views.push((name, TensorView::new(*dtype, shape.clone(), buffer).map_err(TorchError::Encode)?));
    }
    safetensors::serialize(views, Some(metadata)).map_err(TorchError::Encode)
}

/// The tensors of a file that no parameter has taken yet, and what was wrong so far.
struct Checkpoint<'data> {
    rest: BTreeMap<String, TensorView<'data>>,
    problems: Vec<CheckpointProblem>,
}

impl<'data> Checkpoint<'data> {
    fn new(found: impl Iterator<Item = (String, TensorView<'data>)>) -> Self {
        let mut file = Self { rest: BTreeMap::new(), problems: Vec::new() };
        for (name, view) in found {
            if file.rest.insert(name.clone(), view).is_some() {
                file.problems.push(CheckpointProblem::Twice { name });
            }
        }
        file
    }

    fn has(&self, parameter: &Parameter) -> bool {
        self.rest.contains_key(&parameter.name)
    }

    /// Returns the tensor of `parameter`, or notes why there is none.
    fn take(&mut self, parameter: &Parameter) -> Option<Tensor> {
        let name = parameter.name.clone();
        let Some(view) = self.rest.remove(&name) else {
            self.problems.push(CheckpointProblem::Missing { name });
            return None;
        };
        let counts = name.ends_with(".num_batches_tracked");
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        if shape != parameter.shape {
            let found = view.shape().to_vec();
            self.problems.push(CheckpointProblem::Shape { name, found, expected: parameter.shape.clone() });
            return None;
        }
        let (kind, expected) = match (view.dtype(), counts) {
            (Dtype::I64, true) => (Some(Kind::Int64), "I64"),
            (_, true) => (None, "I64"),
            (Dtype::F32, false) => (Some(Kind::Float), ""),
            (Dtype::F64, false) => (Some(Kind::Double), ""),
            (Dtype::F16, false) => (Some(Kind::Half), ""),
            (Dtype::BF16, false) => (Some(Kind::BFloat16), ""),
            (_, false) => (None, "F32, F64, F16 or BF16"),
        };
        let Some(kind) = kind else {
            let found = format!("{:?}", view.dtype());
            self.problems.push(CheckpointProblem::Kind { name, found, expected });
            return None;
        };
        let tensor = Tensor::from_data_size(view.data(), &shape, kind);
        Some(channels_last(&tensor.to_kind(if counts { Kind::Int64 } else { Kind::Float })))
    }

    fn finish(mut self, path: &Path, tensors: Vec<Option<Tensor>>) -> Result<Weights, TorchError> {
        let unexpected = self.rest.into_keys().map(|name| CheckpointProblem::Unexpected { name });
        self.problems.extend(unexpected);
        match tensors.into_iter().collect::<Option<Vec<_>>>() {
            Some(tensors) if self.problems.is_empty() => Ok(Weights::new(tensors)),
            _ => Err(TorchError::Checkpoint { path: path.to_owned(), problems: self.problems }),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TorchError> {
    std::fs::read(path).map_err(|source| TorchError::Io { path: path.to_owned(), source })
}

fn parse<'data>(path: &Path, data: &'data [u8]) -> Result<SafeTensors<'data>, TorchError> {
    SafeTensors::deserialize(data).map_err(|source| TorchError::Format { path: path.to_owned(), source })
}

/// Returns the values in row-major order, in the file format's type.
fn bytes(tensor: &Tensor) -> Result<(Dtype, Vec<u8>), TorchError> {
    let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
    let (kind, dtype) = match tensor.kind() {
        Kind::Int64 => (Kind::Int64, Dtype::I64),
        Kind::Half => (Kind::Half, Dtype::F16),
        Kind::BFloat16 => (Kind::BFloat16, Dtype::BF16),
        Kind::Double => (Kind::Double, Dtype::F64),
        _ => (Kind::Float, Dtype::F32),
    };
    let numel = tensor.numel();
    let mut buffer = vec![0; numel * kind.elt_size_in_bytes()];
    tensor.f_to_kind(kind)?.f_copy_data_u8(&mut buffer, numel)?;
    Ok((dtype, buffer))
}

fn write_atomically(path: &Path, data: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Unlike other temporary files, this one is meant to be read by others, as the umask allows.
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
    file.write_all(data)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The new name must survive a power cut as well.
    std::fs::File::open(folder)?.sync_all()
}

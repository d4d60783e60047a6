//! Exported files.

use std::{fs, path::Path};

use nashost_export::{Description, Input, to_onnx};
use nashost_plugin_torch::{Network, Weights};
use tempfile::TempDir;

use super::{
    torchscript,
    trained::{TrainedModel, not_exported},
};
use crate::{
    error::{Error, Exit, Result},
    run::{atomic, io_error},
};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One file for ONNX runtimes.
    Onnx,
    /// One file for libtorch and PyTorch, and `FILE.json` that describes it.
    Torchscript,
    /// A folder: weights with PyTorch's names, the graph, and `model.json` that describes them.
    Safetensors,
}

/// Writes `model` to `to`, which appears complete or not at all.
///
/// # Errors
///
/// Fails if the network cannot be exported (E0923), if `to` exists and `replace` does not allow to
/// replace it (E0210), or if it cannot be written.
pub(crate) fn write(
    model: &TrainedModel,
    format: Format,
    input: Input,
    to: &Path,
    replace: bool,
) -> Result<Description> {
    // A folder is never replaced: what else lies in it would go, too.
    if to.exists() && !(replace && to.is_file() && format != Format::Safetensors) {
        let message = format!("{} exists", to.display());
        return Err(Error::new(Exit::Usage, "E0210", message)
            .help("name another place, or replace a file with `-y`; folders are never replaced"));
    }
    let input = if format == Format::Safetensors { Input::Normalised } else { input };
    let description = model.description(input)?;
    match format {
        Format::Onnx => {
            let bytes =
                to_onnx(&model.graph, &model.weights, &description).map_err(|error| not_exported(&error))?;
            atomic::write(to, &bytes)?;
        }
        Format::Torchscript => {
            let network = Network::new(model.graph.clone()).map_err(|error| not_exported(&error))?;
            let weights = Weights::load(&network, &model.path).map_err(|error| not_exported(&error))?;
            let module = torchscript::trace(&network, &weights, &description)?;
            let folder =
                TempDir::new().map_err(|cause| io_error("write to", &std::env::temp_dir(), &cause))?;
            let file = folder.path().join("model.pt");
            module.save(&file).map_err(|error| not_exported(&error))?;
            let bytes = fs::read(&file).map_err(|cause| io_error("read", &file, &cause))?;
            let mut beside = to.as_os_str().to_owned();
            beside.push(".json");
            // First, so that a model that is there is described.
            atomic::write_json(Path::new(&beside), &description)?;
            atomic::write(to, &bytes)?;
        }
        Format::Safetensors => folder(model, &description, to)?,
    }
    Ok(description)
}

fn folder(model: &TrainedModel, description: &Description, to: &Path) -> Result<()> {
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let whole = tempfile::Builder::new().prefix(".nashost-").suffix(".tmp").tempdir_in(parent);
    let whole = whole.map_err(|cause| io_error("write to", parent, &cause))?;
    atomic::write(&whole.path().join("model.safetensors"), &model.weights)?;
    atomic::write(&whole.path().join("graph.json"), format!("{}\n", model.graph.to_json()).as_bytes())?;
    atomic::write_json(&whole.path().join("model.json"), description)?;
    fs::rename(whole.path(), to).map_err(|cause| io_error("write", to, &cause))
}

//! A whole model in ONNX.

use nashost_plugin_api::graph::{Graph, Shape, Source};

use crate::{
    Description, ExportError, Input, Normalisation,
    node::{Writer, value},
    proto::{Attribute, Entry, Model, OperatorSet, Tensor, ValueInfo},
    weights,
};

/// Name of what a model takes: floats, batch × channels × rows × columns.
pub const IMAGES: &str = "images";
/// Name of the network's own answer: floats, batch × labels.
pub const LOGITS: &str = "logits";
/// Name of the probabilities, the sigmoid of [`LOGITS`]: floats, batch × labels.
pub const SCORES: &str = "scores";
/// Version of ONNX's operators: the first with Gelu.
pub const OPSET: i64 = 20;
/// Version of ONNX's format, the one that came with [`OPSET`].
pub const IR_VERSION: i64 = 9;

/// The limit of protocol buffers.
const MAX_BYTES: usize = i32::MAX as usize;

/// Returns an ONNX file of `graph` with the weights of a safetensors file, for evaluation and for batches
/// of any size. It takes [`IMAGES`] and answers [`LOGITS`] and [`SCORES`]; `description` is its metadata.
///
/// # Errors
///
/// Fails if the graph is not valid, if weights or description do not fit it, or if the file would be
/// beyond ONNX's limit.
pub fn to_onnx(graph: &Graph, weights: &[u8], description: &Description) -> Result<Vec<u8>, ExportError> {
    let bytes = model(graph, weights, description)?.fields().into_bytes();
    if bytes.len() > MAX_BYTES { Err(ExportError::TooLarge(bytes.len())) } else { Ok(bytes) }
}

/// The model before it is encoded.
pub(crate) fn model(graph: &Graph, weights: &[u8], description: &Description) -> Result<Model, ExportError> {
    let resolved = graph.resolve()?;
    let labels = description.labels.len();
    let answer = resolved.shapes[resolved.output];
    if answer != Shape::Flat(labels) {
        return Err(ExportError::Output { found: answer.to_string(), labels });
    }
    let takes = description.input_shape_of(graph.input)?;
    if takes != description.input_shape {
        return Err(ExportError::Described { described: description.input_shape, actual: takes });
    }
    let mut writer = Writer { nodes: Vec::new(), constants: weights::read(graph, &resolved, weights)? };
    let image = match description.input {
        Input::Normalised => IMAGES.to_owned(),
        Input::Pixels => normalise(&mut writer, &description.normalisation, graph.input[0]),
    };
    let reaches_output = resolved.reaches_output();
    for (index, node) in graph.nodes.iter().enumerate().filter(|(index, _)| reaches_output[*index]) {
        let sources = &resolved.inputs[index];
        let name = |source: &Source| match source {
            Source::Image => image.clone(),
            Source::Node(node) => value(&graph.nodes[*node].name),
        };
        let inputs: Vec<String> = sources.iter().map(name).collect();
        writer.node(node, &inputs, (resolved.shape(sources[0]), resolved.shapes[index]));
    }
    let answer = value(&graph.output);
    writer.add("Identity", std::slice::from_ref(&answer), LOGITS, Vec::new());
    writer.add("Sigmoid", &[answer], SCORES, Vec::new());
    let sizes = takes.map(|size| size as i64);
    let outputs = [LOGITS, SCORES].map(|name| ValueInfo::batch(name, &[labels as i64]));
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "nashost".to_owned(),
        producer_version: description.nashost.clone(),
        graph: crate::proto::Graph {
            node: writer.nodes,
            name: format!("{} of run {}", description.trial, description.run_id),
            initializer: writer.constants,
            input: vec![ValueInfo::batch(IMAGES, &sizes)],
            output: outputs.to_vec(),
        },
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
        metadata_props: description.entries().into_iter().map(|(key, value)| Entry { key, value }).collect(),
    };
    Ok(model)
}

/// Adds `(pixel − mean) / deviation`, and the repetition of grey; returns the name of the result.
fn normalise(writer: &mut Writer, normalisation: &Normalisation, channels: usize) -> String {
    let stored = normalisation.mean.len();
    let mut x = IMAGES.to_owned();
    let constants = [("Sub", "mean", &normalisation.mean), ("Div", "deviation", &normalisation.divisors())];
    for (op, what, values) in constants {
        let name = format!("{IMAGES}.{what}");
        let dims = vec![stored as i64, 1, 1];
        writer.constants.push(Tensor::floats(name.clone(), dims, values.iter().map(|&value| value as f32)));
        let output = format!("{IMAGES}.{}", op.to_lowercase());
        writer.add(op, &[x, name], &output, Vec::new());
        x = output;
    }
    if stored < channels {
        let output = format!("{IMAGES}.repeated");
        writer.add("Concat", &vec![x; channels], &output, vec![Attribute::int("axis", 1)]);
        x = output;
    }
    x
}

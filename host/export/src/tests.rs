//! What stands in exported models.

use std::collections::{BTreeMap, HashMap};

use nashost_plugin_api::graph::{Graph, GraphBuilder, INPUT, Op, Pool, Window};
use safetensors::{Dtype, tensor::TensorView};

use super::*;
use crate::proto::{Attribute, Model, Node};

/// A network with every operator.
fn everything() -> Graph {
    let mut g = GraphBuilder::new([3, 9, 9]);
    let x = g.conv("stem", INPUT, 4, Window::square(3, 1), 1, true);
    let x = g.batch_norm("bn", &x, 1e-3);
    let mut x = g.relu("relu", &x);
    for (name, op) in [
        ("sigmoid", Op::Sigmoid),
        ("hard_sigmoid", Op::HardSigmoid),
        ("hard_swish", Op::HardSwish),
        ("swish", Op::Swish),
        ("clip", Op::Clip { min: 0.0, max: 6.0 }),
        ("gelu", Op::Gelu),
        ("tanh", Op::Tanh),
        ("drop_path", Op::DropPath { ratio: 0.2 }),
        ("identity", Op::Identity),
    ] {
        x = g.node(name, op, &[&x]);
    }
    let grouped = g.conv("grouped", &x, 4, Window::square(3, 1), 4, false);
    let x = g.node("sum", Op::Add { residual: true }, &[&grouped, &x, &x]);
    let window = Window::square(2, 2).pads(1);
    let max = g.node("max", Op::MaxPool(Pool { window, ceil_mode: true, count_include_pad: false }), &[&x]);
    let mean =
        g.node("mean", Op::AveragePool(Pool { window, ceil_mode: true, count_include_pad: true }), &[&x]);
    let x = g.concat("concat", &[&max, &mean]);
    let aux = g.global_average_pool("aux.pool", &x);
    let aux = g.flatten("aux.flatten", &aux);
    let aux = g.gemm("aux.fc", &aux, 2, true);
    g.auxiliary(&aux, 0.4);
    let pooled = g.global_average_pool("pool", &x);
    let x = g.mul("scale", &[&x, &pooled]);
    let features = x.clone();
    let x = g.global_average_pool("last_pool", &x);
    let x = g.flatten("flatten", &x);
    let x = g.node("dropout", Op::Dropout { ratio: 0.5 }, &[&x]);
    let x = g.gemm("hidden", &x, 5, false);
    let x = g.gemm("fc", &x, 2, true);
    g.finish(&x, &features).unwrap()
}

/// A safetensors file for `graph`; `change` may alter shapes and kinds, or leave tensors out.
fn weights(graph: &Graph, change: impl Fn(&str, Vec<usize>) -> Option<(Vec<usize>, Dtype)>) -> Vec<u8> {
    let resolved = graph.resolve().unwrap();
    let mut tensors = Vec::new();
    for (node, inputs) in graph.nodes.iter().zip(&resolved.inputs) {
        for spec in node.op.parameters(resolved.shape(inputs[0])) {
            let name = format!("{}.{}", node.name, spec.suffix);
            if let Some((shape, dtype)) = change(&name, spec.shape) {
                let values = shape.iter().product::<usize>();
                let bytes: Vec<u8> = match dtype {
                    Dtype::F32 => (0..values).flat_map(|i| (i as f32 + 0.5).to_le_bytes()).collect(),
                    _ => vec![1; values * dtype.bitsize() / 8],
                };
                tensors.push((name, dtype, shape, bytes));
            }
        }
    }
    let views: Vec<_> = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()))
        .collect();
    safetensors::serialize(views, None::<HashMap<String, String>>).unwrap()
}

fn plain(name: &str, shape: Vec<usize>) -> Option<(Vec<usize>, Dtype)> {
    let counter = name.ends_with("num_batches_tracked");
    Some((shape, if counter { Dtype::I64 } else { Dtype::F32 }))
}

fn description(input: Input, mean: &[f64]) -> Description {
    Description {
        schema_version: Description::SCHEMA_VERSION,
        nashost: "1.2.3".to_owned(),
        run_id: "2026-01-01T00-00-00_x_0000".to_owned(),
        trial: "T0001".to_owned(),
        method: "m".to_owned(),
        architecture: "aa".to_owned(),
        epoch: 3,
        checkpoint_sha256: "bb".to_owned(),
        labels: vec!["bone".to_owned(), "other".to_owned()],
        thresholds: vec![0.25, 0.5],
        input,
        input_shape: if input == Input::Pixels { [mean.len(), 9, 9] } else { [3, 9, 9] },
        normalisation: Normalisation { mean: mean.to_vec(), std: vec![0.0; mean.len()] },
    }
}

fn model(input: Input, mean: &[f64]) -> Model {
    let graph = everything();
    crate::model::model(&graph, &weights(&graph, plain), &description(input, mean)).unwrap()
}

fn nodes(model: &Model) -> BTreeMap<&str, &Node> {
    let nodes = &model.graph.node;
    nodes.iter().map(|node| (node.name.as_str(), node)).collect()
}

fn attribute<'a>(node: &'a Node, name: &str) -> &'a Attribute {
    node.attribute.iter().find(|attribute| attribute.name == name).unwrap()
}

#[test]
fn a_model_says_what_it_takes_and_answers() {
    let model = model(Input::Normalised, &[0.5]);
    assert_eq!((model.ir_version, model.producer_version.as_str()), (IR_VERSION, "1.2.3"));
    assert_eq!((model.opset_import.len(), model.opset_import[0].version), (1, OPSET));
    let graph = &model.graph;
    let shape = |value: &proto::ValueInfo| {
        let tensor = &value.r#type.tensor_type;
        let dims = tensor.shape.dim.iter();
        dims.map(|dim| dim.dim_param.clone().unwrap_or_else(|| dim.dim_value.unwrap().to_string()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let named = |values: &[proto::ValueInfo]| {
        values.iter().map(|value| format!("{}: {}", value.name, shape(value))).collect::<Vec<_>>()
    };
    assert_eq!(named(&graph.input), ["images: batch 3 9 9"]);
    assert_eq!(named(&graph.output), ["logits: batch 2", "scores: batch 2"]);
    let metadata: BTreeMap<_, _> =
        model.metadata_props.iter().map(|e| (e.key.as_str(), e.value.as_str())).collect();
    assert_eq!(metadata["nashost.labels"], r#"["bone","other"]"#);
    assert_eq!(metadata["nashost.thresholds"], "[0.25,0.5]");
    assert_eq!(metadata["nashost.input"], "normalised");
    assert_eq!(metadata["nashost.normalisation"], r#"{"mean":[0.5],"std":[0.0]}"#);
    assert_eq!(metadata["nashost.run_id"], "2026-01-01T00-00-00_x_0000");
    assert_eq!(metadata["nashost.nashost"], "1.2.3");
}

#[test]
fn every_value_is_made_once_and_before_it_is_read() {
    for mean in [&[0.5][..], &[0.1, 0.2, 0.3]] {
        let model = model(Input::Pixels, mean);
        let graph = &model.graph;
        let mut known: Vec<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        known.push(IMAGES);
        for node in &graph.node {
            for input in &node.input {
                assert!(known.contains(&input.as_str()), "{}: {input}", node.name);
            }
            known.extend(node.output.iter().map(String::as_str));
        }
        let all = known.len();
        known.sort_unstable();
        known.dedup();
        assert_eq!(known.len(), all, "a name comes twice");
        assert_eq!(nodes(&model).len(), graph.node.len(), "names of nodes are unique");
        for tensor in &graph.initializer {
            assert!(graph.node.iter().any(|node| node.input.contains(&tensor.name)), "{}", tensor.name);
        }
    }
}

#[test]
fn operators_keep_their_attributes() {
    let model = model(Input::Normalised, &[0.5]);
    let nodes = nodes(&model);
    let ints = |node: &str, name: &str| attribute(nodes[node], name).ints.clone();
    assert_eq!(ints("stem", "pads"), [1; 4]);
    assert_eq!(nodes["stem"].input, ["images", "stem.weight", "stem.bias"]);
    assert_eq!(attribute(nodes["grouped"], "group").i, Some(4));
    assert_eq!(attribute(nodes["bn"], "epsilon").f, Some(1e-3));
    assert_eq!(nodes["bn"].input[1..], ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"]);
    assert_eq!(attribute(nodes["hard_sigmoid"], "alpha").f, Some(1.0 / 6.0));
    assert_eq!(nodes["clip"].input[1..], ["clip.min", "clip.max"]);
    assert_eq!(attribute(nodes["gelu"], "approximate").s.as_deref(), Some(&b"none"[..]));
    for passed in ["drop_path", "dropout", "identity"] {
        assert_eq!(nodes[passed].op_type, "Identity");
    }
    assert_eq!(nodes["sum.1"].input, ["grouped.out", "identity.out"]);
    assert_eq!(nodes["sum"].input, ["sum.1", "identity.out"]);
    assert_eq!(attribute(nodes["fc"], "transB").i, Some(1));
    assert_eq!(nodes["hidden"].input.len(), 2, "no bias");
    // 9 pixels and 1 of padding at each side: five windows of 2 fit, and a sixth would begin behind the image.
    assert_eq!(ints("max", "pads"), [1; 4]);
}

#[test]
fn windows_that_reach_beyond_the_padding_do_not_count_what_is_there() {
    let mut g = GraphBuilder::new([1, 6, 6]);
    let pool = Pool { window: Window::square(3, 2).pads(1), ceil_mode: true, count_include_pad: true };
    let counted = g.node("counted", Op::AveragePool(pool), &[INPUT]);
    let pool = Pool { count_include_pad: false, ..pool };
    let other = g.node("other", Op::AveragePool(pool), &[INPUT]);
    let both = g.concat("both", &[&counted, &other]);
    let flat = g.flatten("flat", &both);
    let fc = g.gemm("fc", &flat, 2, false);
    let graph = g.finish(&fc, &both).unwrap();
    let description = Description { input_shape: [1, 6, 6], ..description(Input::Pixels, &[0.5]) };
    let model = crate::model::model(&graph, &weights(&graph, plain), &description).unwrap();
    let nodes = nodes(&model);
    assert_eq!(nodes["counted.padded"].op_type, "Pad");
    assert_eq!(nodes["counted"].input, ["counted.padded"]);
    assert_eq!(attribute(nodes["counted"], "pads").ints, [0, 0, 1, 1]);
    assert_eq!(attribute(nodes["counted"], "count_include_pad").i, Some(0));
    assert_eq!(attribute(nodes["other"], "pads").ints, [1, 1, 2, 2]);
    assert_eq!(attribute(nodes["other"], "count_include_pad").i, Some(0));
}

#[test]
fn weights_are_carried_over_bit_by_bit_and_constant_images_are_not_divided_by_zero() {
    let model = model(Input::Pixels, &[0.25]);
    let graph = &model.graph;
    let tensor = |name: &str| graph.initializer.iter().find(|tensor| tensor.name == name).unwrap();
    assert_eq!(tensor("fc.bias").raw_data, [0.5_f32, 1.5].map(f32::to_le_bytes).concat());
    assert_eq!(tensor("grouped.weight").dims, [4, 1, 3, 3]);
    assert!(!graph.initializer.iter().any(|tensor| tensor.name.ends_with("num_batches_tracked")));
    assert_eq!(tensor("images.mean").raw_data, 0.25_f32.to_le_bytes());
    assert_eq!(tensor("images.deviation").raw_data, 1_f32.to_le_bytes());
    let nodes = nodes(&model);
    assert_eq!(nodes["images.repeated"].input, ["images.div"; 3]);
    assert_eq!(nodes["stem"].input[0], "images.repeated");
}

#[test]
fn weights_that_do_not_fit_are_all_named() {
    let graph = everything();
    let file = weights(&graph, |name, shape| match name {
        "fc.bias" => None,
        "fc.weight" => Some((vec![5, 2], Dtype::F32)),
        "bn.bias" => Some((shape, Dtype::F16)),
        _ => plain(name, shape),
    });
    let error = to_onnx(&graph, &file, &description(Input::Pixels, &[0.5])).unwrap_err();
    let ExportError::Weights(problems) = error else { panic!("{error}") };
    assert_eq!(
        problems,
        ["`bn.bias` is F16, expected F32", "`fc.weight` is [5, 2], expected [2, 5]", "`fc.bias` is missing",]
    );
    let mut smaller = everything().without_auxiliary();
    smaller.nodes.retain(|node| node.name != "fc");
    smaller.output = "hidden".to_owned();
    let described = Description { labels: vec![String::new(); 5], ..description(Input::Pixels, &[0.5]) };
    let error =
        to_onnx(&smaller, &weights(&graph.without_auxiliary(), plain), &described).unwrap_err().to_string();
    assert!(error.contains("`fc.bias` belongs to no node"), "{error}");
    let error = to_onnx(&graph, b"no safetensors", &described).unwrap_err();
    assert!(matches!(error, ExportError::Output { labels: 5, .. }), "{error}");
    let error = to_onnx(&graph, b"no safetensors", &description(Input::Pixels, &[0.5])).unwrap_err();
    assert!(matches!(error, ExportError::Format(_)), "{error}");
}

#[test]
fn descriptions_that_do_not_fit_are_refused() {
    let graph = everything();
    let file = weights(&graph, plain);
    let two = description(Input::Pixels, &[0.5, 0.5]);
    assert!(matches!(to_onnx(&graph, &file, &two), Err(ExportError::Normalisation { mean: 2, .. })));
    let other = Description { input_shape: [1, 8, 8], ..description(Input::Pixels, &[0.5]) };
    assert!(matches!(to_onnx(&graph, &file, &other), Err(ExportError::Described { .. })));
}

#[test]
fn operators_that_nobody_knows_are_refused() {
    let json = everything().to_json().replace("\"Tanh\"", "\"Softsign\"");
    assert!(Graph::from_json(&json).unwrap_err().to_string().contains("not a graph"));
    let mut broken = everything();
    broken.nodes[3].inputs = vec!["nothing".to_owned()];
    let error = to_onnx(&broken, &[], &description(Input::Pixels, &[0.5])).unwrap_err();
    assert!(matches!(error, ExportError::Graph(_)), "{error}");
}

/// The one field `number` of a message.
fn field(message: &[u8], number: u64) -> &[u8] {
    let found: Vec<_> = wire::read(message).into_iter().filter(|(n, _)| *n == number).collect();
    match found[..] {
        [(_, wire::Value::Bytes(bytes))] => bytes,
        _ => panic!("field {number}: {found:?}"),
    }
}

/// Field numbers are those of `onnx.proto`.
#[test]
fn the_file_is_a_protocol_buffer_of_onnx() {
    let graph = everything();
    let described = description(Input::Pixels, &[0.5]);
    let bytes = to_onnx(&graph, &weights(&graph, plain), &described).unwrap();
    let model = wire::read(&bytes);
    assert_eq!(model[0], (1, wire::Value::Int(IR_VERSION)));
    assert_eq!(field(&bytes, 2), b"nashost");
    assert_eq!(wire::read(field(&bytes, 8)), [(1, wire::Value::Bytes(b"")), (2, wire::Value::Int(OPSET))]);
    let keys: Vec<_> = model
        .iter()
        .filter_map(|(n, value)| match value {
            wire::Value::Bytes(entry) if *n == 14 => Some(field(entry, 1)),
            _ => None,
        })
        .collect();
    assert!(keys.contains(&&b"nashost.thresholds"[..]) && keys.len() == 13, "{keys:?}");
    let network = field(&bytes, 7);
    assert_eq!(field(field(network, 11), 1), b"images");
    let conv = wire::read(network)
        .into_iter()
        .find_map(|(n, value)| match value {
            wire::Value::Bytes(node) if n == 1 && field(node, 4) == b"Conv" => Some(node),
            _ => None,
        })
        .unwrap();
    assert_eq!(field(conv, 3), b"stem");
    let attributes: Vec<_> = wire::read(conv).into_iter().filter(|(n, _)| *n == 5).collect();
    let wire::Value::Bytes(kernel) = attributes[0].1 else { panic!() };
    let int = wire::Value::Int;
    assert_eq!(
        wire::read(kernel),
        [(1, wire::Value::Bytes(b"kernel_shape")), (8, int(3)), (8, int(3)), (20, int(7))]
    );
    let bias = wire::read(network)
        .into_iter()
        .find_map(|(n, value)| match value {
            wire::Value::Bytes(tensor) if n == 5 && field(tensor, 8) == b"fc.bias" => Some(tensor),
            _ => None,
        })
        .unwrap();
    assert_eq!(wire::read(bias)[..2], [(1, int(2)), (2, int(1))]);
    assert_eq!(field(bias, 9), [0.5_f32, 1.5].map(f32::to_le_bytes).concat());
}

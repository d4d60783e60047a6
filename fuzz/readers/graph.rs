//! Architecture graphs as JSON, which plugins answer and exports hold.

use nashost_plugin_api::graph::Graph;

/// Reads a graph, and does with it what the host does before any tensor is made. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let graph = match Graph::from_json(text) {
        Ok(graph) => graph,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let resolved = graph.resolve().expect("a graph that was read is valid");
    assert_eq!(resolved.releases().len(), graph.nodes.len());
    assert_eq!(resolved.uses().len(), graph.nodes.len());
    let costs = graph.costs().expect("valid graphs have costs");
    assert!(costs.peak_activations >= resolved.image.numel() as u64);
    assert_eq!(graph.node_costs().expect("each node has costs").len(), graph.nodes.len());
    for changed in [graph.without_residual_links(), graph.without_auxiliary(), graph.with_drop_path(0.5)] {
        changed.validate().expect("what the host makes of a valid graph is valid");
    }
    let written = graph.to_json();
    assert_eq!(Graph::from_json(&written).expect("what is written can be read"), graph);
    true
}

/// Small graphs that have every operator between them.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"schema":1,"input":[3,8,8],"nodes":[
        {"name":"conv","op":{"type":"Conv","out_channels":4,"window":{"kernel_shape":[3,3],"strides":[2,2],"pads":[1,1],"dilations":[1,1]},"group":1,"bias":false},"inputs":["input"]},
        {"name":"bn","op":{"type":"BatchNormalization","epsilon":0.001,"momentum":0.9},"inputs":["conv"]},
        {"name":"relu","op":{"type":"Relu"},"inputs":["bn"]},
        {"name":"add","op":{"type":"Add","residual":true},"inputs":["relu","bn"]},
        {"name":"pool","op":{"type":"GlobalAveragePool"},"inputs":["add"]},
        {"name":"flat","op":{"type":"Flatten"},"inputs":["pool"]},
        {"name":"fc","op":{"type":"Gemm","out_features":2,"bias":true},"inputs":["flat"]},
        {"name":"aux","op":{"type":"Gemm","out_features":2,"bias":false},"inputs":["flat"]}],
        "output":"fc","features":"add","auxiliary":{"output":"aux","weight":0.4}}"#,
        r#"{"schema":1,"input":[1,9,7],"initialization":"xavier-normal-zen","nodes":[
        {"name":"a","op":{"type":"MaxPool","window":{"kernel_shape":[2,2],"strides":[2,2]},"ceil_mode":true},"inputs":["input"]},
        {"name":"b","op":{"type":"AveragePool","window":{"kernel_shape":[3,3],"pads":[1,1]},"count_include_pad":true},"inputs":["a"]},
        {"name":"c","op":{"type":"Concat"},"inputs":["a","b"]},
        {"name":"d","op":{"type":"Slice","starts":[1,1]},"inputs":["c"]},
        {"name":"e","op":{"type":"Clip","min":0.0,"max":6.0},"inputs":["d"]},
        {"name":"f","op":{"type":"HardSwish"},"inputs":["e"]},
        {"name":"g","op":{"type":"Swish"},"inputs":["f"]},
        {"name":"h","op":{"type":"Gelu"},"inputs":["g"]},
        {"name":"i","op":{"type":"Tanh"},"inputs":["h"]},
        {"name":"j","op":{"type":"Identity"},"inputs":["i"]},
        {"name":"k","op":{"type":"DropPath","ratio":0.1},"inputs":["j"]},
        {"name":"s","op":{"type":"GlobalAveragePool"},"inputs":["k"]},
        {"name":"t","op":{"type":"Sigmoid"},"inputs":["s"]},
        {"name":"u","op":{"type":"HardSigmoid"},"inputs":["t"]},
        {"name":"m","op":{"type":"Mul"},"inputs":["k","u"]},
        {"name":"n","op":{"type":"Add"},"inputs":["m","k"]},
        {"name":"o","op":{"type":"Flatten"},"inputs":["n"]},
        {"name":"p","op":{"type":"Dropout","ratio":0.2},"inputs":["o"]},
        {"name":"q","op":{"type":"Gemm","out_features":3,"bias":true},"inputs":["p"]}],
        "output":"q","features":"n"}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

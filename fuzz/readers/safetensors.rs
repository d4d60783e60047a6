//! Weights in safetensors files, one's own and published ones.

use std::{collections::BTreeMap, fs, sync::OnceLock};

use nashost_plugin_api::graph::Graph;
use nashost_plugin_torch::{Network, Weights};

const GRAPH: &str = r#"{"schema":1,"input":[1,4,4],"nodes":[
    {"name":"conv","op":{"type":"Conv","out_channels":2,"window":{"kernel_shape":[3,3]},"group":1,"bias":true},"inputs":["input"]},
    {"name":"bn","op":{"type":"BatchNormalization","epsilon":0.001,"momentum":0.9},"inputs":["conv"]},
    {"name":"pool","op":{"type":"GlobalAveragePool"},"inputs":["bn"]},
    {"name":"flat","op":{"type":"Flatten"},"inputs":["pool"]},
    {"name":"fc","op":{"type":"Gemm","out_features":2,"bias":true},"inputs":["flat"]}],
    "output":"fc","features":"bn"}"#;

fn network() -> &'static Network {
    static NETWORK: OnceLock<Network> = OnceLock::new();
    NETWORK.get_or_init(|| {
        let graph = Graph::from_json(GRAPH).expect("the graph is valid");
        Network::new(graph).expect("and makes a network")
    })
}

/// Reads the bytes as weights of a small network. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let memory = std::path::Path::new("/dev/shm");
    let file = if memory.is_dir() {
        tempfile::NamedTempFile::new_in(memory)
    } else {
        tempfile::NamedTempFile::new()
    };
    let file = file.expect("there is room for a file");
    fs::write(file.path(), data).expect("the file can be written");
    let network = network();
    let loaded = Weights::load(network, file.path());
    match &loaded {
        Ok(weights) => {
            weights.to_safetensors(network).expect("what was read can be written");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let names =
        BTreeMap::from([("stem.weight".to_owned(), Some("conv.weight".to_owned())), ("x".to_owned(), None)]);
    if let Err(error) = Weights::load_pretrained(network, file.path(), &names, 7) {
        assert!(!error.to_string().is_empty());
    }
    loaded.is_ok()
}

/// Weights of the network.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let weights = network().initialize(1);
    vec![weights.to_safetensors(network()).expect("fresh weights can be written")]
}

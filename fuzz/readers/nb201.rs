//! Cells of NAS-Bench-201: the benchmark's text, and specs in JSON.

use nashost_cells::{CellStructure, Nb201};
use nashost_plugin_api::architecture::Geometry;

/// Reads a cell or a network and builds it; what was read must survive being written.
pub fn read(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<CellStructure>() {
        Ok(cell) => {
            assert_eq!(cell.to_string().parse(), Ok(cell));
            build(&Nb201 { cell, channels: 4, cells: 1 });
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(network) = serde_json::from_str::<Nb201>(text) {
        build(&network);
    }
}

fn build(network: &Nb201) {
    match network.build(&Geometry { input: [3, 32, 32], outputs: 10 }) {
        Ok(layout) => {
            let costs = layout.graph().costs().expect("what is built is valid");
            assert!(costs.params <= layout.tally().params);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Cells with every operation, and networks of them.
pub fn seeds() -> Vec<Vec<u8>> {
    let cells = [
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    ];
    let spec = |cell: &str| format!(r#"{{"cell":"{cell}","channels":16,"cells":5}}"#).into_bytes();
    cells.iter().flat_map(|cell| [cell.as_bytes().to_vec(), spec(cell)]).collect()
}

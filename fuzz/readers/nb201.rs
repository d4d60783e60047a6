//! Cells of NAS-Bench-201: the benchmark's text, and specs in JSON.

use nashost_cells::{CellStructure, Nb201};
use nashost_plugin_api::architecture::Geometry;

/// Reads a cell or a network and builds it; what was read must survive being written. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let printed = match text.parse::<CellStructure>() {
        Ok(cell) => {
            assert_eq!(cell.to_string().parse(), Ok(cell));
            build(&Nb201 { cell, channels: 4, cells: 1 })
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    };
    serde_json::from_str::<Nb201>(text).map_or(printed, |network| build(&network))
}

fn build(network: &Nb201) -> bool {
    match network.build(&Geometry { input: [3, 32, 32], outputs: 10 }) {
        Ok(layout) => {
            let costs = layout.graph().costs().expect("what is built is valid");
            assert!(costs.params <= layout.tally().params);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

/// Cells with every operation, and networks of them.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let cells = [
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    ];
    let spec = |cell: &str| format!(r#"{{"cell":"{cell}","channels":16,"cells":5}}"#).into_bytes();
    cells.iter().flat_map(|cell| [cell.as_bytes().to_vec(), spec(cell)]).collect()
}

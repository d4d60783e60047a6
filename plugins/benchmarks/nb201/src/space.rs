//! The space of the table, as a host shows it to a strategy.

use nashost_cells::{CellStructure, Nb201, Nb201Op};
use nashost_plugin_api::{
    architecture::Spec, component::PluginResult, metric::Direction, seed::rng, strategy::SearchContext,
};
use serde::Deserialize as _;

use crate::{
    idle::idle,
    table::{CELLS, CHANNELS},
};

/// The space `nb201` under the budget `nb201-idle` below 1, for tests of strategies: 9,445 cells, changed
/// in one operation at a time. A search starts with a 3×3 convolution on every edge.
#[derive(Debug, Clone, Copy)]
pub struct Space {
    seed: u64,
    direction: Direction,
}

impl Space {
    /// A search with the given seed, for the largest value.
    pub fn new(seed: u64) -> Self {
        Self { seed, direction: Direction::Higher }
    }

    /// The same in the given direction.
    #[must_use]
    pub fn direction(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }
}

/// Returns the cell of a structure of `nb201`.
///
/// # Errors
///
/// Fails if it is one of another space.
pub fn cell_of(spec: &Spec) -> PluginResult<CellStructure> {
    Ok(Nb201::deserialize(spec)?.cell)
}

fn spec(cell: CellStructure) -> PluginResult<Spec> {
    Ok(serde_json::to_value(Nb201 { cell, channels: CHANNELS, cells: CELLS })?)
}

impl SearchContext for Space {
    fn initial(&self) -> PluginResult<Spec> {
        spec(CellStructure([Nb201Op::Conv3x3; 6]))
    }

    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        spec(CellStructure::random(&mut rng(seed)))
    }

    fn mutate(&self, parent: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        let mut cell = cell_of(parent)?;
        let mut rng = rng(seed);
        (0..strength).for_each(|_| cell.mutate(&mut rng));
        spec(cell)
    }

    fn violation(&self, spec: &Spec) -> PluginResult<Option<String>> {
        Ok((idle(cell_of(spec)?) > 0).then(|| "nb201-idle".to_owned()))
    }

    fn direction(&self) -> Direction {
        self.direction
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}

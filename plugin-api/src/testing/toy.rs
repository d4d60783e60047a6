//! Small search spaces for tests of strategies.

use rand::Rng as _;
use serde_json::json;

use crate::{
    abi::foreign::ForeignArchitecture,
    architecture::{Geometry, Spec},
    component::PluginResult,
    graph::{Graph, GraphBuilder, GraphError, INPUT, Window},
    metric::Direction,
    seed,
    strategy::SearchContext,
};

const WIDTHS: [u64; 5] = [4, 6, 8, 12, 16];
const MOST_STAGES: usize = 4;

/// Chains of one to four convolutions of 4 to 16 channels under a budget of parameters: 780
/// structures, of which about two thirds keep the budget. A spec is the list of widths.
#[derive(Debug, Clone, Copy)]
pub struct ToySpace {
    direction: Direction,
    seed: u64,
    budget: u64,
}

impl ToySpace {
    /// Sizes of its networks.
    pub const GEOMETRY: Geometry = Geometry { input: [3, 16, 16], outputs: 3 };

    /// A search in the given direction, with seed 7.
    pub fn new(direction: Direction) -> Self {
        Self { direction, seed: 7, budget: 2400 }
    }

    /// The same space with another seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same space with another largest number of parameters.
    #[must_use]
    pub fn budget(self, budget: u64) -> Self {
        Self { budget, ..self }
    }

    /// Returns the network of `spec`.
    ///
    /// # Errors
    ///
    /// Fails if `spec` is not a list of widths.
    pub fn network(spec: &Spec) -> PluginResult<Graph> {
        Ok(network(&widths(spec)?)?)
    }

    /// A smooth value to search for: 0 for the widths 8, 12, 8, and lower the more a structure
    /// differs from that.
    ///
    /// # Errors
    ///
    /// Fails if `spec` is not a list of widths.
    pub fn value(spec: &Spec) -> PluginResult<f64> {
        let widths = widths(spec)?;
        let at = |index: usize| widths.get(index).map_or(0.0, |&width| width as f64);
        Ok(-[8.0, 12.0, 8.0, 0.0].iter().enumerate().map(|(i, want)| (at(i) - want).powi(2)).sum::<f64>())
    }
}

fn widths(spec: &Spec) -> PluginResult<Vec<u64>> {
    let list = spec.as_array().ok_or("a structure of the toy space is a list of widths")?;
    let widths: Option<Vec<u64>> = list.iter().map(Spec::as_u64).collect();
    let widths = widths.filter(|w| w.iter().all(|width| WIDTHS.contains(width)));
    widths
        .filter(|widths| (1..=MOST_STAGES).contains(&widths.len()))
        .ok_or_else(|| "one to four widths of 4, 6, 8, 12 or 16".into())
}

fn network(widths: &[u64]) -> Result<Graph, GraphError> {
    let mut g = GraphBuilder::new(ToySpace::GEOMETRY.input);
    let mut x = INPUT.to_owned();
    for (stage, &width) in widths.iter().enumerate() {
        let window = Window::square(3, if stage == 0 { 2 } else { 1 });
        x = g.conv(format!("conv{stage}"), &x, width as usize, window, 1, false);
        x = g.batch_norm(format!("bn{stage}"), &x, 1e-5);
        x = g.relu(format!("relu{stage}"), &x);
    }
    let pooled = g.global_average_pool("pool", &x);
    let flat = g.flatten("flatten", &pooled);
    let logits = g.gemm("fc", &flat, ToySpace::GEOMETRY.outputs, true);
    g.finish(&logits, &x)
}

fn draw(rng: &mut seed::Rng) -> u64 {
    WIDTHS[rng.random_range(0..WIDTHS.len())]
}

impl SearchContext for ToySpace {
    fn initial(&self) -> PluginResult<Spec> {
        Ok(json!([4, 4]))
    }

    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        let mut rng = seed::rng(seed);
        let stages = rng.random_range(1..=MOST_STAGES);
        Ok((0..stages).map(|_| draw(&mut rng)).collect())
    }

    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        let mut widths = widths(spec)?;
        let mut rng = seed::rng(seed);
        for _ in 0..strength {
            let at = rng.random_range(0..widths.len());
            match rng.random_range(0..4) {
                0 if widths.len() < MOST_STAGES => widths.insert(at, draw(&mut rng)),
                1 if widths.len() > 1 => drop(widths.remove(at)),
                _ => widths[at] = draw(&mut rng),
            }
        }
        Ok(widths.into())
    }

    fn violation(&self, spec: &Spec) -> PluginResult<Option<String>> {
        let params = Self::network(spec)?.costs()?.params;
        Ok((params > self.budget).then(|| "params".to_owned()))
    }

    fn graph(&self, spec: &Spec) -> PluginResult<Graph> {
        Self::network(spec)
    }

    fn direction(&self) -> Direction {
        self.direction
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}

/// The space of an architecture, without budgets, for strategies that work with that one only.
pub struct ForeignSpace<'a> {
    /// The space.
    pub architecture: &'a ForeignArchitecture,
    /// Sizes of its networks.
    pub geometry: Geometry,
    /// Which way is better.
    pub direction: Direction,
}

impl std::fmt::Debug for ForeignSpace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForeignSpace").field("architecture", &self.architecture.id()).finish_non_exhaustive()
    }
}

impl SearchContext for ForeignSpace<'_> {
    fn initial(&self) -> PluginResult<Spec> {
        Ok(self.architecture.initial()?)
    }

    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        Ok(self.architecture.sample(seed)?)
    }

    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        Ok(self.architecture.mutate(spec, strength, seed)?)
    }

    fn violation(&self, spec: &Spec) -> PluginResult<Option<String>> {
        self.graph(spec)?.validate()?;
        Ok(None)
    }

    fn graph(&self, spec: &Spec) -> PluginResult<Graph> {
        Ok(self.architecture.graph(spec, &self.geometry)?)
    }

    fn direction(&self) -> Direction {
        self.direction
    }

    fn seed(&self) -> u64 {
        7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_structure_is_a_network_and_the_budget_divides_them() {
        let space = ToySpace::new(Direction::Higher);
        let mut spec = space.initial().unwrap();
        let mut kept = 0;
        for seed in 0..400 {
            spec = if seed % 2 == 0 {
                space.sample(seed).unwrap()
            } else {
                space.mutate(&spec, 2, seed).unwrap()
            };
            ToySpace::network(&spec).unwrap();
            kept += usize::from(space.violation(&spec).unwrap().is_none());
        }
        assert!((200..360).contains(&kept), "{kept} of 400");
        assert_eq!(ToySpace::value(&json!([8, 12, 8])).unwrap(), 0.0);
        assert!(space.violation(&json!([8, 12, 8])).unwrap().is_none(), "the best one keeps the budget");
    }

    #[test]
    fn what_is_no_structure_is_an_error() {
        for wrong in [json!(null), json!([]), json!([5]), json!([4, 4, 4, 4, 4]), json!({"a": 1})] {
            assert!(ToySpace::network(&wrong).is_err(), "{wrong}");
        }
    }
}

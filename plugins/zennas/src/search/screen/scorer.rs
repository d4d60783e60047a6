//! Analytic scores of a space's structures, the quickest way there is.

use nashost_plugin_api::{
    architecture::Spec, component::PluginResult, graph::Graph, strategy::SearchContext,
};

use crate::analytic::{self, Analytic};

/// How far the two ways to a score may be apart, relatively.
const TOLERANCE: f64 = 1e-9;

/// What a configuration can do about a space without analytic score.
const REMEDY: &str = "set `search.score = \"monte-carlo\"` to search by measured scores";

/// Scores structures of one space.
pub(super) struct Scorer {
    analytic: Analytic,
    /// Channels, height and width of the images.
    input: [usize; 3],
    /// Whether specs are super-blocks whose score needs no graph.
    short: bool,
}

impl Scorer {
    /// Finds the quickest way, on a first structure whose network both ways must agree on.
    ///
    /// # Errors
    ///
    /// Fails if the space has no analytic score, with the reason and the remedy.
    pub(super) fn new(
        config: &analytic::Config,
        context: &dyn SearchContext,
        initial: &Spec,
    ) -> PluginResult<Self> {
        let (spec, graph) = first_network(context, initial)?;
        let mut analytic = Analytic::new(config.clone());
        let long = analytic
            .graph(&graph)
            .map_err(|why| format!("the networks of this space have no analytic score: {why}; {REMEDY}"))?;
        let short = analytic.super_blocks(&spec.to_string(), graph.input);
        // The short way leaves skip connections out.
        let short = !config.residual_links && short.is_ok_and(|short| agree(short, long));
        if !short {
            tracing::info!("analytic scores are computed from graphs; this takes a millisecond each");
        }
        Ok(Self { analytic, input: graph.input, short })
    }

    /// Scores a structure; `None` if it has no analytic score.
    ///
    /// # Errors
    ///
    /// Passes on the space's error.
    pub(super) fn score(&mut self, context: &dyn SearchContext, spec: &str) -> PluginResult<Option<f64>> {
        let value = if self.short {
            self.analytic.super_blocks(spec, self.input)?
        } else {
            let graph = context.graph(&serde_json::from_str(spec)?)?;
            match self.analytic.graph(&graph) {
                Ok(value) => value,
                Err(_) => return Ok(None),
            }
        };
        Ok(Some(value).filter(|value| value.is_finite()))
    }

    /// Checks a score that was reached by the short way against the network itself.
    ///
    /// # Errors
    ///
    /// Fails if they differ.
    pub(super) fn confirm(
        &mut self,
        context: &dyn SearchContext,
        spec: &str,
        value: f64,
    ) -> PluginResult<()> {
        if !self.short {
            return Ok(());
        }
        let long = self.analytic.graph(&context.graph(&serde_json::from_str(spec)?)?)?;
        if agree(value, long) {
            return Ok(());
        }
        Err(format!(
            "the analytic score of {spec} is {value} by its blocks and {long} by its network; {REMEDY}"
        )
        .into())
    }
}

fn agree(short: f64, long: f64) -> bool {
    (short - long).abs() <= TOLERANCE * long.abs()
}

/// Builds the network of the initial structure, or of a mutation of it: the blocks of one published
/// start fit each other only then.
fn first_network(context: &dyn SearchContext, initial: &Spec) -> PluginResult<(Spec, Graph)> {
    if let Ok(graph) = context.graph(initial) {
        return Ok((initial.clone(), graph));
    }
    let child = context.mutate(initial, 1, context.seed())?;
    let graph = context
        .graph(&child)
        .map_err(|why| format!("the analytic score needs the networks of the space: {why}; {REMEDY}"))?;
    Ok((child, graph))
}

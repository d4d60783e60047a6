//! `nashost score`: what architecture metrics say of given structures.

use std::{collections::BTreeMap, path::Path};

use nashost_plugin_api::{
    abi::foreign::ForeignArchitecture,
    architecture::{Counters, Geometry, Spec},
    metric::{Candidate, Direction, Score, ScoreContext},
    seed::derive_seed,
};
use nashost_plugin_torch::GradGuard;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Context,
    args::{Format, ScoreArgs},
    output::Table,
};
use crate::{
    data::ImageSource as _,
    device,
    error::{Error, Exit, Result},
    pipeline::{CHANNELS, PluginSource},
    plugin::Registry,
    run::trial::ComponentRef,
};

/// Formats of published codes that a structure may be written in.
const FORMATS: [&str; 2] = ["plainnet", "tinynas"];

/// A structure and everything that is said of it.
#[derive(Debug, Serialize)]
struct Scored {
    structure: String,
    id: String,
    spec: Spec,
    params: u64,
    macs: u64,
    layers: u64,
    counters: Counters,
    scores: BTreeMap<String, Ranked>,
}

/// A score and its place among the structures, 1 being the best; equals share a place.
#[derive(Debug, Serialize)]
struct Ranked {
    #[serde(flatten)]
    score: Score,
    rank: Option<usize>,
}

/// Scores structures.
pub(super) fn command(args: &ScoreArgs, context: &Context) -> Result<Exit> {
    let (registry, resolved) = context.resolve(&args.config)?;
    let config = &resolved.config;
    let device = device::resolve(&config.run.device)?;
    let space = ComponentRef::from(config.architecture()?);
    let architecture = registry.architecture(&space.id, &space.config)?;
    let outputs = match args.outputs {
        Some(outputs) => outputs,
        None => PluginSource::new(&registry, config)?.info()?.labels.len(),
    };
    let side = config.search_resolution();
    let geometry = Geometry { input: [CHANNELS, side, side], outputs };
    let _grad = GradGuard::save();
    let mut structures = Vec::new();
    let mut candidates = Vec::new();
    for (number, text) in args.specs.iter().enumerate() {
        let spec = read(text, &architecture)?;
        let graph = architecture.graph(&spec, &geometry)?;
        let costs = graph.costs().map_err(|error| {
            let message = format!("structure {} of `{}` is no valid network: {error}", number + 1, space.id);
            Error::new(Exit::Usage, "E0803", message)
        })?;
        let counters = architecture.counters(&spec, &geometry)?;
        let id = graph.hash();
        // A structure has the same score wherever it stands in the list.
        let seed = derive_seed(derive_seed(config.run.seed, "search"), &format!("score/{id}"));
        structures.push(Scored {
            structure: if Path::new(text).is_file() { text.clone() } else { format!("#{}", number + 1) },
            id,
            spec: spec.clone(),
            params: costs.params,
            macs: costs.macs,
            layers: costs.layers,
            counters: counters.clone(),
            scores: BTreeMap::new(),
        });
        // As in a search: metrics judge what is used after training.
        candidates.push(Candidate { spec, graph: graph.without_auxiliary(), counters, seed });
    }
    let score_context = ScoreContext { geometry, device: device.name };
    for metric in &metrics(args, &registry, config.score.as_ref().map(ComponentRef::from)) {
        let component = registry.architecture_metric(&metric.id, &metric.config)?;
        let direction = component.describe()?.direction;
        let scores = component.score(&candidates, &score_context)?;
        for (structure, ranked) in structures.iter_mut().zip(rank(scores, direction)) {
            structure.scores.insert(metric.id.clone(), ranked);
        }
    }
    match context.out.format() {
        Format::Json => context.out.json(&structures)?,
        _ => context.out.table(&table(&structures))?,
    }
    let undefined = structures.iter().flat_map(|s| s.scores.values()).any(|r| r.score.value.is_none());
    Ok(if undefined { Exit::No } else { Exit::Ok })
}

/// The metrics that are asked for; without any, the configuration's, or all that there are. The
/// configuration's settings go with the metric that they are for.
fn metrics(args: &ScoreArgs, registry: &Registry, configured: Option<ComponentRef>) -> Vec<ComponentRef> {
    let plain = |id: &String| ComponentRef { id: id.clone(), config: json!({}) };
    let all = || registry.ids(nashost_plugin_api::component::Kind::ArchitectureMetric);
    match (&args.metric[..], configured) {
        ([], Some(configured)) => vec![configured],
        ([], None) => all().iter().map(plain).collect(),
        (names, configured) => names
            .iter()
            .map(|name| configured.clone().filter(|c| c.id == *name).unwrap_or_else(|| plain(name)))
            .collect(),
    }
}

/// Reads a structure: a file or the text itself, as the space's JSON, as `archs/T0001.json` of a run,
/// or in a format of a published code that the space knows.
fn read(text: &str, architecture: &ForeignArchitecture) -> Result<Spec> {
    let path = Path::new(text);
    let content = if path.is_file() {
        std::fs::read_to_string(path).map_err(|cause| crate::run::io_error("read", path, &cause))?
    } else {
        text.to_owned()
    };
    if let Ok(value) = serde_json::from_str::<Value>(&content) {
        return Ok(match (value.get("spec"), value.get("space")) {
            (Some(spec), Some(_)) => spec.clone(),
            _ => value,
        });
    }
    let mut problems = Vec::new();
    for format in FORMATS {
        match architecture.import(format, content.trim()) {
            Ok(spec) => return Ok(spec),
            Err(error) => problems.push(format!("as {format}: {}", error.message)),
        }
    }
    let message = format!("`{text}` is no structure of `{}`: {}", architecture.id(), problems.join("; "));
    Err(Error::new(Exit::Usage, "E0224", message)
        .help("give a file, the space's JSON, or a PlainNet or TinyNAS structure"))
}

fn rank(scores: Vec<Score>, direction: Direction) -> Vec<Ranked> {
    let better = |a: f64, b: f64| if direction == Direction::Higher { a > b } else { a < b };
    let values: Vec<Option<f64>> = scores.iter().map(|score| score.value).collect();
    let place = |value: f64| 1 + values.iter().flatten().filter(|other| better(**other, value)).count();
    scores.into_iter().map(|score| Ranked { rank: score.value.map(place), score }).collect()
}

fn table(structures: &[Scored]) -> Table {
    let columns = ["structure", "params", "macs", "layers", "metric", "value", "spread", "rank", "why"];
    let mut table = Table::new(&columns);
    for Scored { structure, params, macs, layers, scores, .. } in structures {
        for (metric, Ranked { score, rank }) in scores {
            table.row([
                json!(structure),
                json!(params),
                json!(macs),
                json!(layers),
                json!(metric),
                json!(score.value),
                json!(score.spread),
                json!(rank),
                json!(score.why),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_share_a_place_and_undefined_has_none() {
        let score = |value| Score { value, spread: None, repeats: 1, seconds: 0.0, why: None };
        let ranks = |direction| {
            let scores = [Some(2.0), None, Some(3.0), Some(2.0), Some(1.0)].map(score);
            rank(scores.into(), direction).into_iter().map(|ranked| ranked.rank).collect::<Vec<_>>()
        };
        assert_eq!(ranks(Direction::Higher), [Some(2), None, Some(1), Some(2), Some(4)]);
        assert_eq!(ranks(Direction::Lower), [Some(2), None, Some(4), Some(2), Some(1)]);
    }
}

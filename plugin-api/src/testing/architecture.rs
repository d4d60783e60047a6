//! Rules for architectures.

use serde_json::json;

use super::{
    Bench,
    bench::{Check, Trouble, broken, on_four_threads},
};
use crate::{
    abi::foreign::{CallError, CallErrorKind, ForeignArchitecture},
    architecture::{Geometry, Spec},
    graph::{Graph, Shape},
};

/// Structures that are drawn.
const SAMPLES: u64 = 1000;
/// Structures whose counters are compared with their graph.
const COUNTED: usize = 50;
const GEOMETRY: Geometry = Geometry { input: [3, 64, 64], outputs: 5 };

/// Tries every rule on architectures that `make` creates.
pub fn architecture_rules(bench: &mut Bench<'_>, make: &dyn Fn() -> Result<ForeignArchitecture, CallError>) {
    let mut searchable = false;
    bench.rule("describe", || {
        let space = make()?;
        let info = space.describe()?;
        searchable = info.searchable;
        if info != space.describe()? || space.initial()? != space.initial()? {
            return broken("two calls answer differently");
        }
        Ok(if searchable { "a space".to_owned() } else { "a fixed network".to_owned() })
    });
    let mut specs: Vec<Spec> = Vec::new();
    bench.rule("graphs", || {
        let space = make()?;
        specs = if searchable { draw(&space)? } else { vec![space.initial()?] };
        for spec in &specs {
            let graph = space.graph(spec, &GEOMETRY)?;
            check(&graph, &GEOMETRY).or_else(|why| broken(format!("structure {spec}: {why}")))?;
        }
        let wide = Geometry { input: [1, 48, 80], outputs: 1 };
        check(&space.graph(&specs[0], &wide)?, &wide).or_else(|why| broken(format!("48×80: {why}")))?;
        Ok(format!("{} structures at 3×64×64, one at 1×48×80", specs.len()))
    });
    let ready = |specs: &[Spec]| match specs.is_empty() {
        true => Err(Trouble::NotTried("there is no structure to try it on".to_owned())),
        false => Ok(()),
    };
    bench.rule("seed", || {
        ready(&specs)?;
        let (space, other) = (make()?, make()?);
        if !searchable {
            return match space.graph(&specs[0], &GEOMETRY)? == other.graph(&specs[0], &GEOMETRY)? {
                true => Ok("a fixed network, twice".to_owned()),
                false => broken("two instances answer different networks for one spec"),
            };
        }
        for seed in 0..100 {
            let changed = |space: &ForeignArchitecture| space.mutate(&specs[0], 1, seed);
            if space.sample(seed)? != other.sample(seed)? || changed(&space)? != changed(&other)? {
                return broken(format!("seed {seed} answers two different structures"));
            }
        }
        match specs.iter().any(|spec| *spec != specs[0]) {
            true => Ok("100 draws and 100 changes".to_owned()),
            false => broken(format!("all {SAMPLES} structures are the same one: the seed is not used")),
        }
    });
    bench.rule("counters", || {
        ready(&specs)?;
        let space = make()?;
        let mut counted = 0;
        for spec in specs.iter().take(COUNTED) {
            counted = counted.max(counters(&space, spec)?);
        }
        Ok(match counted {
            0 => "it counts nothing itself".to_owned(),
            n => format!("{n} counters"),
        })
    });
    bench.rule("threads", || {
        ready(&specs)?;
        let space = make()?;
        let work = || -> Result<Vec<String>, CallError> {
            let some = specs.iter().take(24);
            some.map(|spec| Ok(space.graph(spec, &GEOMETRY)?.hash())).collect()
        };
        on_four_threads(&work()?, work)
    });
    bench.rule("nonsense", || nonsense(make));
}

fn draw(space: &ForeignArchitecture) -> Result<Vec<Spec>, CallError> {
    let mut specs = vec![space.initial()?];
    for seed in 1..SAMPLES {
        let last = &specs[specs.len() - 1];
        let spec = match seed % 2 {
            0 => space.sample(seed)?,
            _ => space.mutate(last, 1 + (seed % 3) as u32, seed)?,
        };
        specs.push(spec);
    }
    Ok(specs)
}

/// Checks that a graph is what was asked for.
fn check(graph: &Graph, geometry: &Geometry) -> Result<(), String> {
    let resolved = graph.resolve().map_err(|error| error.to_string())?;
    if graph.input != geometry.input {
        return Err(format!("a graph for images of {:?} instead of {:?}", graph.input, geometry.input));
    }
    let output = resolved.shapes[resolved.output];
    if output != Shape::Flat(geometry.outputs) {
        return Err(format!("{output:?} instead of {} logits", geometry.outputs));
    }
    Ok(())
}

fn counters(space: &ForeignArchitecture, spec: &Spec) -> Result<usize, Trouble> {
    let counters = space.counters(spec, &GEOMETRY)?;
    let costs = space.graph(spec, &GEOMETRY)?.costs().map_err(|e| Trouble::Broken(e.to_string()))?;
    for (name, exact) in [("params", costs.params), ("macs", costs.macs), ("layers", costs.layers)] {
        if let Some(&found) = counters.get(name).filter(|&&found| found != exact as f64) {
            return broken(format!("{name} of {spec} is {found}, the graph has {exact}"));
        }
    }
    match counters.iter().find(|(_, value)| !value.is_finite()) {
        Some((name, value)) => broken(format!("{name} of {spec} is {value}")),
        None => Ok(counters.len()),
    }
}

fn nonsense(make: &dyn Fn() -> Result<ForeignArchitecture, CallError>) -> Check {
    let space = make()?;
    let no_panic = |what: &str, answer: Result<(), CallError>| match answer {
        Err(e) if matches!(e.kind, CallErrorKind::Panicked | CallErrorKind::Poisoned) => {
            broken(format!("{what}: {e}"))
        }
        answer => Ok(answer.is_ok()),
    };
    let nothing = [json!(null), json!("nonsense"), json!(-1), json!([[[]]])];
    for spec in nothing.iter().chain([&json!({}), &json!({"nonsense": 1}), &json!([])]) {
        let what = format!("spec {spec}");
        let built = no_panic(&what, space.graph(spec, &GEOMETRY).map(drop))?;
        no_panic(&what, space.mutate(spec, 1, 1).map(drop))?;
        no_panic(&what, space.counters(spec, &GEOMETRY).map(drop))?;
        if built && nothing.contains(spec) {
            return broken(format!("it builds a network of the spec {spec}"));
        }
    }
    let spec = space.initial()?;
    for (input, outputs) in [([3, 1, 1], 1), ([3, 0, 0], 1), ([3, 64, 64], 0), ([3, 1 << 40, 1 << 40], 5)] {
        let geometry = Geometry { input, outputs };
        no_panic(&format!("images of {input:?}"), space.graph(&spec, &geometry).map(drop))?;
    }
    no_panic("an unknown format", space.import("no-such-format", "nonsense").map(drop))?;
    Ok("7 specs, 4 geometries, a text format".to_owned())
}

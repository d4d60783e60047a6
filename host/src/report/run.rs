//! What a run is, did and took.

use std::fs;

use nashost_plugin_api::{architecture::Spec, dataset::Part, metric::Direction};
use nashost_report::data::{self, Fact, Plugin, Search};

use super::one_shot;
use crate::{
    error::Result,
    pipeline::RUN_CONFIG,
    run::{
        RunDir, events,
        provenance::{PROVENANCE, Provenance},
        state::{SearchState, State},
        summary::Summary,
        times::Times,
    },
};

/// Describes a run; `missing` tells what could not be read of it so far.
pub(super) fn of(run: &RunDir, state: &State, mut missing: Vec<String>) -> data::Run {
    let summary = Summary::of(state);
    let ready = state.data.as_ref();
    let config = fs::read_to_string(run.file(RUN_CONFIG)).unwrap_or_else(|why| {
        missing.push(format!("{RUN_CONFIG} cannot be read: {why}"));
        String::new()
    });
    let provenance = Provenance::read(run)
        .map_err(|_| missing.push(format!("{PROVENANCE} cannot be read, so the command line is unknown")))
        .ok();
    let search = state.search.as_ref().map(|found| search(run, found, &mut missing));
    data::Run {
        id: run.short_id().to_owned(),
        name: run.name().to_owned(),
        status: summary.status,
        warnings: summary.warnings.into_iter().chain(missing).collect(),
        dataset: ready.map(|ready| ready.dataset.id.clone()).unwrap_or_default(),
        source: ready.map(|ready| ready.info.source.clone()).unwrap_or_default(),
        labels: state.labels().to_vec(),
        normal_label: ready.and_then(|ready| ready.info.normal_label.clone()),
        parts: parts(state),
        search,
        times: times(state),
        command: provenance.as_ref().map(command).unwrap_or_default(),
        config,
        facts: facts(run, state, provenance.as_ref()),
        plugins: plugins(state),
    }
}

fn parts(state: &State) -> Vec<data::Part> {
    let counts = |(part, name): (Part, &str)| {
        let counts = state.split.as_ref()?.parts.get(&part)?;
        Some(data::Part {
            name: name.to_owned(),
            images: counts.images,
            patients: counts.groups,
            positives: counts.positives.clone(),
            assessed: counts.assessed.clone(),
        })
    };
    let parts = [(Part::Train, "train"), (Part::Val, "val"), (Part::Test, "test")];
    parts.into_iter().filter_map(counts).collect()
}

fn times(state: &State) -> data::Times {
    let Times { total_s, data_s, search_s, train_s, val_s, other_s, gpu_h, .. } = Times::of(state);
    data::Times { total_s, data_s, search_s, train_s, val_s, other_s, gpu_h }
}

fn search(run: &RunDir, search: &SearchState, missing: &mut Vec<String>) -> Search {
    let started = &search.started;
    let best = search.finished.as_ref().and_then(|(result, _)| result.ranked.first());
    // Parameters before any other count of parameters before anything else.
    let kinds = search.costs.iter().map(String::as_str);
    let cost = kinds
        .min_by_key(|kind| (*kind != "params", !kind.ends_with("params")))
        .unwrap_or_default()
        .to_owned();
    let mut drawn = Search {
        strategy: started.strategy.id.clone(),
        space: started.space.id.clone(),
        metric: started.metric.as_ref().unwrap_or(&started.strategy).id.clone(),
        higher_is_better: started.direction == Direction::Higher,
        uses_data: started.uses_data,
        budgets: started.budgets.iter().map(|budget| (budget.kind.clone(), budget.max)).collect(),
        rejected: search.finished.as_ref().map(|(result, _)| result.rejected.clone()).unwrap_or_default(),
        values: Vec::new(),
        cost,
        costs: Vec::new(),
        chosen: None,
        reason: best.map(|best| best.reason.clone()).unwrap_or_default(),
        phases: one_shot::phases(search),
        counts: Vec::new(),
    };
    if let Err(error) = add_candidates(&mut drawn, run, best.map(|best| &best.spec)) {
        missing.push(format!("the search is not drawn: {}", error.message));
    }
    drawn
}

fn add_candidates(search: &mut Search, run: &RunDir, best: Option<&Spec>) -> Result<()> {
    for candidate in events::candidates(&run.file(events::FILE))? {
        let candidate = candidate?;
        if search.chosen.is_none() && best == Some(&candidate.spec) {
            search.chosen = Some(search.values.len());
        }
        search.values.push(candidate.value);
        search.costs.push(candidate.costs.get(&search.cost).copied());
    }
    Ok(())
}

/// The command line, with the program by its name alone.
fn command(provenance: &Provenance) -> String {
    let program = provenance.command.iter().take(1).map(|path| path.rsplit('/').next().unwrap_or(path));
    let words = program.chain(provenance.command.iter().skip(1).map(String::as_str));
    let quoted = words
        .map(|word| if word.contains(char::is_whitespace) { format!("'{word}'") } else { word.to_owned() });
    quoted.collect::<Vec<_>>().join(" ")
}

fn facts(run: &RunDir, state: &State, provenance: Option<&Provenance>) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        facts.extend(value.map(|value| Fact { name: name.to_owned(), value }));
    };
    let started = state.started.as_ref();
    add("Run", Some(run.id().to_owned()));
    add("Began", started.map(|(time, _)| time.to_string()));
    add("Ended", state.finished.as_ref().map(|(time, ..)| time.to_string()));
    add("nashost", started.map(|(_, started)| started.nashost.clone()));
    add("libtorch", started.map(|(_, started)| started.libtorch.clone()));
    add("Device", started.map(|(_, started)| started.device.clone()));
    add("GPU", provenance.and_then(|p| p.device.gpu.clone()));
    add("Processor", provenance.and_then(|p| p.machine.cpu.clone()));
    add("System", provenance.and_then(|p| p.machine.os.clone()));
    add(
        "Commit",
        provenance
            .and_then(|p| p.git.as_ref())
            .map(|git| format!("{}{}", git.commit, if git.dirty { " with changes" } else { "" })),
    );
    add("Seeds", started.map(|(_, s)| s.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")));
    add("SHA-256 of the configuration", started.map(|(_, started)| started.config_sha256.clone()));
    add("SHA-256 of the images and labels", state.data.as_ref().map(|data| data.fingerprint.clone()));
    add("SHA-256 of the split", state.split.as_ref().map(|split| split.hash.clone()));
    facts
}

fn plugins(state: &State) -> Vec<Plugin> {
    let plugins = state.started.iter().flat_map(|(_, started)| &started.plugins);
    plugins
        .map(|plugin| Plugin {
            id: plugin.id.clone(),
            version: plugin.version.clone(),
            sha256: plugin.sha256.clone(),
        })
        .collect()
}

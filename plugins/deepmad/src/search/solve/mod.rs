//! `anneal` and `exact`: the search as a mathematical program.
//!
//! Every restart of the annealing is one proposal. `exact` goes on from the best of them: each slice of
//! the branch and bound proposes the best structure known, whose origin says how far the proof is. So
//! the run's log shows the progress, and a run that is stopped loses a slice at most.

mod program;

use nashost_deepmad_solver::{
    Chain, Design, Program,
    anneal::{self, Found},
    exact::{self, Certificate, Search, State as SearchState},
    verify::verify,
};
use nashost_plugin_api::{
    component::PluginResult,
    metric::Direction,
    sdk,
    strategy::{Outcome, Ranked, Request, SearchContext, SearchResult},
};
use nashost_tinynas::Structure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use program::Config as ProgramConfig;

/// Batches of the branch and bound between two proposals.
const SLICE: u32 = 24;
/// The metric's value may differ by this, relative: it adds up in another order.
const TOLERANCE: f64 = 1e-9;

/// Settings of both solvers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The annealing.
    pub anneal: anneal::Options,
    /// The proof.
    pub exact: exact::Options,
}

/// The state of a solver.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Solving {
    config: Config,
    program: ProgramConfig,
    prove: bool,
    /// What the space starts from, and the program for it; known from the first call on.
    stated: Option<(Structure, Program)>,
    /// Restarts done.
    restarts: u32,
    /// Whether the best of them was polished.
    polished: bool,
    /// Structures found, without repetition, with the first proposal of each.
    found: Vec<(u64, Design, f64)>,
    /// The branch and bound, once the annealing is done.
    search: Option<SearchState>,
    /// What it proved, once it is done.
    certificate: Option<Certificate>,
    /// Proposals made, and the score that the open one should get.
    next: u64,
    open: Option<f64>,
}

impl Solving {
    pub(super) fn new(config: Config, program: ProgramConfig, prove: bool) -> PluginResult<Self> {
        if config.anneal.restarts == 0 || config.anneal.steps == 0 {
            return Err("`restarts` and `steps` must be at least 1".into());
        }
        Ok(Self {
            config,
            program,
            prove,
            stated: None,
            restarts: 0,
            polished: false,
            found: Vec::new(),
            search: None,
            certificate: None,
            next: 0,
            open: None,
        })
    }

    pub(super) fn ask(&mut self, context: &dyn SearchContext) -> PluginResult<Vec<Request>> {
        if self.open.is_some() {
            return Err("asked for a proposal while one is open; its outcome must be told first".into());
        }
        if context.direction() != Direction::Higher {
            return Err("this solver maximises mad-score, but the run's metric is better when lower".into());
        }
        if self.stated.is_none() {
            let spec = context.initial()?;
            let initial = Structure::try_from(&spec)
                .map_err(|error| format!("this solver works in the TinyNAS spaces of superres: {error}"))?;
            let image_size = match self.program.image_size {
                Some(side) => side,
                None => u32::try_from(context.graph(&spec)?.input[1])?,
            };
            let program = self.program.program(&initial, image_size)?;
            self.stated = Some((initial, program));
        }
        let Some((initial, program)) = self.stated.clone() else { return Ok(Vec::new()) };
        let chain = Chain::new(&program)?;
        let Some((design, score, origin)) = self.advance(&chain, context.seed())? else {
            return Ok(Vec::new());
        };
        let spec = program::structure(&initial, &design).to_value();
        if let Some(budget) = context.violation(&spec)? {
            return Err(format!(
                "the solver's structure breaks the run's budget `{budget}`: give `search.program` the same budgets as `search.budget`"
            )
            .into());
        }
        let request = Request::Score { id: self.next, spec, origin };
        if self.found.iter().all(|(_, known, _)| *known != design) {
            self.found.push((self.next, design, score));
        }
        self.open = Some(score);
        self.next += 1;
        Ok(vec![request])
    }

    /// Computes up to the next structure worth a proposal; none if the search is done.
    fn advance(&mut self, chain: &Chain, seed: u64) -> PluginResult<Option<(Design, f64, String)>> {
        let stop = || sdk::check_cancelled().is_err();
        let options = &self.config.anneal;
        while self.restarts < options.restarts {
            let index = self.restarts;
            let found = anneal::restart(chain, options, seed, index, &stop);
            sdk::check_cancelled()?;
            self.restarts += 1;
            sdk::progress(u64::from(self.restarts), u64::from(options.restarts));
            if let Some(Found { design, evaluation }) = found {
                return Ok(Some((design, evaluation.score, format!("annealing {}", index + 1))));
            }
        }
        let Some((best, _)) = self.best() else {
            return Err("annealing found no structure within the budgets: raise them, or `anneal.restarts` and `anneal.steps`".into());
        };
        if !self.polished {
            let evaluation = chain.evaluate(&best).ok_or("the best structure left the space")?;
            let found = exact::polish(chain, Found { design: best, evaluation }, &stop);
            sdk::check_cancelled()?;
            self.polished = true;
            if found.design != best {
                let origin = "neighbouring depths of the best annealing".to_owned();
                return Ok(Some((found.design, found.evaluation.score, origin)));
            }
        }
        if !self.prove || self.certificate.is_some() {
            return Ok(None);
        }
        let mut search = match self.search.take() {
            Some(state) => Search::resume(state)?,
            None => Search::new(chain.program(), &best, self.config.exact.clone())?,
        };
        for _ in 0..SLICE {
            if search.is_done() || stop() {
                break;
            }
            search.batch(&stop);
        }
        let progress = search.progress();
        let done = search.is_done();
        self.search = Some(search.state().clone());
        sdk::check_cancelled()?;
        sdk::metric("gap", progress.effort.regions, progress.gap);
        sdk::metric("upper_bound", progress.effort.regions, progress.upper_bound);
        if done {
            let certificate = search.certificate();
            verify(&certificate).map_err(|error| format!("the certificate does not hold: {error}"))?;
            self.certificate = Some(certificate);
        }
        let line = format!(
            "exact: gap {:.4} %, upper bound {:.4}, {} regions, {} open",
            100.0 * progress.gap,
            progress.upper_bound,
            progress.effort.regions,
            progress.effort.open
        );
        tracing::info!(score = progress.score, "{line}");
        Ok(Some((*search.best(), progress.score, line)))
    }

    fn best(&self) -> Option<(Design, f64)> {
        let best = self.found.iter().max_by(|x, y| x.2.total_cmp(&y.2).then(y.0.cmp(&x.0)));
        best.map(|(_, design, score)| (*design, *score))
    }

    pub(super) fn tell(&mut self, outcome: &Outcome) -> PluginResult<()> {
        let Some(score) = self.open.take_if(|_| outcome.id + 1 == self.next) else {
            return Err(format!("proposal {} is not open", outcome.id).into());
        };
        match outcome.value {
            Some(value) if (value - score).abs() <= TOLERANCE * score.abs() => Ok(()),
            value => Err(format!(
                "the solver scores its structure {score}, the run's metric {}: give `search.program` the objective, resolution, weights and maps of `score`",
                value.map_or_else(|| outcome.why.clone().unwrap_or_else(|| "nothing".into()), |v| v.to_string())
            )
            .into()),
        }
    }

    pub(super) fn result(&self) -> PluginResult<SearchResult> {
        let (Some((initial, _)), Some((best, _))) = (&self.stated, self.best()) else {
            return Err("no structure has a score yet".into());
        };
        let mut found = self.found.clone();
        found.sort_by(|x, y| y.2.total_cmp(&x.2).then(x.0.cmp(&y.0)));
        // Annealings meet at one structure, which stands once, as the first of them found it.
        let mut met = Vec::with_capacity(found.len());
        found.retain(|(_, design, _)| {
            let is_new = !met.contains(design);
            if is_new {
                met.push(*design);
            }
            is_new
        });
        let ranked = found.iter().map(|(id, design, score)| Ranked {
            spec: program::structure(initial, design).to_value(),
            value: *score,
            id: *id,
            reason: if *design == best { self.reason() } else { "lower score".into() },
        });
        Ok(SearchResult { ranked: ranked.collect(), steps: self.next, rejected: Default::default() })
    }

    /// Why the best structure stands first: the certificate, as far as there is one.
    fn reason(&self) -> String {
        let objective = match self.program.objective {
            crate::score::Objective::Official => "official",
            crate::score::Objective::Repaired => "repaired",
            crate::score::Objective::Paper => "paper",
        };
        if let Some(certificate) = &self.certificate {
            let text = serde_json::to_string(certificate).unwrap_or_default();
            let kind = if certificate.gap == 0.0 { "proven optimum" } else { "optimum up to the gap" };
            return format!("{kind}, objective {objective}; certificate: {text}");
        }
        let proof = self.search.as_ref().and_then(|state| Search::resume(state.clone()).ok());
        match proof {
            Some(search) => {
                let text = serde_json::to_string(&search.certificate()).unwrap_or_default();
                format!("best so far, proof unfinished, objective {objective}; certificate: {text}")
            }
            None => format!("best of {} annealings, without a proof, objective {objective}", self.restarts),
        }
    }
}

#[cfg(test)]
mod tests;

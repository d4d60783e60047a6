//! Structures within the budgets.

use std::collections::BTreeMap;

use nashost_plugin_api::{
    architecture::Spec, component::PluginResult, sdk, seed::derive_seed, strategy::SearchContext,
};
use serde::{Deserialize, Serialize};

/// Attempts in a row that may break a budget before a search is given up.
pub(crate) const MOST_REJECTS: u64 = 20_000;

/// Counts what was tried; every attempt has a seed of its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draws {
    pub(crate) steps: u64,
    pub(crate) rejected: BTreeMap<String, u64>,
}

impl Draws {
    /// Draws structures, or changes `parent` in one place, until one keeps every budget.
    pub(crate) fn draw(&mut self, context: &dyn SearchContext, parent: Option<&Spec>) -> PluginResult<Spec> {
        for _ in 0..MOST_REJECTS {
            if let Some(spec) = self.attempt(context, parent)? {
                return Ok(spec);
            }
        }
        let budgets: Vec<&str> = self.rejected.keys().map(String::as_str).collect();
        Err(format!(
            "{MOST_REJECTS} structures in a row broke a budget ({}); loosen `search.budget`",
            budgets.join(", ")
        )
        .into())
    }

    /// Makes one attempt; `None` if it breaks a budget.
    pub(crate) fn attempt(
        &mut self,
        context: &dyn SearchContext,
        parent: Option<&Spec>,
    ) -> PluginResult<Option<Spec>> {
        sdk::check_cancelled()?;
        let seed = derive_seed(context.seed(), &format!("step/{}", self.steps));
        self.steps += 1;
        let spec = match parent {
            Some(parent) => context.mutate(parent, 1, seed)?,
            None => context.sample(seed)?,
        };
        let broken = context.violation(&spec)?;
        if let Some(budget) = &broken {
            *self.rejected.entry(budget.clone()).or_default() += 1;
        }
        Ok(broken.is_none().then_some(spec))
    }
}

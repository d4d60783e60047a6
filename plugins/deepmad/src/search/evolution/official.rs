//! The search of the official configurations, on the official space with the official score.

use nashost_plugin_api::{
    architecture::{Architecture as _, Geometry, Spec},
    component::{Component as _, PluginResult},
    metric::Direction,
    strategy::{Outcome, SearchContext, SearchResult, Strategy as _},
};
use nashost_superres::SuperRes;
use serde_json::json;

use crate::{
    score::{Config, Evaluator},
    search::DeepMad,
};

const GEOMETRY: Geometry = Geometry { input: [3, 224, 224], outputs: 1000 };

/// What a host does for a search.
struct Host {
    space: SuperRes,
    evaluator: Evaluator,
    budgets: [(&'static str, f64); 3],
    seed: u64,
}

impl Host {
    /// The configuration of ResNet-18's size; `last_block` may be `frozen` as in the released code.
    fn r18(last_block: &str, seed: u64) -> Self {
        let config = json!({
            "space": "k1kxk1", "initial": "resnet-start", "tinynas": {"last_block": last_block},
        });
        Self {
            space: SuperRes::create(serde_json::from_value(config).expect("a configuration"))
                .expect("a space"),
            evaluator: Evaluator::new(Config::official()),
            budgets: [
                ("official.flops", 1.82e9),
                ("official.params", 11.69e6),
                ("official.efficient_score", 0.3),
            ],
            seed,
        }
    }

    fn run(&self, iterations: u64) -> SearchResult {
        let config = json!({"solver": "evolution", "evolution": {"iterations": iterations, "lag": 1}});
        let mut search =
            DeepMad::create(serde_json::from_value(config).expect("a configuration")).expect("valid");
        while let Some(request) = search.ask(self, 1).expect("the search goes on").pop() {
            let score = self.evaluator.score_spec(request.spec(), [224, 224]);
            let value = Some(score.expect("every child has a score"));
            search.tell(&[Outcome { id: request.id(), value, spread: None, why: None }]).expect("it is open");
        }
        search.result().expect("something was found")
    }
}

impl SearchContext for Host {
    fn initial(&self) -> PluginResult<Spec> {
        self.space.initial()
    }

    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        self.space.sample(seed)
    }

    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        self.space.mutate(spec, strength, seed)
    }

    fn violation(&self, spec: &Spec) -> PluginResult<Option<String>> {
        let counters = self.space.counters(spec, &GEOMETRY)?;
        let broken = self.budgets.iter().find(|(name, most)| counters[*name] > *most);
        Ok(broken.map(|(name, _)| (*name).to_owned()))
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}

/// The official code reached 27,133 after 8,000 evaluations and 29,102 after 20,000 with one seed.
/// Early in a search, seeds differ by some percent.
#[test]
fn the_released_search_converges_as_the_official_one() {
    let host = Host::r18("frozen", 1);
    let result = host.run(10_000);
    assert_eq!(result.steps, 10_000);
    let best = &result.ranked[0];
    assert!((25_500.0..29_331.6).contains(&best.value), "{}", best.value);
    assert_eq!(host.violation(&best.spec).unwrap(), None);
    assert_eq!(best.spec[5]["out"], 2048, "the last block is frozen");
    for budget in ["official.flops", "official.params", "official.efficient_score", "duplicate"] {
        assert!(result.rejected.contains_key(budget), "{budget}");
    }
}

/// After 500,000 evaluations, independent runs of the official loop end between 29,301.7 and
/// 29,331.6 (six seeds) with the last block frozen, and between 34,818.6 and 35,992.7 (ten seeds)
/// without. The optima are 29,659.4 and 36,538.3.
#[test]
#[ignore = "long: cargo xtask test --long"]
fn long_searches_end_within_the_spread_of_the_official_loop() {
    for seed in 1..3 {
        let best = Host::r18("frozen", seed).run(500_000).ranked[0].value;
        assert!((29_280.0..29_400.0).contains(&best), "frozen, seed {seed}: {best}");
        let best = Host::r18("free", seed).run(500_000).ranked[0].value;
        assert!((34_500.0..36_300.0).contains(&best), "free, seed {seed}: {best}");
    }
}

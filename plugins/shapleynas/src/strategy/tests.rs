use nashost_plugin_api::architecture::{Architecture as _, Geometry};
use nashost_plugin_torch::gaussian;
use tch::{Device, Kind, Tensor};

use super::*;

const IMAGES: i64 = 24;

/// Noise in two brightnesses; the first label is the brightness, the second its opposite.
struct Noise;

impl Samples for Noise {
    fn targets(&self) -> PluginResult<Targets> {
        let bright = Tensor::arange(IMAGES, (Kind::Float, Device::Cpu)).remainder(2.0);
        let targets = Tensor::stack(&[&bright, &(1.0 - &bright)], 1);
        Ok(Targets { assessed: targets.ones_like(), targets })
    }

    fn images(&mut self, indices: &[i64], _: Option<u64>) -> PluginResult<Tensor> {
        let rows = Tensor::from_slice(indices);
        let bright = self.targets()?.targets.select(1, 0).view([-1, 1, 1, 1]);
        Ok((gaussian(3, &[IMAGES, 3, 8, 8]) + bright).index_select(0, &rows))
    }
}

fn strategy(settings: Value) -> ShapleyNas {
    // Tensors this small are not worth a second thread.
    tch::set_num_threads(1);
    let mut all = json!({
        "channels": 4, "layers": 3, "image_size": 0, "epochs": 2, "warm_up": 1, "batch": 12, "value_images": 8,
        "samples": 2, "strata": 1, "folds": 3, "confidence": 1.0,
    });
    for (key, value) in settings.as_object().unwrap() {
        all[key] = value.clone();
    }
    ShapleyNas::create(serde_json::from_value(all).unwrap()).unwrap()
}

fn task(size: usize) -> OneShotTask {
    let space =
        DartsSpace::create(serde_json::from_value(json!({"channels": 4, "layers": 3})).unwrap()).unwrap();
    OneShotTask {
        geometry: Geometry { input: [3, size, size], outputs: 2 },
        labels: vec!["bright".to_owned(), "dark".to_owned()],
        initial: space.initial().unwrap(),
        seed: 11,
        device: "cpu".to_owned(),
    }
}

fn finish(strategy: &mut ShapleyNas) -> Vec<StepReport> {
    let mut reports = Vec::new();
    while reports.last().is_none_or(|report: &StepReport| !report.finished) {
        reports.push(strategy.step(&mut Noise).unwrap());
    }
    reports
}

#[test]
fn a_search_taken_up_after_any_step_derives_the_same_network() {
    let mut whole = strategy(json!({}));
    let plan = whole.begin(&task(8), &mut Noise).unwrap();
    assert!(plan.roles.contains("24 training images in 3 folds"), "{}", plan.roles);
    let mut states = vec![whole.checkpoint().unwrap()];
    let mut reports: Vec<StepReport> = Vec::new();
    while reports.last().is_none_or(|report| !report.finished) {
        reports.push(whole.step(&mut Noise).unwrap());
        states.push(whole.checkpoint().unwrap());
    }
    assert!(reports.len() as u64 <= plan.steps.unwrap());
    assert!(reports.iter().any(|report| report.phase == "gradients"));
    let (result, details) = (whole.result().unwrap(), whole.details().unwrap());
    // Before, within and after the valuing of an epoch.
    for made in [0, 2, reports.len() - 1] {
        let state = &states[made];
        let mut again = strategy(json!({}));
        again.begin(&task(8), &mut Noise).unwrap();
        again.restore(state).unwrap();
        assert_eq!(finish(&mut again), reports[made..], "after {made} steps");
        assert_eq!(again.result().unwrap(), result);
        assert_eq!(again.details().unwrap(), details);
    }
    let spec = DartsSpace::parse(&result.ranked[0].spec).unwrap();
    assert_eq!((spec.channels, spec.layers), (4, 3));
    assert_eq!(details["genotype"], serde_json::to_value(&spec.genotype).unwrap());
    assert!(whole.step(&mut Noise).is_err(), "it is over");
}

#[test]
fn a_validation_part_is_taken_from_the_training_images() {
    let mut study = strategy(json!({"roles": "validation", "estimator": "official", "value_sample": "first",
                                    "value": "subset-accuracy", "samples": 2}));
    let plan = study.begin(&task(8), &mut Noise).unwrap();
    assert!(
        plan.roles.starts_with("of 24 training images the first 20 train weights, the last 4"),
        "{}",
        plan.roles
    );
    finish(&mut study);
    study.result().unwrap();
}

#[test]
fn what_cannot_be_searched_is_refused_before_the_first_step() {
    let refuse = |settings: Value, task: OneShotTask| {
        strategy(settings).begin(&task, &mut Noise).unwrap_err().to_string()
    };
    let error = refuse(json!({}), task(10));
    assert!(error.contains("10×10"), "{error}");
    let error = refuse(json!({"channels": 6}), task(8));
    assert!(error.contains("divisible"), "{error}");
    let other = OneShotTask { initial: json!({"cell": "|none~0|"}), ..task(8) };
    assert!(refuse(json!({}), other).starts_with("not a structure of `darts`"));
    let mut early = strategy(json!({}));
    assert_eq!(early.step(&mut Noise).unwrap_err().to_string(), "the search has not begun");
    early.begin(&task(8), &mut Noise).unwrap();
    assert_eq!(early.result().unwrap_err().to_string(), "the search is not over");
    assert_eq!(early.details().unwrap_err().to_string(), "the search is not over");
}

#[test]
fn the_report_has_every_value_and_the_derived_cells() {
    let mut search = strategy(json!({"epochs": 3}));
    search.begin(&task(8), &mut Noise).unwrap();
    finish(&mut search);
    let details = search.details().unwrap();
    let history = details["search"]["history"].as_array().unwrap();
    let [normal, reduce] = &details["report"]["attributions"].as_array().unwrap()[..] else { panic!() };
    assert_eq!(normal["steps"], json!([2, 3]), "the epochs after the warm-up");
    for (place, cell) in [normal, reduce].into_iter().enumerate() {
        let operations = cell["operations"].as_array().unwrap();
        assert_eq!(operations.len(), 14 * 7);
        for (index, operation) in operations.iter().enumerate() {
            let player = place * 14 * 7 + index;
            for (step, record) in history.iter().enumerate() {
                assert_eq!(operation["values"][step], record["values"]["mean"][player]);
                assert_eq!(operation["standard_errors"][step], record["values"]["error"][player]);
            }
        }
        // What the drawing shows is what is marked as derived, and what the genotype says.
        let key = ["normal", "reduce"][place];
        let drawn: Vec<_> = cell["cell"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|node| node["edges"].as_array().unwrap())
            .map(|edge| (edge["edge"].clone(), edge["operation"].clone()))
            .collect();
        let genotype = details["genotype"][key].as_array().unwrap();
        let named: Vec<_> = genotype.iter().map(|edge| edge[0].clone()).collect();
        assert_eq!(drawn.iter().map(|(_, operation)| operation.clone()).collect::<Vec<_>>(), named);
        let mut chosen: Vec<_> = operations
            .iter()
            .filter(|operation| operation["chosen"] == true)
            .map(|operation| (operation["edge"].to_string(), operation["operation"].to_string()))
            .collect();
        let mut drawn: Vec<_> = drawn.iter().map(|(e, o)| (e.to_string(), o.to_string())).collect();
        chosen.sort();
        drawn.sort();
        assert_eq!(chosen, drawn);
    }
    assert_eq!(normal["operations"][7]["edge"], "k−1 → 2");
    assert_eq!(normal["operations"][13 * 7]["edge"], "4 → 5");
    assert_eq!(details["report"]["counts"][0]["count"], details["search"]["cost"]["training"]);
}

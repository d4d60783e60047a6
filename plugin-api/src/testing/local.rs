//! Components of the test's own process, behind the tables of the boundary.

use serde_json::Value;

use super::{
    Bench, ToySpace, architecture_metric_rules, architecture_rules, dataset_rules, prediction_metric_rules,
    strategy_rules,
};
use crate::{
    abi::{
        foreign::{
            CallError, ForeignArchitecture, ForeignArchitectureMetric, ForeignDataset,
            ForeignPredictionMetric, ForeignStrategy, Instance,
        },
        private::Registration,
    },
    architecture::Architecture,
    component::Component,
    dataset::Dataset,
    metric::{ArchitectureMetric, PredictionMetric},
    strategy::Strategy,
};

fn local<T: Component>(registration: &Registration, settings: &Value) -> Result<Instance, CallError> {
    Instance::local(T::ID, registration, &settings.to_string())
}

macro_rules! entry {
    ($(#[$doc:meta])* $name:ident, $local:ident, $bound:path, $foreign:ty, |$bench:ident, $make:ident| $rules:expr) => {
        /// Creates a component of this process behind the tables of the boundary, as a host sees it.
        ///
        /// # Errors
        ///
        /// Fails if it refuses the settings.
        pub fn $local<T: $bound>(settings: &Value) -> Result<$foreign, CallError> {
            <$foreign>::new(local::<T>(&Registration::$name::<T>(), settings)?)
        }

        $(#[$doc])*
        ///
        /// Every rule of the kit for its kind; see [`Bench::assert_passed`].
        pub fn $name<T: $bound>(settings: Value) -> Bench<'static> {
            let $make = || $local::<T>(&settings);
            let mut bench = Bench::default();
            let $bench = &mut bench;
            $rules;
            bench
        }
    };
}

entry! {
    /// Tries a strategy on [`ToySpace`].
    strategy, local_strategy, Strategy, ForeignStrategy,
    |bench, make| strategy_rules(bench, &make, &|direction| Box::new(ToySpace::new(direction)))
}
entry! {
    /// Tries an architecture.
    architecture, local_architecture, Architecture, ForeignArchitecture, |bench, make| architecture_rules(bench, &make)
}
entry! {
    /// Tries a dataset.
    dataset, local_dataset, Dataset, ForeignDataset, |bench, make| dataset_rules(bench, &make)
}
entry! {
    /// Tries a metric of predictions.
    prediction_metric, local_prediction_metric, PredictionMetric, ForeignPredictionMetric,
    |bench, make| prediction_metric_rules(bench, &make)
}
entry! {
    /// Tries a metric of structures on those of [`ToySpace`].
    architecture_metric, local_architecture_metric, ArchitectureMetric, ForeignArchitectureMetric,
    |bench, make| architecture_metric_rules(bench, &make)
}

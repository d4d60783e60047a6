//! Metrics of multi-label predictions.
//!
//! | component | per label | overall |
//! |---|---|---|
//! | `subset-accuracy` | | `subset_accuracy` |
//! | `auroc` | `auroc` | `macro_auroc`, `micro_auroc` |
//! | `average-precision` | `average_precision` | `macro_average_precision`, `micro_average_precision` |
//! | `f1` | `f1` | `macro_f1`, `micro_f1`, `samples_f1` |
//! | `precision` | `precision` | `macro_precision`, `micro_precision` |
//! | `recall` | `recall` | `macro_recall`, `micro_recall` |
//! | `specificity` | `specificity` | `macro_specificity`, `micro_specificity` |
//! | `jaccard` | `jaccard` | `macro_jaccard`, `micro_jaccard`, `samples_jaccard` |
//! | `hamming` | `label_accuracy` | `hamming_loss`, `macro_label_accuracy` |
//! | `mcc` | `mcc` | `macro_mcc` |
//! | `balanced-accuracy` | `balanced_accuracy` | `macro_balanced_accuracy` |
//! | `brier` | `brier` | `macro_brier` |
//! | `ece` | `ece` | `macro_ece` |
//! | `study` | `study_…` | `study_subset_accuracy`, `study_macro_…` |
//!
//! Four rules hold for all of them but `study`, which copies a published evaluation as it is:
//!
//! * **Undefined is not 0.** A value whose denominator is 0 is undefined, with the reason. This is
//!   scikit-learn's `zero_division=np.nan`. Where scikit-learn has no such switch, it differs:
//!   it answers 0 for the average precision without positives and for an MCC with an empty margin,
//!   and its balanced accuracy averages over the classes that occur.
//! * **Macro means** (and means over images) run over what is defined; `why` says what is left out
//!   and the support says how many are in. Labels are named by their index, counted from 0.
//! * **Labels that nobody assessed** on an image count nowhere. A label set is right if all its
//!   assessed labels are; images without any assessed label are skipped.
//! * **Micro averages** pool all assessed labels of all images.

#![deny(unsafe_code)]

mod auroc;
mod average_precision;
mod balanced_accuracy;
mod brier;
mod cases;
mod config;
mod counts;
mod ece;
mod f1;
mod hamming;
mod input;
mod jaccard;
mod mcc;
mod precision;
mod recall;
mod report;
mod specificity;
mod study;
mod subset_accuracy;
#[cfg(test)]
mod tests;

pub use crate::{
    auroc::Auroc,
    average_precision::AveragePrecision,
    balanced_accuracy::BalancedAccuracy,
    brier::Brier,
    config::NoConfig,
    ece::{Ece, EceConfig},
    f1::F1,
    hamming::Hamming,
    input::InputError,
    jaccard::Jaccard,
    mcc::Mcc,
    precision::Precision,
    recall::Recall,
    specificity::Specificity,
    study::Study,
    subset_accuracy::SubsetAccuracy,
};

nashost_plugin_api::register!(prediction_metric: Auroc);
nashost_plugin_api::register!(prediction_metric: AveragePrecision);
nashost_plugin_api::register!(prediction_metric: BalancedAccuracy);
nashost_plugin_api::register!(prediction_metric: Brier);
nashost_plugin_api::register!(prediction_metric: Ece);
nashost_plugin_api::register!(prediction_metric: F1);
nashost_plugin_api::register!(prediction_metric: Hamming);
nashost_plugin_api::register!(prediction_metric: Jaccard);
nashost_plugin_api::register!(prediction_metric: Mcc);
nashost_plugin_api::register!(prediction_metric: Precision);
nashost_plugin_api::register!(prediction_metric: Recall);
nashost_plugin_api::register!(prediction_metric: Specificity);
nashost_plugin_api::register!(prediction_metric: Study);
nashost_plugin_api::register!(prediction_metric: SubsetAccuracy);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));

//! Studies: methods × datasets × grid × folds × seeds, each combination a run of its own.
//!
//! A [`Cell`] is one combination, with its configuration resolved and written before anything starts.
//! [`Folder`] keeps them; [`execute`] makes the runs that are missing, each in a process of its own,
//! and goes on with those that were interrupted; the summary is a function of the runs. So a study
//! that was killed is continued by the command that started it, and no result is made twice.

mod analysis;
mod cell;
mod config;
mod execute;
mod folder;
mod plan;
mod report;
mod summary;
mod tables;

pub(crate) use self::{
    cell::Cell,
    config::StudyConfig,
    execute::{Execution, Outcome, execute},
    folder::Folder,
    plan::Plan,
    tables::{Written, results_text, write as write_tables},
};

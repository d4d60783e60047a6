//! Reports of runs: one self-contained HTML page, and its tables in Markdown, LaTeX and CSV.
//!
//! [`ReportData`] is everything that a report shows, as plain data; whoever has results fills it, and
//! nothing here reads a run directory or computes with tensors. [`html`] writes the page: charts are
//! inline SVG, there is no script, and a content security policy forbids the page to load or send
//! anything. [`tables`] answers the numbers behind it, each in four forms. [`model_card`] and
//! [`checklist`] fill in what a run knows of the forms that journals ask for; [`tensorboard`] writes
//! learning curves for that program.
//!
//! What is undefined stays undefined, with the reason, in all of them.

#![forbid(unsafe_code)]

mod card;
mod cell;
mod curve;
pub mod data;
mod diagram;
mod group;
mod number;
mod page;
mod plot;
mod preview;
mod raster;
mod section;
mod table;
mod tensorboard;
#[cfg(test)]
mod testing;

pub use self::{
    card::{checklist, model_card},
    data::ReportData,
    page::html,
    preview::{Contact, Histogram, Preview},
    section::{StudyCell, study_cells, tables},
    table::{Cell, Column, Table},
    tensorboard::tensorboard,
};

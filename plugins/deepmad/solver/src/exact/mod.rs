//! The best structure, with a proof.
//!
//! A [`Search`] keeps a list of regions, boxes of widths and depths, that together hold every structure
//! that may beat the best one known. Each region has an upper bound (`relaxation`), whose prices are
//! improved region by region (`dual`). A region whose bound is too low is closed. Others are cut in
//! two until one depth vector is left, which is searched through (`leaf`).

mod certificate;
mod curve;
mod dual;
mod leaf;
mod polish;
mod region;
mod relaxation;
mod search;
mod stretch;
mod table;

pub use certificate::{Certificate, Effort};
pub use polish::polish;
pub use search::{Options, Progress, Search, SearchError, State, solve};

//! The sandbox of `--sandbox`: a process outside, which loads no plugin, and one inside, which does everything.
//!
//! The process that the user starts makes the folder of the run or study and starts itself once more in the sandbox
//! (`supervise`). That process and all that it starts, workers among them, can never leave it. What must not be
//! in a plugin's reach is done outside: the link to the latest run, and the folder for temporary files.

mod inside;
mod outside;

pub(crate) use inside::VARIABLE;
pub use inside::{Facts, Inside, inside};
pub(crate) use outside::{Stay, supervise};

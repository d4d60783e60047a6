//! The host's side of a search: the space with its budgets, and the loop between strategy and
//! workers.

mod driver;
mod space;

pub use driver::{SearchSetup, search};
pub use space::{Budget, Space, is_exact};

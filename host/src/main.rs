//! The `nashost` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    nashost::cli::main()
}

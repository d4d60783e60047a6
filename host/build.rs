//! Tells the binary where libtorch is.
//!
//! `DEP_TCH_LIBTORCH_LIB` reaches only direct dependents of torch-sys, so nashost is one. libtorch is
//! looked for, in this order: where it was built against; in `../lib/nashost/libtorch` and
//! `../libtorch/lib` beside the binary's folder, for bundles that are moved to another machine.
//! `libtorch_cuda.so` is not linked, so that the same binary runs on machines without it; the host
//! maps it itself when it starts (see `device.rs`).

//!
//! It also compiles what torch-sys does not bind, against the same headers and with the same flags.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let built_against = std::env::var("DEP_TCH_LIBTORCH_LIB").ok();
    if let Some(folder) = &built_against {
        compile_shim(Path::new(folder));
    }
    let relative = ["$ORIGIN/../lib/nashost/libtorch", "$ORIGIN/../libtorch/lib"].map(str::to_owned);
    for folder in built_against.into_iter().chain(relative) {
        println!("cargo::rustc-link-arg-bins=-Wl,-rpath,{folder}");
    }
}

fn compile_shim(libtorch: &Path) {
    const SOURCE: &str = "src/deterministic.cpp";
    println!("cargo::rerun-if-changed={SOURCE}");
    let variable = |name: &str| {
        println!("cargo::rerun-if-env-changed={name}");
        std::env::var(name).ok()
    };
    let root = variable("LIBTORCH_INCLUDE").map(PathBuf::from);
    let include = root.unwrap_or_else(|| libtorch.join("..")).join("include");
    let abi = variable("LIBTORCH_CXX11_ABI").unwrap_or_else(|| "1".to_owned());
    cc::Build::new()
        .cpp(true)
        .warnings(false)
        .include(include.join("torch/csrc/api/include"))
        .include(include)
        .std("c++17")
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .file(SOURCE)
        .compile("nashost_deterministic");
}

//! Compiles what torch-sys does not bind, against the same headers and with the same flags.

use std::path::{Path, PathBuf};

const SOURCES: [&str; 2] = ["src/depthwise.cpp", "src/deterministic.cpp"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| {
        println!("cargo::rerun-if-env-changed={name}");
        std::env::var(name).ok()
    };
    // torch-sys tells it to those who depend on it directly.
    let Some(libtorch) = variable("DEP_TCH_LIBTORCH_LIB") else { return };
    let root = variable("LIBTORCH_INCLUDE").map(PathBuf::from);
    let include = root.unwrap_or_else(|| Path::new(&libtorch).join("..")).join("include");
    let abi = variable("LIBTORCH_CXX11_ABI").unwrap_or_else(|| "1".to_owned());
    let mut build = cc::Build::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
        build.file(source);
    }
    build
        .cpp(true)
        .warnings(false)
        .include(include.join("torch/csrc/api/include"))
        .include(include)
        .std("c++17")
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .compile("nashost_torch");
}

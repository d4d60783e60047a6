//! Tells the binary where libtorch is.
//!
//! `DEP_TCH_LIBTORCH_LIB` reaches only direct dependents of torch-sys, so nashost is one. libtorch is
//! looked for, in this order: where it was built against; in `../lib/nashost/libtorch` and
//! `../libtorch/lib` beside the binary's folder, for bundles that are moved to another machine.
//! `libtorch_cuda.so` is not linked, so that the same binary runs on machines without it; the host
//! maps it itself when it starts (see `device.rs`).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let built_against = std::env::var("DEP_TCH_LIBTORCH_LIB").ok();
    let relative = ["$ORIGIN/../lib/nashost/libtorch", "$ORIGIN/../libtorch/lib"].map(str::to_owned);
    for folder in built_against.into_iter().chain(relative) {
        println!("cargo::rustc-link-arg-bins=-Wl,-rpath,{folder}");
    }
}

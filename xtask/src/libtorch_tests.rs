use super::*;

const AUTO: LibtorchChoice = LibtorchChoice { cpu: false, cuda: false };
const CPU: LibtorchChoice = LibtorchChoice { cpu: true, cuda: false };
const CUDA: LibtorchChoice = LibtorchChoice { cpu: false, cuda: true };

/// A folder with the files by which a libtorch of this version is known.
fn libtorch(version_file: &str, content: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("lib")).unwrap();
    fs::write(dir.path().join("lib/libtorch_cpu.so"), "").unwrap();
    fs::write(dir.path().join(version_file), content).unwrap();
    dir
}

#[test]
fn the_driver_decides_unless_a_flag_does() {
    assert_eq!(variant(AUTO, false), Variant::Cpu);
    assert_eq!(variant(AUTO, true), Variant::Cuda);
    assert_eq!(variant(CPU, true), Variant::Cpu);
    assert_eq!(variant(CUDA, false), Variant::Cuda);
}

#[test]
fn an_installation_is_reused_unless_a_flag_asks_for_the_other() {
    let home = tempfile::tempdir().unwrap();
    for choice in [AUTO, CPU, CUDA] {
        assert!(!is_installed(home.path(), choice), "nothing is installed");
    }
    for (installed, other) in [(Variant::Cpu, CUDA), (Variant::Cuda, CPU)] {
        fs::write(home.path().join(STAMP), installed.stamp()).unwrap();
        assert!(is_installed(home.path(), AUTO));
        assert!(!is_installed(home.path(), other));
    }
    fs::write(home.path().join(STAMP), "2.10.0 cpu\n").unwrap();
    assert!(!is_installed(home.path(), AUTO), "another version's installation is replaced");
}

#[test]
fn the_version_is_read_from_archives_and_wheels() {
    let archive = libtorch("build-version", "2.11.0+cpu\n");
    assert!(check_version(archive.path()).is_ok());
    let wheel = libtorch("version.py", "debug = False\n__version__ = '2.11.0+cu130'\ncuda = '13.0'\n");
    assert!(check_version(wheel.path()).is_ok());
}

#[test]
fn a_wrong_libtorch_is_named_with_its_version() {
    let old = libtorch("build-version", "2.9.1+cpu");
    let error = check_version(old.path()).unwrap_err();
    assert!(error.is::<Missing>());
    let expected = format!("libtorch in {} is 2.9.1, nashost needs 2.11.0: ", old.path().display());
    assert!(error.to_string().starts_with(&expected), "{error}");

    let odd = libtorch("version.py", "");
    assert!(check_version(odd.path()).unwrap_err().to_string().contains("is of an unknown version"));

    let none = tempfile::tempdir().unwrap();
    assert!(check_version(none.path()).unwrap_err().to_string().starts_with("no libtorch in "));
}

#[test]
fn an_interrupted_installation_leaves_the_old_one_alone() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join(".libtorch");
    fs::create_dir(&home).unwrap();
    fs::write(home.join(STAMP), Variant::Cpu.stamp()).unwrap();
    let partial = root.path().join(".libtorch.partial");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("half a wheel"), "").unwrap();

    let python = root.path().join("python3");
    process::write_script(&python, "exit 1");
    let error = install(root.path(), &python, Variant::Cpu).unwrap_err();
    assert!(error.is::<Missing>());
    assert!(
        error.to_string().starts_with("libtorch 2.11.0 cannot be installed: `python3 -m pip "),
        "{error}"
    );
    assert!(is_installed(&home, CPU), "the old installation is whole");
    assert!(!partial.join("half a wheel").exists(), "the interrupted one was cleared away");
}

#[test]
fn an_installation_replaces_the_old_one_whole() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join(".libtorch");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("old"), "").unwrap();
    // Stands for pip: checks that it was asked for everything, and unpacks a libtorch.
    let pip = r#"
[ "$PIP_USER" = 0 ] && [ "$TMPDIR" = "$7/tmp" ] || exit 1
[ "$8 $9" = "torch==2.11.0 " ] || exit 1
mkdir -p "$7/torch/lib" && : > "$7/torch/lib/libtorch_cpu.so" && echo 2.11.0 > "$7/torch/build-version""#;
    let python = root.path().join("python3");
    process::write_script(&python, pip);
    install(root.path(), &python, Variant::Cuda).unwrap();
    assert!(is_installed(&home, CUDA));
    assert!(!home.join("old").exists() && !home.join("tmp").exists());
    assert!(!root.path().join(".libtorch.partial").exists());
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine::with_programs(root.path(), &[]);
    let missing = prerequisites(root.path(), &machine, Variant::Cpu).unwrap_err();
    let begins = |line: &str| missing.0.iter().any(|missing| missing.starts_with(line));
    assert!(begins("python3 not found") && begins("no C++ compiler found"), "{missing}");
}

#[test]
fn the_cpu_variant_takes_the_wheel_and_two_libraries() {
    let expected =
        ["--no-deps", "torch==2.11.0", "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"];
    assert_eq!(Variant::Cpu.pip_arguments(), expected);
    assert_eq!(Variant::Cuda.pip_arguments(), ["torch==2.11.0"]);
}

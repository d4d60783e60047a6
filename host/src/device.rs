//! The device that tensors live on, and the libtorch that is mapped.
//!
//! The linker drops `libtorch_cuda.so`, and libtorch gives CUDA up for the life of the process if
//! anything asks for it before that library is mapped. So [`map_cuda`] runs first of all.

use std::{
    collections::BTreeMap,
    error::Error as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::Device;

use crate::error::{Error, Exit, Result};

/// What became of `libtorch_cuda.so`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaLibrary {
    /// Mapped, from this file.
    Mapped(PathBuf),
    /// libtorch has none: a CPU build.
    Absent,
    /// There is one, but it cannot be loaded.
    Failed {
        /// The file.
        path: PathBuf,
        /// What the dynamic linker said.
        why: String,
    },
}

/// Maps `libtorch_cuda.so` if the mapped libtorch has one. Later calls return the first answer.
pub fn map_cuda() -> &'static CudaLibrary {
    static LIBRARY: OnceLock<CudaLibrary> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let path = libtorch_folder().map(|folder| folder.join("libtorch_cuda.so"));
        let Some(path) = path.filter(|path| path.exists()) else { return CudaLibrary::Absent };
        // SAFETY: the file belongs to the libtorch that is mapped already, whose constructors ran when
        // the process started; those of its CUDA part only register kernels.
        match unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) } {
            Ok(library) => {
                // Kernels stay registered, so the library must stay mapped.
                std::mem::forget(library);
                CudaLibrary::Mapped(path)
            }
            Err(error) => {
                // The dynamic linker's own words, which name the missing library, are the source.
                let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                CudaLibrary::Failed { path, why }
            }
        }
    })
}

/// Folder of the libtorch that is mapped.
pub fn libtorch_folder() -> Option<PathBuf> {
    libtorch_copies().into_iter().next()?.parent().map(Path::to_owned)
}

/// Files that are mapped as `libtorch_cpu.so`. More than one is a fault that crashes sooner or later.
pub fn libtorch_copies() -> Vec<PathBuf> {
    mapped_files(&std::fs::read_to_string("/proc/self/maps").unwrap_or_default(), "libtorch_cpu.so")
}

/// Finds the distinct files of this name in the text of `/proc/self/maps`.
fn mapped_files(maps: &str, name: &str) -> Vec<PathBuf> {
    let files = maps.lines().filter_map(|line| {
        // address perms offset dev inode path; the same file may be mapped under several paths.
        let mut fields = line.split_ascii_whitespace();
        let inode = (fields.nth(3)?, fields.next()?);
        let path = PathBuf::from(&line[line.find('/')?..]);
        (path.file_name()? == name).then_some((inode, path))
    });
    let mut distinct = BTreeMap::new();
    files.for_each(|(inode, path)| {
        distinct.entry(inode).or_insert(path);
    });
    distinct.into_values().collect()
}

/// Returns the version word of the libtorch that is mapped: major, minor and patch in the three
/// highest bytes.
pub fn libtorch_abi() -> Option<u64> {
    let symbol: &[u8] = b"aoti_torch_abi_version\0";
    // SAFETY: libtorch's stable C header (`aoti_torch/c/shim.h`) declares the symbol as
    // `uint64_t aoti_torch_abi_version()`, and a function of this process is never unmapped.
    unsafe {
        let version = Library::this().get::<unsafe extern "C" fn() -> u64>(symbol).ok()?;
        Some(version())
    }
}

/// Writes a version word as `2.11.0`.
pub fn version_text(abi: u64) -> String {
    let [major, minor, patch, ..] = abi.to_be_bytes();
    format!("{major}.{minor}.{patch}")
}

/// A device that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedDevice {
    /// The device.
    pub device: Device,
    /// `cpu` or `cuda:N`.
    pub name: String,
    /// What was taken and why, for the log.
    pub note: String,
}

impl ResolvedDevice {
    fn cuda(index: usize, note: String) -> Self {
        Self { device: Device::Cuda(index), name: format!("cuda:{index}"), note }
    }
}

impl ResolvedDevice {
    /// Returns the GPUs that trainings may use, each as `CUDA_VISIBLE_DEVICES` names it: all of them
    /// if the user did not choose one, `asked` being what the user wrote. None on the CPU.
    pub fn visible(&self, asked: &str) -> Vec<String> {
        let Device::Cuda(index) = self.device else { return Vec::new() };
        let all = visible_names(std::env::var("CUDA_VISIBLE_DEVICES").ok().as_deref(), facts().devices);
        match asked {
            "auto" | "cuda" => all,
            _ => all.into_iter().nth(index).into_iter().collect(),
        }
    }
}

/// Names the `devices` GPUs of this process as its children must name them.
fn visible_names(inherited: Option<&str>, devices: usize) -> Vec<String> {
    let listed: Vec<String> = inherited
        .map(|list| list.split(',').map(|name| name.trim().to_owned()).collect())
        .unwrap_or_default();
    (0..devices).map(|index| listed.get(index).cloned().unwrap_or_else(|| index.to_string())).collect()
}

/// Turns `auto`, `cpu`, `cuda` or `cuda:N` into a device that can be used. Asking for a GPU never
/// ends on the CPU.
///
/// # Errors
///
/// Fails if the GPU that is asked for cannot be used (E0451), does not exist (E0453), or the name is
/// none of the four (E0452).
pub fn resolve(device: &str) -> Result<ResolvedDevice> {
    choose(device, &facts())
}

fn choose(device: &str, facts: &Facts) -> Result<ResolvedDevice> {
    let cpu = |note| ResolvedDevice { device: Device::Cpu, name: "cpu".to_owned(), note };
    let index = match device {
        "cpu" => return Ok(cpu("cpu, as asked for".to_owned())),
        "auto" => {
            return Ok(match facts.cuda_problem() {
                None => ResolvedDevice::cuda(0, format!("auto took {}", facts.device_name(0))),
                Some((why, _)) => cpu(format!("auto took the cpu: {why}")),
            });
        }
        "cuda" => 0,
        other => other.strip_prefix("cuda:").and_then(|index| index.parse().ok()).ok_or_else(|| {
            Error::new(Exit::Usage, "E0452", format!("there is no device `{other}`"))
                .help("name `auto`, `cpu`, `cuda` or `cuda:N`")
        })?,
    };
    if let Some((why, fix)) = facts.cuda_problem() {
        let message = format!("the device `{device}` cannot be used: {why}");
        return Err(Error::new(Exit::Environment, "E0451", message).help(fix));
    }
    if index >= facts.devices {
        let message = format!("there is no device `{device}`: this machine has {} of them", facts.devices);
        return Err(Error::new(Exit::Environment, "E0453", message).help("the first device is `cuda:0`"));
    }
    Ok(ResolvedDevice::cuda(index, format!("{}, as asked for", facts.device_name(index))))
}

/// What this process can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The NVIDIA driver: its version, or where its library is.
    pub driver: Option<String>,
    /// Models of the GPUs, as far as the driver tells.
    pub models: Vec<String>,
    /// What became of `libtorch_cuda.so`.
    pub cuda: CudaLibrary,
    /// CUDA devices that libtorch sees.
    pub devices: usize,
}

/// Collects [`Facts`].
pub fn facts() -> Facts {
    let cuda = map_cuda().clone();
    let devices = match &cuda {
        // Asking is safe only with the library mapped.
        CudaLibrary::Mapped(_) if tch::utils::has_cudart() => {
            tch::Cuda::device_count().try_into().unwrap_or(0)
        }
        _ => 0,
    };
    Facts { driver: driver(), models: models(), cuda, devices }
}

impl Facts {
    /// Says why no GPU can be used, and what to do; `None` if one can.
    pub fn cuda_problem(&self) -> Option<(String, &'static str)> {
        if self.devices > 0 {
            return None;
        }
        if self.driver.is_none() {
            return Some((
                "this machine has no NVIDIA driver".to_owned(),
                "install the driver until `nvidia-smi` shows the GPU, or use `--device cpu`",
            ));
        }
        Some(match &self.cuda {
            CudaLibrary::Absent => (
                "libtorch is a build for the CPU: it has no libtorch_cuda.so".to_owned(),
                "install the CUDA build with `cargo xtask setup --cuda`",
            ),
            CudaLibrary::Failed { path, why } => (
                format!("{} cannot be loaded: {why}", path.display()),
                "install libtorch with its CUDA libraries: `cargo xtask setup --cuda`",
            ),
            CudaLibrary::Mapped(_) => (
                "libtorch sees no GPU".to_owned(),
                "look at `nvidia-smi`, at CUDA_VISIBLE_DEVICES, and whether the driver is new enough",
            ),
        })
    }

    fn device_name(&self, index: usize) -> String {
        // The driver numbers GPUs as CUDA does only if all are visible.
        match self.models.get(index).filter(|_| self.models.len() == self.devices) {
            Some(model) => format!("cuda:{index} ({model})"),
            None => format!("cuda:{index}"),
        }
    }
}

/// Finds the NVIDIA driver. The second way is for WSL and containers, which have only its library.
fn driver() -> Option<String> {
    let version = std::fs::read_to_string("/proc/driver/nvidia/version").ok();
    let number = version.as_deref().and_then(driver_version);
    number.map(str::to_owned).or_else(|| {
        let search = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let standard = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/wsl/lib", "/usr/lib"];
        std::env::split_paths(&search)
            .chain(standard.map(PathBuf::from))
            .map(|folder| folder.join("libcuda.so.1"))
            .find(|path| path.exists())
            .map(|path| path.display().to_string())
    })
}

/// Reads the number in `NVRM version: NVIDIA UNIX … Kernel Module  560.35.03  Release Build …`.
fn driver_version(text: &str) -> Option<&str> {
    let is_version =
        |word: &&str| word.contains('.') && word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.lines().next()?.split_whitespace().find(is_version)
}

/// Asks the driver for the models of the GPUs, in the order of their bus.
fn models() -> Vec<String> {
    let Ok(folders) = std::fs::read_dir("/proc/driver/nvidia/gpus") else { return Vec::new() };
    let mut files: Vec<PathBuf> = folders.flatten().map(|entry| entry.path().join("information")).collect();
    files.sort();
    let model = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).ok()?;
        text.lines().find_map(|line| line.strip_prefix("Model:")).map(|model| model.trim().to_owned())
    };
    files.iter().filter_map(model).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_see_the_gpus_under_the_names_that_this_process_was_given() {
        assert_eq!(visible_names(None, 2), ["0", "1"]);
        assert_eq!(visible_names(Some("3, GPU-a1"), 2), ["3", "GPU-a1"]);
        assert!(visible_names(Some("3"), 0).is_empty());
    }

    fn facts(driver: bool, cuda: CudaLibrary, devices: usize) -> Facts {
        let models = vec!["NVIDIA H200".to_owned(); devices];
        Facts { driver: driver.then(|| "560.35".to_owned()), models, cuda, devices }
    }

    fn mapped() -> CudaLibrary {
        CudaLibrary::Mapped("/torch/libtorch_cuda.so".into())
    }

    #[test]
    fn auto_takes_a_gpu_if_there_is_one_and_says_so() {
        let gpu = choose("auto", &facts(true, mapped(), 2)).unwrap();
        assert_eq!((gpu.device, gpu.name.as_str()), (Device::Cuda(0), "cuda:0"));
        assert_eq!(gpu.note, "auto took cuda:0 (NVIDIA H200)");
        let cpu = choose("auto", &facts(false, CudaLibrary::Absent, 0)).unwrap();
        assert_eq!(
            (cpu.device, cpu.note.as_str()),
            (Device::Cpu, "auto took the cpu: this machine has no NVIDIA driver")
        );
    }

    #[test]
    fn a_gpu_that_cannot_be_used_is_an_error_with_the_reason() {
        let failed = CudaLibrary::Failed {
            path: "/torch/libtorch_cuda.so".into(),
            why: "no libcusparse.so.12".into(),
        };
        for (facts, reason) in [
            (facts(false, mapped(), 0), "no NVIDIA driver"),
            (facts(true, CudaLibrary::Absent, 0), "build for the CPU"),
            (facts(true, failed, 0), "no libcusparse.so.12"),
            (facts(true, mapped(), 0), "libtorch sees no GPU"),
        ] {
            for device in ["cuda", "cuda:0"] {
                let error = choose(device, &facts).unwrap_err();
                assert_eq!((error.code, error.exit), ("E0451", Exit::Environment));
                assert!(error.message.contains(reason), "{}", error.message);
                assert!(error.help.is_some());
            }
            assert_eq!(choose("cpu", &facts).unwrap().device, Device::Cpu);
        }
    }

    #[test]
    fn devices_are_chosen_by_number() {
        let two = facts(true, mapped(), 2);
        assert_eq!(choose("cuda:1", &two).unwrap().device, Device::Cuda(1));
        assert_eq!(choose("cuda:2", &two).unwrap_err().code, "E0453");
        for name in ["gpu", "cuda:", "cuda:x", "CPU"] {
            assert_eq!(choose(name, &two).unwrap_err().code, "E0452", "{name}");
        }
    }

    #[test]
    fn one_libtorch_of_the_expected_version_is_mapped() {
        // Any tensor forces the libraries in.
        assert_eq!(tch::Tensor::from(1.0).size(), Vec::<i64>::new());
        assert_eq!(libtorch_copies().len(), 1);
        assert_eq!(libtorch_abi().map(version_text).as_deref(), Some("2.11.0"));
    }

    #[test]
    fn copies_of_a_library_are_told_apart_by_inode() {
        let maps = "7f00-7f01 r--p 0000 08:01 11   /a/libtorch_cpu.so\n\
                    7f01-7f02 r-xp 1000 08:01 11   /a/libtorch_cpu.so\n\
                    7f03-7f04 r--p 0000 08:01 11   /link to a/libtorch_cpu.so\n\
                    7f05-7f06 r--p 0000 08:01 12   /b/libtorch_cpu.so\n\
                    7f07-7f08 r--p 0000 08:01 13   /b/libtorch_cpu.so.old\n\
                    7f09-7f0a rw-p 0000 00:00 0    [heap]\n";
        let expected = ["/a/libtorch_cpu.so", "/b/libtorch_cpu.so"].map(PathBuf::from);
        assert_eq!(mapped_files(maps, "libtorch_cpu.so"), expected);
    }

    #[test]
    fn the_driver_version_is_found_in_both_wordings() {
        let closed =
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  560.35.03  Fri Aug 16 2024\nGCC version: 12.2";
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build";
        assert_eq!(driver_version(closed), Some("560.35.03"));
        assert_eq!(driver_version(open), Some("570.86.15"));
        assert_eq!(driver_version("nothing"), None);
    }
}

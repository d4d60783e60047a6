#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{ErrorKind, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixDatagram, UnixStream},
    },
    path::Path,
    process::Command,
    thread,
};

use super::*;

/// Runs `work` in a thread that is in the sandbox; without Landlock it says so and does nothing.
fn inside(policy: &Policy, work: impl FnOnce(u32) + Send) {
    thread::scope(|scope| {
        let inside = scope.spawn(|| match policy.enter() {
            Ok(abi) => work(abi),
            Err(why) => eprintln!("skipped: {why}"),
        });
        if let Err(panic) = inside.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn denied<T: std::fmt::Debug>(outcome: std::io::Result<T>) {
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::PermissionDenied);
}

struct Places {
    _folder: tempfile::TempDir,
    root: PathBuf,
}

impl Places {
    /// A folder `open` to be written, `data` to be read, and `secret`, each with a file.
    fn new() -> (Self, Policy) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["open", "data", "secret"] {
            fs::create_dir(root.join(name)).unwrap();
            fs::write(root.join(name).join("file"), name).unwrap();
        }
        let policy = Policy {
            read: vec![root.join("data"), root.join("gone")],
            write: vec![root.join("open")],
            ..Policy::of_any_program()
        };
        (Self { _folder: folder, root }, policy)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

#[test]
fn files_are_as_the_policy_says() {
    let (places, policy) = Places::new();
    inside(&policy, |_| {
        fs::write(places.at("open/new"), "x").unwrap();
        fs::rename(places.at("open/new"), places.at("open/newer")).unwrap();
        fs::remove_file(places.at("open/newer")).unwrap();
        tempfile::tempfile_in(places.at("open")).unwrap().write_all(b"x").unwrap();

        assert_eq!(fs::read_to_string(places.at("data/file")).unwrap(), "data");
        assert_eq!(fs::read_dir(places.at("data")).unwrap().count(), 1);
        denied(fs::write(places.at("data/file"), "x"));
        denied(fs::write(places.at("data/new"), "x"));
        denied(fs::remove_file(places.at("data/file")));
        denied(OpenOptions::new().append(true).open(places.at("data/file")));
        // Refused as if the two were on different disks.
        assert!(fs::rename(places.at("open/file"), places.at("data/file")).is_err());

        denied(fs::read(places.at("secret/file")));
        denied(fs::read_dir(places.at("secret")));
        denied(File::create(places.at("secret/new")));
        denied(fs::read(Path::new("/etc/shadow")));
        // A link in an open folder opens nothing.
        std::os::unix::fs::symlink(places.at("secret/file"), places.at("open/link")).unwrap();
        denied(fs::read(places.at("open/link")));
        assert!(fs::hard_link(places.at("data/file"), places.at("open/hard")).is_err());
    });
    assert_eq!(fs::read_to_string(places.at("data/file")).unwrap(), "data");
    assert_eq!(fs::read_to_string(places.at("secret/file")).unwrap(), "secret");
}

#[test]
fn modes_and_times_of_files_stay() {
    let (places, policy) = Places::new();
    let before = places.at("data/file").metadata().unwrap();
    inside(&policy, |_| {
        denied(fs::set_permissions(places.at("data/file"), Permissions::from_mode(0o777)));
        denied(fs::set_permissions(places.at("secret/file"), Permissions::from_mode(0o777)));
        let file = File::open(places.at("data/file")).unwrap();
        denied(file.set_permissions(Permissions::from_mode(0o777)));
        denied(file.set_modified(std::time::SystemTime::UNIX_EPOCH));
    });
    let after = places.at("data/file").metadata().unwrap();
    assert_eq!(before.permissions(), after.permissions());
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
}

#[test]
fn there_is_no_network_and_no_daemon() {
    let (_places, policy) = Places::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    inside(&policy, |_| {
        denied(TcpStream::connect(address));
        denied(TcpListener::bind("127.0.0.1:0"));
        denied(UdpSocket::bind("127.0.0.1:0"));
        denied(UnixStream::connect("/run/docker.sock"));
        UnixStream::pair().unwrap();
        // An end of such a pair could send to any daemon's socket.
        denied(UnixDatagram::pair());
    });
}

#[test]
fn threads_and_processes_inherit_it() {
    let (places, policy) = Places::new();
    inside(&policy, |_| {
        let secret = places.at("secret/file");
        thread::scope(|scope| scope.spawn(|| denied(fs::read(&secret))).join().unwrap());
        let cat = |path: &Path| Command::new("cat").arg(path).output().unwrap();
        assert_eq!(cat(&places.at("data/file")).stdout, b"data");
        let output = cat(&secret);
        assert!(!output.status.success() && output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"));
    });
}

#[test]
fn processes_outside_get_no_signal() {
    let (_places, policy) = Places::new();
    let mut outside = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = outside.id().to_string();
    inside(&policy, |abi| {
        let kill = Command::new("kill").arg(&pid).output().unwrap();
        if abi < 6 {
            eprintln!("skipped: signals need Landlock 6, this kernel has {abi}");
        } else {
            assert!(!kill.status.success());
        }
    });
    let alive = outside.try_wait().unwrap().is_none();
    outside.kill().unwrap();
    outside.wait().unwrap();
    assert!(alive || landlock_is_old(&policy));
}

/// Whether the kernel lets signals out.
fn landlock_is_old(policy: &Policy) -> bool {
    let mut old = true;
    inside(policy, |abi| old = abi < 6);
    old
}

#[test]
fn without_landlock_it_is_refused() {
    use seccompiler::{SeccompAction, SeccompFilter};
    let (_places, policy) = Places::new();
    // A thread for which the system has no Landlock.
    let refused = thread::spawn(move || {
        let rules = [(libc::SYS_landlock_create_ruleset, Vec::new())].into_iter().collect();
        let none = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        let arch = std::env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, none, arch).unwrap();
        let filter: seccompiler::BpfProgram = filter.try_into().unwrap();
        seccompiler::apply_filter(&filter).unwrap();
        policy.enter().unwrap_err().to_string()
    });
    let refused = refused.join().unwrap();
    assert!(refused.contains("needs Landlock 3, which Linux has since 6.2"), "{refused}");
}

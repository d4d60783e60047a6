//! System calls that the sandbox refuses, because Landlock does not judge them.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Refused whatever their arguments are.
const REFUSED: [i64; 33] = [
    // The network, and daemons of this machine behind Unix sockets. `socketpair` leads nowhere and is allowed.
    libc::SYS_socket,
    // Would open sockets and files past this filter.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Changes of files that need no open file: Landlock lets them pass.
    libc::SYS_chmod,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_utimensat,
    // Other processes, and secrets that the kernel keeps.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Ways into the kernel that a network search has no use for.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_unshare,
    libc::SYS_setns,
];

/// Commands of `ioctl` that type into the terminal which the process was started from.
const TYPING: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// Bit of the numbers of x86-64's second calling convention, on kernels that have it.
const X32: i64 = 0x4000_0000;

/// Builds the filter: refused calls answer EPERM, a call of another machine's convention ends the process.
pub(crate) fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in REFUSED {
        rules.insert(call, Vec::new());
        rules.insert(call | X32, Vec::new());
    }
    let types = TYPING.map(|command| {
        SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, command)
            .and_then(|condition| SeccompRule::new(vec![condition]))
    });
    let types: Vec<SeccompRule> = types.into_iter().collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_ioctl, types.clone());
    // x32 has a number of its own for `ioctl`.
    rules.insert(514 | X32, types);
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, std::env::consts::ARCH.try_into()?)?.try_into()
}

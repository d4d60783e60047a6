//! System calls that the sandbox refuses, because Landlock does not judge them.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Refused whatever their arguments are.
const REFUSED: [i64; 36] = [
    // The network, and daemons of this machine behind Unix sockets.
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
    SETXATTRAT,
    REMOVEXATTRAT,
    FILE_SETATTR,
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

/// Calls that libc does not name yet; new ones have one number on all machines. `setxattrat` and `removexattrat` came
/// with Linux 6.13, `file_setattr` with 6.17.
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const FILE_SETATTR: i64 = 469;

/// Bits of a socket's type that are no flags.
const TYPE: u64 = 0xf;

/// Commands of `ioctl` that type into the terminal which the process was started from.
const TYPING: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// Bit of the numbers of x86-64's second calling convention, on kernels that have it.
const X32: i64 = 0x4000_0000;

/// Builds the filter: refused calls answer EPERM, a call of another machine's convention ends the process.
pub(crate) fn filter() -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in REFUSED {
        rules.insert(call, Vec::new());
        rules.insert(call | X32, Vec::new());
    }
    rules.insert(libc::SYS_socketpair, pairs()?);
    rules.insert(libc::SYS_socketpair | X32, pairs()?);
    rules.insert(libc::SYS_ioctl, typing()?);
    // x32 has a number of its own for `ioctl`.
    rules.insert(514 | X32, typing()?);
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, std::env::consts::ARCH.try_into()?)?.try_into()
}

/// Pairs of sockets that may lead elsewhere than to each other: an end of a datagram pair sends to any socket of this
/// machine that has a name. Only streams are bound to their other end.
fn pairs() -> Result<Vec<SeccompRule>, BackendError> {
    let stream = u64::from(libc::SOCK_STREAM.unsigned_abs());
    let family = rule(0, SeccompCmpOp::Ne, u64::from(libc::AF_UNIX.unsigned_abs()));
    let kinds = (0..=TYPE).filter(|kind| *kind != stream);
    kinds.map(|kind| rule(1, SeccompCmpOp::MaskedEq(TYPE), kind)).chain([family]).collect()
}

fn typing() -> Result<Vec<SeccompRule>, BackendError> {
    TYPING.into_iter().map(|command| rule(1, SeccompCmpOp::Eq, command)).collect()
}

/// Matches calls whose argument `index`, of 32 bits, compares to `value` by `operator`.
fn rule(index: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)?])
}

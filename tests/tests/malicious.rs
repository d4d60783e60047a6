//! What stops a malicious plugin, and what does not: the table of docs/trust.md, proved.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::{
    fs,
    io::ErrorKind,
    net::TcpListener,
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixDatagram, UnixListener},
    },
    path::Path,
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use nashost_tests::{Run, SHIPPED, Sandbox, Set, library, process};

/// Deeds that Landlock and seccomp judge, as the plugin names them in its log.
const ATTACKS: [(&str, &str); 9] = [
    ("read", "Read"),
    ("write", "Write"),
    ("chmod", "Chmod"),
    ("attribute", "Attribute"),
    ("program", "Program"),
    ("records", "Records"),
    ("connect", "Connect"),
    ("daemon", "Daemon"),
    ("datagram", "Datagram"),
];

const SMALL: &str = "-s arch.plugin=superres -s train.resolution=8 -s train.epochs=2 -s eval.bootstrap=20 \
                     --device cpu";

/// A user's home with a key, a shell's file and two daemons; an earlier run; and somebody who listens.
struct Victim {
    sandbox: Sandbox,
    listener: TcpListener,
    daemon: UnixListener,
    log: UnixDatagram,
}

impl Victim {
    fn new() -> Self {
        let sandbox = Sandbox::default();
        fs::create_dir_all(sandbox.path("home/.ssh")).unwrap();
        fs::write(sandbox.path("home/.ssh/id_ed25519"), "secret").unwrap();
        fs::write(sandbox.path("home/.profile"), "").unwrap();
        fs::set_permissions(sandbox.path("home/.profile"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::create_dir_all(sandbox.path("runs/earlier")).unwrap();
        fs::write(sandbox.path("runs/earlier/events.jsonl"), "record").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let daemon = UnixListener::bind(sandbox.path("home/.daemon")).unwrap();
        let log = UnixDatagram::bind(sandbox.path("home/.log")).unwrap();
        listener.set_nonblocking(true).unwrap();
        daemon.set_nonblocking(true).unwrap();
        log.set_nonblocking(true).unwrap();
        Self { sandbox, listener, daemon, log }
    }

    /// The program, in the victim's place.
    fn process(&self, line: &str) -> Command {
        let mut command = process();
        let plugins = SHIPPED.iter().copied().chain(["malicious_plugin"]).map(library);
        command.env("NASHOST_PLUGIN_PATH", std::env::join_paths(plugins).unwrap());
        command.env("HOME", self.sandbox.path("home")).current_dir(self.sandbox.path("."));
        command.args(line.split_whitespace());
        command
    }

    fn command(&self, line: &str, deeds: &[&str]) -> Command {
        let mut command = self.process(line);
        command.args(["--dataset", "malicious", "-s"]);
        command.arg(format!("data.deeds={}", serde_json::to_string(deeds).unwrap()));
        command.arg("-s").arg(format!("data.port={}", self.listener.local_addr().unwrap().port()));
        command
    }

    fn nashost(&self, line: &str, deeds: &[&str]) -> Output {
        self.command(line, deeds).output().unwrap()
    }

    /// Whether anything outside is not as it was.
    fn is_harmed(&self) -> bool {
        let profile = self.sandbox.path("home/.profile");
        fs::read_to_string(&profile).unwrap() != ""
            || profile.metadata().unwrap().permissions().mode() & 0o777 != 0o644
            || !self.sandbox.path("runs/earlier/events.jsonl").exists()
            || self.listener.accept().is_ok()
            || self.daemon.accept().is_ok()
            || self.log.recv(&mut [0]).is_ok()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether this machine has the sandbox; says so if not.
fn has_sandbox() -> bool {
    static REFUSED: OnceLock<Option<String>> = OnceLock::new();
    let refused = REFUSED.get_or_init(|| {
        let sandbox = Sandbox::default();
        let output = sandbox.nashost("config show --plugin zennas --sandbox").output().unwrap();
        let said = text(&output.stderr);
        said.contains("E0458").then_some(said)
    });
    if let Some(refused) = refused {
        println!("skipped: {refused}");
    }
    refused.is_none()
}

#[test]
fn a_plugin_has_the_rights_of_its_user() {
    let victim = Victim::new();
    let output = victim.nashost("data check", &ATTACKS.map(|attack| attack.0));
    let said = text(&output.stderr);
    // Kernels before Linux 6.13 lack the call, and some file systems the attribute.
    let lacks = ["Function not implemented", "Operation not supported"];
    let lacks = lacks.iter().any(|why| said.contains(&format!("deed Attribute: stopped: {why}")));
    for (_, deed) in ATTACKS.iter().filter(|(_, deed)| !lacks || *deed != "Attribute") {
        assert!(said.contains(&format!("deed {deed}: done")), "{deed}: {said}");
    }
    assert!(victim.is_harmed());
}

#[test]
fn the_sandbox_stops_attacks_in_the_driver_and_in_workers() {
    if !has_sandbox() {
        return;
    }
    let victim = Victim::new();
    let output = victim.nashost(&format!("run --sandbox {SMALL}"), &ATTACKS.map(|attack| attack.0));
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let run = victim.sandbox.latest();
    for (_, deed) in ATTACKS {
        assert!(said.contains(&format!("deed {deed}: stopped")), "{deed}: {said}");
        assert!(!said.contains(&format!("deed {deed}: done")), "{deed}: {said}");
    }
    assert!(!victim.is_harmed());
    let provenance = run.json("provenance.json");
    let facts = &provenance["sandbox"];
    assert!(facts["landlock"].as_u64().unwrap() >= 3, "{facts}");
    assert_eq!(facts["write"].as_array().unwrap().len(), 1, "{facts}");
    assert!(facts["write"][0].as_str().unwrap().ends_with(run.0.file_name().unwrap().to_str().unwrap()));
    assert!(text(&run.bytes("run.toml")).contains("sandbox = true"));
}

#[test]
fn a_worker_is_in_the_sandbox_as_well() {
    if !has_sandbox() {
        return;
    }
    let victim = Victim::new();
    // Without a cache the worker decodes the images itself.
    let output =
        victim.nashost(&format!("run --sandbox --no-cache {SMALL}"), &ATTACKS.map(|attack| attack.0));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let run = victim.sandbox.latest();
    let log = fs::read_dir(run.file("log")).unwrap().flatten();
    let log: String = log.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect();
    for (_, deed) in ATTACKS {
        let count = log.matches(&format!("deed {deed}: stopped")).count();
        assert!(count >= 2, "the driver and a worker met {deed}: {log}");
        assert!(!log.contains(&format!("deed {deed}: done")), "{deed}: {log}");
    }
    assert!(!victim.is_harmed());
}

#[test]
fn a_study_is_in_the_sandbox_with_its_runs() {
    if !has_sandbox() {
        return;
    }
    // Said by the flag, or by the file for one dataset.
    for (flag, setting) in [("--sandbox", ""), ("", "run.sandbox = true")] {
        let victim = Victim::new();
        let deeds = serde_json::to_string(&ATTACKS.map(|attack| attack.0)).unwrap();
        let port = victim.listener.local_addr().unwrap().port();
        let study = format!(
            "name = \"attacked\"\nseeds = [1]\n\
             all = {{ run.device = \"cpu\", train = {{ resolution = 8, epochs = 1 }}, eval.bootstrap = 20 }}\n\
             controls = {{ random = false, params = false, small_cnn = false }}\n\
             [[datasets]]\nname = \"evil\"\nset.data = {{ plugin = \"malicious\", deeds = {deeds}, port = {port} }}\n\
             set.{setting}\n\
             [[methods]]\nname = \"plain\"\nset.arch.plugin = \"superres\"\n"
        );
        fs::write(victim.sandbox.path("study.toml"), study.replace("set.\n", "")).unwrap();
        let mut said = String::new();
        // Taken up without the flag, with another run, it is in the sandbox as before; plans do not need it.
        for line in [
            format!("study study.toml {flag}"),
            "study study.toml".to_owned(),
            "study study.toml --dry-run".to_owned(),
        ] {
            let output = victim.process(&line).output().unwrap();
            said += &text(&output.stderr);
            assert!(output.status.success(), "{line}: {said}");
            let more = study.replace("set.\n", "").replace("seeds = [1]", "seeds = [1, 2]");
            fs::write(victim.sandbox.path("study.toml"), more).unwrap();
        }
        let folder = victim.sandbox.path("studies/attacked");
        let runs = fs::read_dir(folder.join("runs")).unwrap().flatten();
        let runs = runs.filter(|run| run.path().is_dir() && !run.path().is_symlink());
        let runs: Vec<Run> = runs.map(|run| Run(run.path())).collect();
        assert_eq!(runs.len(), 2);
        for run in runs {
            let provenance = run.json("provenance.json");
            assert!(provenance["sandbox"]["landlock"].as_u64().unwrap() >= 3, "{provenance}");
        }
        let log: String = fs::read_dir(folder.join("log"))
            .unwrap()
            .map(|log| fs::read_to_string(log.unwrap().path()).unwrap())
            .collect();
        for (_, deed) in ATTACKS {
            assert!(log.contains(&format!("deed {deed}: stopped")), "{deed}: {log}");
            assert!(!(log.clone() + &said).contains(&format!("deed {deed}: done")), "{deed}: {said}{log}");
        }
        assert!(!victim.is_harmed());
    }
}

#[test]
fn what_no_sandbox_stops_is_noticed_or_harmless() {
    if !has_sandbox() {
        return;
    }
    let victim = Victim::new();
    let output = victim.nashost("data check --sandbox", &["stdout", "panic", "leak"]);
    let (out, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    // Not stopped, and seen by whoever reads the output.
    assert!(out.contains("malicious words"), "{out}");
    assert!(said.contains("deed Leak: done"), "{said}");
    // The thread ends, the process does not, and the log has the words.
    assert!(said.contains("a malicious panic"), "{said}");

    let mut command = process();
    command.args(["plugin", "test", "-s", "malicious.deeds=[\"stdout\"]"]).arg(library("malicious_plugin"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("breaks the rule `stdout`"), "{}", text(&output.stderr));
}

#[test]
fn memory_is_limited_in_the_driver_too() {
    if !has_sandbox() {
        return;
    }
    let victim = Victim::new();
    let output = victim.nashost("data check --sandbox -s run.worker_memory=2GB", &["allocate"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("E0458") && said.contains("ended by SIGABRT"), "{said}");
}

/// Works in a thread for which the kernel has no Landlock, as it has none for all that the thread starts.
fn without_landlock(work: impl FnOnce() -> Output + Send + 'static) -> Output {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    let thread = std::thread::spawn(move || {
        let rules = [(libc::SYS_landlock_create_ruleset, Vec::new())].into_iter().collect();
        let none = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        let arch = std::env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, none, arch).unwrap();
        let filter: BpfProgram = filter.try_into().unwrap();
        seccompiler::apply_filter(&filter).unwrap();
        work()
    });
    thread.join().unwrap()
}

/// Losses and scores of a run.
fn results(run: &Run) -> [Vec<String>; 2] {
    [run.column("epochs.csv", "loss"), run.column("epochs.csv", "macro_f1")]
}

#[test]
fn metrics_that_change_torch_change_no_training() {
    let victim = Victim::new();
    let run = |more: &str| {
        let line = format!("run {SMALL} -s eval.metrics=[\"subset-accuracy\",\"f1\"{more}]");
        let output = victim.nashost(&line, &[]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        victim.sandbox.latest()
    };
    let honest = run("");
    let robbed = run(",\"grad-thief\",\"reseeder\"");
    assert_eq!(results(&honest), results(&robbed));
    let predictions = "predictions/T0001_test.csv";
    assert!(honest.bytes(predictions) == robbed.bytes(predictions));
}

#[test]
fn a_run_in_the_sandbox_has_the_same_results_and_goes_on_there() {
    if !has_sandbox() {
        return;
    }
    let victim = Victim::new();
    let run = |flags: &str| {
        let output = victim.nashost(&format!("run {SMALL} {flags}"), &[]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        victim.sandbox.latest()
    };
    let (outside, inside) = (run(""), run("--sandbox"));
    assert_ne!(outside, inside);
    assert_eq!(results(&outside), results(&inside));

    // Without the flag: the run's own configuration asks for it.
    let output = victim.process("repeat").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("is the same"), "{}", text(&output.stdout));
    let repeated = victim.sandbox.latest();
    assert_ne!(repeated, inside);
    assert!(repeated.json("provenance.json")["sandbox"].is_object());

    // As if the process had been killed before its last words.
    let events = text(&repeated.bytes("events.jsonl"));
    let lines: Vec<&str> = events.lines().filter(|line| !line.contains("run-finished")).collect();
    assert_eq!(lines.len() + 1, events.lines().count(), "{events}");
    fs::write(repeated.file("events.jsonl"), lines.join("\n") + "\n").unwrap();
    fs::rename(repeated.file("DONE"), repeated.file("RUNNING")).unwrap();
    let output = victim.process("resume").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(repeated.json("provenance.json")["resumed"][0]["sandbox"].is_object());
    assert_eq!(results(&inside), results(&repeated));
}

#[test]
fn a_run_that_is_refused_leaves_nothing() {
    if !has_sandbox() {
        return;
    }
    let victim = Victim::new();
    std::os::unix::fs::symlink("earlier", victim.sandbox.path("runs/latest")).unwrap();
    let output = victim.nashost(&format!("run --sandbox {SMALL} -s train.epohcs=1"), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let names = |folder: &Path| {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&victim.sandbox.path("runs")), ["earlier", "latest"]);
    assert_eq!(fs::read_link(victim.sandbox.path("runs/latest")).unwrap(), Path::new("earlier"));
}

#[test]
fn commands_without_a_sandbox_and_false_claims_are_refused() {
    let sandbox = Sandbox::default();
    for line in ["predict latest x --to y.csv", "config init -", "self-check", "plugin probe x.so"] {
        let output = sandbox.nashost(line).arg("--sandbox").output().unwrap();
        assert!(text(&output.stderr).contains("E0459"), "{line}: {}", text(&output.stderr));
    }
    let output = sandbox.nashost("config show --plugin zennas").env("NASHOST_INSIDE_SANDBOX", "{}").output();
    let said = text(&output.unwrap().stderr);
    assert!(said.contains("E0458") && said.contains("not in the sandbox"), "{said}");
}

#[test]
fn what_files_ask_for_holds_for_commands_without_a_sandbox() {
    let sandbox = Sandbox::default();
    Set::write(sandbox.path("set"));
    sandbox.output(&format!("{} --device cpu", Set::RUN));
    let line = "predict latest set --to scores.csv";
    let refused = |user: Option<&Path>, line: &str| {
        let mut command = sandbox.nashost(line);
        if let Some(folder) = user {
            command.env("XDG_CONFIG_HOME", folder);
        }
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("E0459"), "{line}: {said}");
        assert!(output.stdout.is_empty(), "{line}: {}", text(&output.stdout));
    };
    // The user's own file asks for it.
    let user = sandbox.path("config");
    fs::create_dir_all(user.join("nashost")).unwrap();
    fs::write(user.join("nashost/config.toml"), "[run]\nsandbox = true\n").unwrap();
    refused(Some(&user), line);
    refused(Some(&user), "config init - --plugin zennas");
    refused(None, "config init - --plugin zennas -s run.sandbox=true");
    // Looking at plugins is no loading.
    let list = sandbox.nashost("plugin list").env("XDG_CONFIG_HOME", &user).output().unwrap();
    assert!(list.status.success(), "{}", text(&list.stderr));

    // The run's own file does.
    let config = sandbox.latest().file("run.toml");
    sandbox.output(line);
    let settings = fs::read_to_string(&config).unwrap();
    assert!(settings.contains("sandbox = false"), "{settings}");
    fs::write(&config, settings.replace("sandbox = false", "sandbox = true")).unwrap();
    fs::remove_file(sandbox.path("scores.csv")).unwrap();
    refused(None, line);
    assert!(!sandbox.path("scores.csv").exists());

    // The project's file does. It is no file of a run that names another, nor of that run's workers.
    fs::write(sandbox.path("nashost.toml"), "[run]\nsandbox = true\n").unwrap();
    refused(None, "config init - --plugin zennas");
    fs::write(sandbox.path("other.toml"), "[run]\nsandbox = false\n").unwrap();
    sandbox.output(&format!("{} --config other.toml --device cpu", Set::RUN));
    fs::write(sandbox.path("nashost.toml"), "[plugins]\nrequire_signed = true\n").unwrap();
    let unsigned = sandbox.nashost("config init - --plugin zennas").output().unwrap();
    // Signatures are required, and there is no key.
    assert!(text(&unsigned.stderr).contains("E0426"), "{}", text(&unsigned.stderr));
}

#[test]
fn structures_are_scored_in_the_sandbox() {
    if !has_sandbox() {
        return;
    }
    let victim = Victim::new();
    let drawn = "run --plugin controls -s search.evaluations=6 -s search.top=6 -s train.resolution=16 \
                 -s train.epochs=1 -s eval.bootstrap=20 --device cpu --seeds 1";
    let output = victim.nashost(drawn, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let line = "proxy-check latest --score zen-score-analytic --resamples 0 --format json";
    let score = |flag: &str| {
        let output = victim.process(&format!("{line} {flag}")).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let scored = score("--sandbox");
    assert!(scored.contains("zen-score-analytic"), "{scored}");
    assert_eq!(scored, score(""));
    // Without Landlock nothing is scored: the flag is heard, and so is a run that began in the sandbox.
    let config = victim.sandbox.latest().file("run.toml");
    let settings = fs::read_to_string(&config).unwrap();
    for flag in ["--sandbox", ""] {
        let mut command = victim.process(&format!("{line} {flag}"));
        let said = text(&without_landlock(move || command.output().unwrap()).stderr);
        assert!(said.contains("E0458"), "{said}");
        fs::write(&config, settings.replace("sandbox = false", "sandbox = true")).unwrap();
    }
}

#[test]
fn without_landlock_nothing_is_started() {
    let victim = Victim::new();
    let mut command = victim.command(&format!("run --sandbox {SMALL}"), &[]);
    let output = without_landlock(move || command.stdin(Stdio::null()).output().unwrap());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("E0458") && said.contains("needs Landlock 3, which Linux has since 6.2"), "{said}");
    assert!(said.contains("without `--sandbox`"), "{said}");
    assert_eq!(victim.listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(fs::read_dir(victim.sandbox.path("runs")).unwrap().count(), 1, "only the earlier run");
}

//! `nashost report`, and its page in a real browser where there is one.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::{fs, path::Path};

use nashost_tests::{Sandbox, browser::Browser, target_dir};
use predicates::str::contains;
use serde_json::Value;

const SEARCHED: &str = "run --plugin zennas -s data.region=neck -s data.size=48 -s search.evaluations=12 \
                        -s train.resolution=32 -s train.epochs=1 -s eval.bootstrap=20 --device cpu";
const FIXED: &str = "run -s arch.plugin=superres -s data.region=neck -s data.size=48 -s train.resolution=16 \
                     -s train.epochs=1 -s eval.bootstrap=20 --device cpu";

/// Opens every fold, and measures the page and its figures.
const MEASURE: &str = r"(() => {
    document.querySelectorAll('details').forEach(fold => fold.open = true);
    const root = document.documentElement;
    const inside = (part, whole) => part.left >= whole.left - 2 && part.right <= whole.right + 2
        && part.top >= whole.top - 2 && part.bottom <= whole.bottom + 2;
    const figures = [...document.querySelectorAll('figure')].map(figure => {
        const svg = figure.querySelector('svg');
        const box = svg.getBoundingClientRect();
        const marks = [...svg.querySelectorAll('.line, .dot, .bar, .cloud, .box, .frame, .message')];
        const drawn = marks.filter(mark => { const b = mark.getBBox(); return b.width + b.height > 0; });
        const cut = [...svg.querySelectorAll('text')].filter(text => !inside(text.getBoundingClientRect(), box));
        return { title: figure.querySelector('h4').textContent, width: box.width, height: box.height,
                 marks: drawn.length, cut: cut.map(text => text.textContent) };
    });
    return { overflow: root.scrollWidth - root.clientWidth, figures };
})()";

fn check(browser: &mut Browser, page: &Path, width: u32, scheme: &str) {
    browser.open(page, width, 900, scheme);
    let measured = browser.evaluate(MEASURE);
    let case = format!("{} at {width} px", page.display());
    assert_eq!(measured["overflow"], 0, "{case} is wider than the window");
    let figures = measured["figures"].as_array().unwrap();
    assert!(figures.len() > 30, "{case} has {} figures", figures.len());
    for figure in figures {
        let size = |name: &str| figure[name].as_f64().unwrap();
        assert!(size("width") > 100.0 && size("height") > 20.0 && size("marks") > 0.0, "{case}: {figure}");
        assert_eq!(figure["cut"], Value::Array(vec![]), "{case}: texts are cut off in {}", figure["title"]);
    }
    let errors = browser.take_events("Log.entryAdded");
    assert!(errors.is_empty(), "{case}: {errors:?}");
    let requests = browser.take_events("Network.requestWillBeSent");
    // Pictures that lie in the page are told as if they were fetched.
    let is_inside = |request: &&Value| request["request"]["url"].as_str().unwrap().starts_with("data:");
    let requests: Vec<&Value> = requests.iter().filter(|request| !is_inside(request)).collect();
    assert_eq!(requests.len(), 1, "{case} loads something: {requests:?}");
    let pictures = target_dir().join("report-check");
    fs::create_dir_all(&pictures).unwrap();
    let name = page.file_stem().unwrap().to_string_lossy();
    browser.screenshot(&pictures.join(format!("{name}-{width}-{scheme}.png")));
}

#[test]
fn a_page_about_two_runs_draws_in_a_browser_and_its_tables_have_four_forms() {
    let sandbox = Sandbox::default();
    let first = sandbox.run(SEARCHED);
    let page = fs::read_to_string(first.file("report.html")).unwrap();
    assert!(page.contains("default-src 'none'") && !page.contains("<script"));
    for section in [
        "result",
        "warnings",
        "labels",
        "curves",
        "decisions",
        "calibration",
        "saliency",
        "subgroups",
        "search",
    ] {
        assert!(page.contains(&format!("<section id=\"{section}\"")), "{section} is missing");
    }
    let second = sandbox.run(FIXED);
    let names = [&first, &second].map(|run| run.0.file_name().unwrap().to_str().unwrap().to_owned());
    let comparisons = r#"[{"a": "zennas", "b": "superres", "metric": "macro_f1", "difference": 0.1,
                           "ci95": [-0.02, 0.22], "p": 0.08, "test": "made up for a test"}]"#;
    fs::write(sandbox.path("comparisons.json"), comparisons).unwrap();
    let both = format!("report {} {}", names[0], names[1]);
    let printed = sandbox.output(&format!("{both} --comparisons comparisons.json --html both.html"));
    assert_eq!(printed, "both.html\n");

    let csv = sandbox.output(&format!("{both} --format csv"));
    assert!(csv.starts_with("method,kind,seeds,macro_auroc,macro_auroc_ci95_low,"), "{csv}");
    let seen = first.json("predictions/T0001_saliency.json");
    assert_eq!(seen["problem"], Value::Null);
    let stages: Vec<_> =
        seen["randomised"].as_array().unwrap().iter().map(|s| s["layers"].as_u64()).collect();
    assert_eq!((stages.len(), stages[0], stages[1]), (4, Some(0), Some(1)));
    for label in seen["labels"].as_array().unwrap() {
        let number = |name: &str| label[name].as_u64().unwrap();
        assert!(number("hits") + number("blank") <= number("findings") && number("findings") > 0, "{label}");
    }
    let summary = first.json("summary.json");
    let f1 = summary["methods"][0]["test"]["macro_f1"]["mean"].as_f64().unwrap();
    assert!(csv.lines().nth(1).unwrap().contains(&format!(",{f1:?},")), "all digits of {f1} in {csv}");
    assert!(sandbox.output(&format!("{both} --format md")).contains("### Test results of each label"));
    assert!(sandbox.output(&format!("{both} --format latex --table confusion")).contains("\\toprule"));
    assert_eq!(sandbox.json(&format!("{both} --format json"))["methods"].as_array().unwrap().len(), 2);
    assert!(sandbox.output(&format!("{both} --kind model-card")).contains("## Intended use"));
    sandbox.nashost("report --format md --table confusoin").assert().code(2).stderr(contains("`confusion`"));
    fs::write(sandbox.path("bad.json"), "[{\"a\": \"x\"}]").unwrap();
    sandbox.nashost("report --comparisons bad.json").assert().code(2).stderr(contains("E0721"));

    let Some(mut browser) = Browser::start() else {
        println!("skipped: the page was not opened, this machine has no chromium");
        return;
    };
    for (width, scheme) in [(1280, "light"), (400, "light"), (1280, "dark")] {
        check(&mut browser, &sandbox.path("both.html"), width, scheme);
    }
}

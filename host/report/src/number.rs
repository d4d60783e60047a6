//! Numbers as people read them.

/// A share or another number of ordinary size with `digits` decimals.
pub(crate) fn fixed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    // -0.000 is 0.
    if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
        text.trim_start_matches('-').to_owned()
    } else {
        text.replace('-', "−")
    }
}

/// A count with three digits and a prefix: 387 k, 59.6 M.
pub(crate) fn scaled(value: f64) -> String {
    const PREFIXES: [(f64, &str); 4] = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    let size = value.abs();
    // 999.6 k is 1.00 M.
    let prefix = PREFIXES.iter().find(|(unit, _)| size >= unit * 0.9995);
    match prefix {
        Some((unit, name)) => {
            let scaled = value / unit;
            let digits = if scaled.abs() >= 99.95 { 0 } else { usize::from(scaled.abs() < 9.995) + 1 };
            format!("{}{name}", fixed(scaled, digits))
        }
        None if size.fract() == 0.0 => fixed(value, 0),
        None => fixed(value, if size >= 10.0 { 1 } else { 3 }),
    }
}

/// A whole number with spaces between thousands: 387 264.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            // A space that neither breaks nor is wide.
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Seconds, as 0.3 s, 57 s, 4 min 10 s, 3 h 05 min.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{} s", fixed(seconds, 1)),
        10..120 => format!("{whole} s"),
        120..7200 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A p-value.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { fixed(p, 3) }
}

/// A metric's name in words: `macro_f1` is macro F1.
pub(crate) fn metric(name: &str) -> String {
    let word = |word: &str| match word {
        "auroc" | "f1" | "mcc" | "ece" => word.to_uppercase(),
        "brier" => "Brier score".to_owned(),
        _ => word.to_owned(),
    };
    name.split('_').map(word).collect::<Vec<_>>().join(" ")
}

/// A heading: the first letter is a capital.
pub(crate) fn heading(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(fixed(-0.0004, 3), "0.000");
        assert_eq!(fixed(-1.5, 1), "−1.5");
        let scaled: Vec<_> = [0.25, 12.0, 999.0, 387_264.0, 999_600.0, 59_551_744.0, 2e13].map(scaled).into();
        assert_eq!(scaled, ["0.250", "12", "999", "387 k", "1.00 M", "59.6 M", "20.0 T"]);
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(grouped(12), "12");
        let times: Vec<_> = [0.34, 57.2, 250.0, 11_100.0].map(duration).into();
        assert_eq!(times, ["0.3 s", "57 s", "4 min 10 s", "3 h 05 min"]);
        assert_eq!((p_value(0.0002), p_value(0.0159)), ("< 0.001".to_owned(), "0.016".to_owned()));
        assert_eq!(metric("macro_average_precision"), "macro average precision");
        assert_eq!(metric("macro_auroc"), "macro AUROC");
        assert_eq!((heading("macro F1"), heading("")), ("Macro F1".to_owned(), String::new()));
    }
}
